"""What is installed, built and shipped: metadata, Makefile, Dockerfile and the wheel."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import venv
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from whisper_streaming import __version__
from whisper_streaming.doctor import REQUIREMENTS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "whisper_streaming"

# The deployment part of the guide that this project implements.
GUIDE_DOCKERFILE = """\
FROM python:3.11-slim
WORKDIR /app
COPY . .
RUN pip install -r requirements.txt
EXPOSE 9090
CMD ["python", "run_websocket_server.py", "--host", "0.0.0.0"]
"""


def metadata() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def lines(text: str) -> list[str]:
    return [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]


def distribution(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    return match.group().lower().replace("_", "-")


def runtime_requirements() -> list[str]:
    return lines(metadata()["options"]["install_requires"])


def test_requirements_txt_is_what_the_package_requires() -> None:
    assert lines((ROOT / "requirements.txt").read_text()) == runtime_requirements()


def test_the_doctor_checks_what_the_package_requires() -> None:
    assert [f"{name}>={floor}" for name, floor in REQUIREMENTS.items()] == runtime_requirements()


def test_what_is_imported_is_required_and_what_is_required_is_imported() -> None:
    imported = {
        name.partition(".")[0]
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    imported -= {*sys.stdlib_module_names, "whisper_streaming"}
    # The extras [mic], [translate] and [bench], and what bench baseline installs elsewhere.
    imported -= {"pyaudio", "sentencepiece", "matplotlib", "whisper_live"}
    # The extra [whisperx], with what it brings.
    imported -= {"whisperx", "torch", "torchaudio", "pyannote"}
    owners = packages_distributions()

    used = {distribution(owners[name][0]) for name in imported}

    assert used == {distribution(requirement) for requirement in runtime_requirements()}


def test_floors_stand_where_a_fault_lies_below() -> None:
    assert {"av>=17.1", "websockets>=17", "faster-whisper>=1.2.1"} <= set(runtime_requirements())


def test_the_extras_are_there() -> None:
    extras = metadata()["options.extras_require"]

    assert {name: lines(value) for name, value in extras.items() if not name.endswith("dev")} == {
        "mic": ["pyaudio>=0.2.14"],
        "tts": ["espeakng-loader>=0.2.4"],
        "piper": ["piper-tts>=1.3"],
        "translate": ["sentencepiece>=0.2"],
        "gpu": ["nvidia-cublas-cu12", "nvidia-cudnn-cu12>=9"],
        "whisperx": ["whisperx>=3.8.6,<3.9"],
        "bench": ["matplotlib>=3.8"],
    }
    assert "pytest" in lines(extras["dev"])


def test_nothing_tells_to_fetch_the_name_that_belongs_to_somebody_else() -> None:
    command = re.compile(r"pip3? install[^\n`]*whisper[-_]streaming(?![\w/.-])")
    texts = [
        path
        for pattern in ("*.md", "docs/**/*.md", "examples/*", "whisper_streaming/**/*.py", "*.py",
                        "Makefile", "Dockerfile", "requirements.txt", ".ci/run")
        for path in ROOT.glob(pattern)
        if path.is_file()
    ]  # fmt: skip

    assert command.search("pip install whisper-streaming")
    assert len(texts) > 20
    assert [str(path) for path in texts if command.search(path.read_text())] == []


def test_the_licence_is_the_whole_apache_text() -> None:
    text = (ROOT / "LICENSE").read_text()

    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert metadata()["metadata"]["license_expression"] == "Apache-2.0"


# --- Dockerfile -----------------------------------------------------------------------------


def dockerfile() -> list[str]:
    joined = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    return [" ".join(line.split()) for line in lines(joined)]


def test_the_dockerfile_holds_the_guides_instructions_in_order() -> None:
    ours = [line.replace("--no-cache-dir ", "") for line in dockerfile()]
    guide = lines(GUIDE_DOCKERFILE)

    assert [line for line in ours if line in guide] == guide


def test_the_container_is_not_root_and_checks_its_health() -> None:
    instructions = dockerfile()
    user = next(i for i, line in enumerate(instructions) if line.startswith("USER "))
    health = next(line for line in instructions if line.startswith("HEALTHCHECK "))

    assert instructions[user] != "USER root"
    assert user < next(i for i, line in enumerate(instructions) if line.startswith("CMD "))
    assert "http://localhost:9090/healthz" in health


def test_what_git_ignores_is_no_part_of_an_image() -> None:
    """An environment of 8 GB would go to the daemon, and into the image."""
    ignored = lines((ROOT / ".dockerignore").read_text())

    for pattern in lines((ROOT / ".gitignore").read_text()):
        name = pattern.strip("/")
        assert any(fnmatch(name, each.removeprefix("**/")) for each in ignored), name


@pytest.mark.requires_hadolint
def test_hadolint_has_nothing_to_say(hadolint: str) -> None:
    done = subprocess.run(
        [hadolint, "--no-color", "Dockerfile", "Dockerfile.whisperx"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "")


# --- Makefile -------------------------------------------------------------------------------


def make_venv(tmp_path: Path, **pythons: str) -> subprocess.CompletedProcess[str]:
    """Run the Makefile's rule for the environment with stand-ins for Python (name: script)."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in pythons.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    target = tmp_path / "venv"
    return subprocess.run(
        ["make", f"VENV={target}", f"PYTHONS=no-such-python {' '.join(pythons)}",
         str(target / "bin" / "python")],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip


TOO_OLD = "exit 1"
WITHOUT_VENV = '[ "$1" = -c ] && exit 0; mkdir -p "$3"; echo "ensurepip is not available"; exit 1'
GOOD = '[ "$1" = -c ] && exit 0; mkdir -p "$3/bin" && touch "$3/bin/python"'


def test_make_takes_the_first_python_that_can_make_an_environment(tmp_path: Path) -> None:
    done = make_venv(tmp_path, old=TOO_OLD, bare=WITHOUT_VENV, good=GOOD)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "venv" / "bin" / "python").is_file()
    assert "with good" in done.stdout
    assert "with old" not in done.stdout


