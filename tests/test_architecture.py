"""Who may import what, and that importing does nothing: docs/architecture.md as a test."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "whisper_streaming"
NAME = PACKAGE.name

# area -> areas of this package that it may import (its own is always allowed, see SIBLINGS)
ALLOWED = {
    "errors": set(),
    "version": set(),
    "cli_flags": {"errors"},
    "machine": set(),
    "core": {"errors"},
    "config": {"errors"},
    "captions": {"core"},
    "wire": {"core", "errors"},
    "media": {"core", "errors"},
    "media_clock": set(),
    "media_frames": set(),
    "media_wav": {"errors"},
    "media_memory": set(),
    "media_stream": {
        "core", "errors", "media", "media_clock", "media_frames", "media_memory", "media_wav",
    },
    "media_worker": {"media_frames", "media_memory", "media_stream"},
    "backends": {"core", "config", "errors", "machine"},
    "vad": {"core", "config", "errors"},
    "engine": {"backends", "core", "config", "errors"},
    "live": {
        "engine", "backends", "vad", "wire", "core", "config", "errors", "media_frames",
        "media_memory",
    },
    "records": {"live", "captions", "core", "config", "errors"},
    "forward": {"live", "core", "config", "errors", "version"},
    "diarization": {"live", "engine", "core", "config", "errors"},
    "alignment": {"live", "engine", "backends", "core", "config", "errors"},
    "operator_code": set(),
    "text_hook": {"live", "core", "config", "errors", "operator_code"},
    "translation": {
        "live", "engine", "backends", "wire", "core", "config", "errors", "operator_code",
    },
    "second_pass": {"live", "engine", "backends", "vad", "core", "config", "errors"},
    "stage_set": {
        "backends", "text_hook", "second_pass", "translation", "diarization", "alignment", "live",
        "vad", "config",
    },
    "server": {
        "live",
        "forward",
        "records",
        "stage_set",
        "engine",
        "wire",
        "core",
        "config",
        "errors",
        "media",
        "vad",
        "backends",
        "version",
        "cli_flags",
        "machine",
    },
    "client": {"captions", "wire", "core", "errors", "media", "version", "cli_flags"},
    "live_kit": {
        "live", "stage_set", "engine", "backends", "vad", "wire", "core", "config", "errors",
    },
    "tts": {"core", "errors", "media_wav"},
    # programs: they may use whatever they show
    "__init__": {"version", "live_kit"},
    "__main__": {"cli"},
    "cli": {
        "version", "errors", "cli_flags", "server", "listen", "transcribe", "model_listing", "demo",
        "doctor", "bench",
    },
    "bench": {
        "backends", "vad", "engine", "live", "server", "wire", "core", "config", "errors",
        "media", "evaluate", "cli_flags", "version", "machine",
    },
    "model_listing": {"backends", "cli_flags"},
    "demo": {
        "client", "backends", "vad", "engine", "core", "config", "errors", "media",
        "local_server", "evaluate", "cli_flags",
    },
    "evaluate": {"core"},
    "doctor": {"client", "server", "backends", "cli_flags", "config", "errors", "round_trip"},
    "round_trip": {"client", "backends", "core", "config", "media", "local_server"},
    "local_server": {"server", "config", "errors"},
    "listen": {"server", "client", "config", "errors", "local_server", "cli_flags"},
    "transcribe": {
        "server", "client", "config", "errors", "local_server", "cli_flags", "media",
    },
}  # fmt: skip

# Of other areas, only these modules: the rest of them is private to their area.
ONLY_THROUGH = {
    "backends": {"backends", "backends.base"},
    "config": {"config"},
    "vad": {"vad", "vad.base"},
}
MAY_LOOK_INSIDE = {
    "alignment": {"backends.whisperx", "backends.hub_access"},
    "stage_set": {"backends.hub_access"},
    "bench": {"backends.model_store", "backends.profile", "backends.allocator"},
    "model_listing": {"backends.model_store"},
    "demo": {"backends.model_store"},
    "doctor": {"backends.model_store", "backends.faster_whisper"},
    "round_trip": {"backends.model_store"},
}

# area -> packages of other people that it may import
LIBRARIES = {
    "alignment": {"numpy", "torch", "torchaudio", "whisperx"},
    "core": {"numpy"},
    "wire": {"numpy", "pydantic"},
    "config": {"pydantic"},
    "media": {"numpy", "av"},
    "media_stream": {"numpy", "av"},
    "engine": {"numpy"},
    "client": {"numpy", "websocket", "websockets", "pydantic", "rich", "pyaudio"},
    "live": {"numpy", "websockets"},
    "second_pass": {"numpy"},
    "live_kit": {"pydantic"},
    "server": {"numpy", "websockets", "pydantic"},
    "forward": {"httpx2"},
    "translation": {"numpy", "ctranslate2", "sentencepiece", "tokenizers"},
    "records": {"numpy", "av"},
    "vad": {"numpy", "faster_whisper", "threadpoolctl"},
    "diarization": {"numpy", "onnxruntime", "pyannote", "torch"},
    "backends": {
        "numpy", "ctranslate2", "faster_whisper", "huggingface_hub", "threadpoolctl", "tokenizers",
        "tqdm",
    },
    "demo": {"numpy", "rich"},
    "transcribe": {"rich"},
    "bench": {
        "numpy", "rich", "pydantic", "ctranslate2", "faster_whisper", "tokenizers", "matplotlib",
        "whisper_live",
    },
    "tts": {"numpy", "pydantic"},
    "doctor": {"ctranslate2", "faster_whisper"},
    "round_trip": {"numpy"},
}  # fmt: skip

# area -> standard modules that it must do without: the core has no clock, task, thread or log
FORBIDDEN_STDLIB = {
    "core": {"asyncio", "threading", "time", "logging", "socket", "subprocess", "os"},
    "wire": {"asyncio", "threading", "time", "logging", "socket", "subprocess", "os"},
}

# One file each; they must not know each other. Other files of the folder are shared parts.
SIBLINGS = {
    "backends.faster_whisper",
    "backends.whisperx",
    "backends.scripted",
    "vad.silero",
    "vad.energy",
    "wire.whisper_live",
    "wire.text_stream",
    "wire.whisper_live_kit",
    "wire.openai_realtime",
    "wire.deepgram",
}

# module -> why it imports inside functions
LATE_IMPORTS = {
    "stage_set": "the hub's client is slow to load, and hardly anybody needs it here",
    "alignment.loading": "whisperx is an extra, and brings torch",
    "backends": "create_backend loads the runtime of the chosen backend only",
    "vad": "create_vad loads the runtime of the chosen detector only",
    "__init__": "a client needs nothing of the library, and a program that needs it waits anyway",
    "diarization.pyannote": "torch and pyannote are extras, and only this embedder needs them",
    "translation.service": "translating by ear needs no more than the loaded model",
    "translation.pieces": "sentencepiece is an extra, and tokenizer.json needs none",
    "diarization.diarization": "only the embedder of the settings is loaded",
    "cli": "a command loads what it needs, so that --version starts at once",
    "machine": "Windows has no module resource",
    "bench.cli": "a measurement loads what it needs",
    "bench.stock_server": "whisper_live is in an environment of its own, and replaces names first",
    "bench.plot": "matplotlib is an extra, and only --plot needs it",
    "client.microphone": "pyaudio is an extra, and only a microphone needs it",
    "client.source": "pyaudio is an extra, and only a microphone needs it",
    "doctor": "has to say what is missing where anything is missing",
}

# Cannot be imported here: their library is in an environment of its own.
OF_EXTRAS = {"alignment.whisperx_model"}

# Only these talk to the process's own streams.
MAY_PRINT = {
    "cli",
    "bench.cli",
    "bench.generator",
    "bench.stock_server",
    "demo",
    "doctor",
    "transcribe",
    "listen",
    "model_listing",
    "server.cli",
    "tts.espeak_library",
}
MAY_PRINT_PREFIX = ("client.cli", "client.display")


@dataclass(frozen=True)
class Import:
    """One import: in which module, of what (dotted, as far as the statement says), and where."""

    importer: str
    imported: str
    line: int
    is_late: bool
    is_typing_only: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_name(path: Path) -> str:
    """``core/session.py`` as ``core.session``, ``core/__init__.py`` as ``core``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, ast.Module]:
    return {module_name(p): ast.parse(p.read_text()) for p in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports() -> tuple[Import, ...]:
    return tuple(found for name, tree in modules().items() for found in imports_of(name, tree))


def imports_of(module: str, tree: ast.Module) -> Iterator[Import]:
    def visit(node: ast.AST, is_late: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            late = is_late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            typing = typing_only or (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            )
            for name in imported_names(child):
                yield Import(module, name, child.lineno, is_late, typing_only)  # type: ignore[attr-defined]
            yield from visit(child, late, typing)

    return visit(tree, False, False)


def imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"relative import at line {node.lineno}"
        base = node.module or ""
        # ``from whisper_streaming.core import audio`` names a module, not a thing in one.
        return [
            f"{base}.{alias.name}" if is_module(f"{base}.{alias.name}") else base
            for alias in node.names
        ]
    return []


def is_module(dotted: str) -> bool:
    path = PACKAGE.parent.joinpath(*dotted.split("."))
    return dotted.startswith(f"{NAME}.") and (
        path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
    )


def own(dotted: str) -> str | None:
    """The module's name inside this package; None if it belongs to somebody else."""
    if dotted == NAME:
        return "__init__"
    return dotted.removeprefix(f"{NAME}.") if dotted.startswith(f"{NAME}.") else None


def area(module: str) -> str:
    return module.partition(".")[0]


def breaches_of_the_map(found: Import) -> str | None:
    importer, target = found.importer, own(found.imported)
    if target is None or area(target) == area(importer):
        return None
    if area(target) not in ALLOWED[area(importer)]:
        return f"{found}: {area(importer)} must not import {area(target)}"
    gates = ONLY_THROUGH.get(area(target), {target}) | MAY_LOOK_INSIDE.get(area(importer), set())
    if target not in gates:
        return f"{found}: only {', '.join(sorted(gates))} may be imported from outside"
    return None


def test_every_area_is_on_the_map() -> None:
    assert {area(name) for name in modules()} <= ALLOWED.keys()


def test_imports_follow_the_map() -> None:
    assert len(imports()) > 50
    assert [breach for found in imports() if (breach := breaches_of_the_map(found))] == []


def test_libraries_enter_where_they_belong() -> None:
    breaches = [
        str(found)
        for found in imports()
        if own(found.imported) is None
        and (top := found.imported.partition(".")[0]) not in sys.stdlib_module_names
        and top not in LIBRARIES.get(area(found.importer), set())
    ]

    assert breaches == []


def test_core_and_wire_have_no_clock_task_thread_or_log() -> None:
    breaches = [
        str(found)
        for found in imports()
        if found.imported.partition(".")[0] in FORBIDDEN_STDLIB.get(area(found.importer), set())
    ]

    assert breaches == []


def test_siblings_do_not_know_each_other() -> None:
    breaches = [
        str(found)
        for found in imports()
        if found.importer in SIBLINGS
        and (target := own(found.imported)) in SIBLINGS
        and target != found.importer
    ]

    assert breaches == []


def test_imports_inside_functions_have_a_reason() -> None:
    late = {found.importer for found in imports() if found.is_late}

    assert late <= LATE_IMPORTS.keys()


def test_there_are_no_cycles() -> None:
    edges: dict[str, set[str]] = {name: set() for name in modules()}
    for found in imports():
        target = own(found.imported)
        if target in edges and not found.is_typing_only and not found.is_late:
            edges[found.importer].add(target)

    def walk(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for target in sorted(edges[module]):
                walk(target, (*path, module))
            done.add(module)

    done: set[str] = set()
    for module in edges:
        walk(module, ())


def test_the_scan_sees_late_typing_and_module_imports() -> None:
    tree = ast.parse(
        "from whisper_streaming import errors\n"
        "if TYPE_CHECKING:\n    import ast\n"
        "def f():\n    import numpy.typing\n"
    )

    found = [(i.imported, i.is_late, i.is_typing_only) for i in imports_of("core.x", tree)]

    assert found == [
        ("whisper_streaming.errors", False, False),
        ("ast", False, True),
        ("numpy.typing", True, False),
    ]


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("core.session", "whisper_streaming.config"),
        ("client.source", "whisper_streaming.vad"),
        ("wire.whisper_live", "whisper_streaming.server.client_manager"),
        ("server.serve_client", "whisper_streaming.backends.faster_whisper"),
        ("engine.scheduler", "whisper_streaming.vad.base"),
    ],
)
def test_the_map_refuses_what_it_should(importer: str, imported: str) -> None:
    assert breaches_of_the_map(Import(importer, imported, 1, False, False)) is not None


def importable() -> list[str]:
    left_out = {"__main__", *OF_EXTRAS}
    return [
        NAME if name == "__init__" else f"{NAME}.{name}"
        for name in modules()
        if name not in left_out
    ]


@pytest.mark.slow
def test_importing_has_no_effect() -> None:
    code = f"""
import logging, sys, threading, importlib, signal
before = dict((s, signal.getsignal(s)) for s in signal.valid_signals())
sys.argv = ["x", "--no-such-flag"]
for name in {importable()!r}:
    importlib.import_module(name)
    assert logging.getLogger().handlers == [], f"{{name}} configures logging"
    assert threading.active_count() == 1, f"{{name}} starts a thread"
assert before == dict((s, signal.getsignal(s)) for s in signal.valid_signals())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_the_client_loads_no_model_runtime() -> None:
    runtimes = ["ctranslate2", "faster_whisper", "onnxruntime", "torch", "huggingface_hub"]
    code = f"""
import sys
import whisper_streaming.client
loaded = sys.modules.keys() & set({runtimes!r})
areas = {{name.split(".")[1] for name in sys.modules if name.startswith("whisper_streaming.")}}
print(sorted(loaded), sorted(areas & {{"server", "engine", "backends", "vad"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout.strip()) == (0, "[] []"), done.stderr


# Every vocabulary size and special token of the Whisper models lies here; so do no settings.
TOKEN_NUMBERS = range(50_000, 52_000)
MEL_COUNTS = (80, 128)


def test_no_number_of_a_vocabulary_is_written_in_the_package() -> None:
    found = [
        f"{name}:{node.lineno} {node.value}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and type(node.value) is int
        and node.value in TOKEN_NUMBERS
    ]

    assert found == []


def test_no_mel_count_is_written_in_a_backend() -> None:
    found = [
        f"{name}:{node.lineno} {node.value}"
        for name, tree in modules().items()
        if area(name) == "backends"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in MEL_COUNTS
    ]

    assert found == []


def exports(name: str) -> list[str] | None:
    for node in modules()[name].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def top_level(name: str) -> list[ast.stmt]:
    """The statements of a module, with those for type checkers."""
    return [
        inner
        for node in modules()[name].body
        for inner in (node.body if isinstance(node, ast.If) else [node])
    ]


@pytest.mark.parametrize("name", ["__init__", "client", "live_kit", "server"])
def test_public_packages_list_their_names_completely_and_in_order(name: str) -> None:
    names = exports(name)
    public = {
        alias.asname or alias.name
        for node in top_level(name)
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    } | {
        node.name
        for node in modules()[name].body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    }

    assert names is not None, f"{name} has no __all__"
    assert names == sorted(names)
    assert set(names) == public


def test_only_programs_write_to_the_terminal() -> None:
    writers = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "print")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"))
    }
    writers = {name for name in writers if not name.startswith(MAY_PRINT_PREFIX)}

    # model_store only asks stderr whether it is a terminal; cli_flags sets both up for programs.
    assert writers <= MAY_PRINT | {"backends.model_store", "cli_flags"}