def test_make_names_the_package_where_venv_is_missing(tmp_path: Path) -> None:
    done = make_venv(tmp_path, bare=WITHOUT_VENV)

    assert done.returncode != 0
    assert "apt install python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_make_says_so_where_every_python_is_too_old(tmp_path: Path) -> None:
    done = make_venv(tmp_path, old=TOO_OLD)

    assert done.returncode != 0
    assert "No Python 3.11 or newer among: no-such-python old." in done.stderr


def test_make_alone_lists_the_targets() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=60)

    named = re.findall(r"^  make ([\w-]+)", done.stdout, re.MULTILINE)
    assert named == [
        "help", "demo", "serve", "test", "quick", "check", "whisperx", "test-whisperx", "extension",
        "clean",
    ]  # fmt: skip


# --- The wheel ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, from a copy: a build leaves folders beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(PACKAGE, source / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of a clean environment that holds the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    # Our own pip, and no compiling of what is never imported: half of the time otherwise.
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python")]
    run(*pip, "install", "--quiet", "--no-compile", str(wheel))
    return programs


def run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.mark.slow
def test_the_wheel_holds_package_model_and_licence_and_nothing_else(wheel: Path) -> None:
    names = run(sys.executable, "-m", "zipfile", "--list", str(wheel))
    files = {line.split()[0] for line in names.splitlines()[1:]}
    shipped = {path for path in files if path.startswith("whisper_streaming/")}
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert wheel.name == f"whisper_streaming-{__version__}-py3-none-any.whl"
    assert shipped == sources
    assert "whisper_streaming/models/demo/model.bin" in shipped
    assert "whisper_streaming/web/index.html" in shipped
    assert {f.partition("/")[0] for f in files - shipped} == {
        f"whisper_streaming-{__version__}.dist-info"
    }
    assert any(f.endswith("licenses/LICENSE") for f in files)


@pytest.mark.slow
def test_the_installed_wheel_answers_from_anywhere(installed: Path, tmp_path: Path) -> None:
    program = str(installed / "whisper-streaming")

    assert run(program, "--version", cwd=tmp_path) == f"whisper-streaming {__version__}\n"
    assert "embedded" in run(program, "models", cwd=tmp_path)
    assert run(str(installed / "python"), "-m", "whisper_streaming", "--version", cwd=tmp_path)


@pytest.mark.slow
def test_the_installed_client_loads_no_model_runtime(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys, whisper_streaming.client;"
        "print(sorted(sys.modules.keys() & {'ctranslate2', 'faster_whisper', 'onnxruntime'}))"
    )

    assert run(str(installed / "python"), "-c", code, cwd=tmp_path) == "[]\n"


@pytest.mark.slow
@pytest.mark.model
def test_the_installed_wheel_transcribes(installed: Path, tmp_path: Path) -> None:
    text = run(str(installed / "whisper-streaming"), "doctor", "--port", "0", cwd=tmp_path)

    assert re.search(r"^ok  transcription ", text, re.MULTILINE)
    assert text.endswith("Everything works.\n")
