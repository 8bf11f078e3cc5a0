"""Flags of the server: each has an effect."""

import importlib.util
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.peers import WORDS, serving, transcribe
from whisper_streaming.config import ServerConfig, load_config
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.server.cli import announce, build_parser, flags_of, main


def config_of(*argv: str) -> ServerConfig:
    return load_config(flags=flags_of(build_parser().parse_args(argv)))


@pytest.fixture(autouse=True)
def _restore_log_levels() -> Iterator[None]:
    names = ("whisper_streaming", "whisper_streaming.websocket")
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_without_flags_the_defaults_hold() -> None:
    assert config_of() == ServerConfig()


@pytest.mark.parametrize(
    ("argv", "setting", "value"),
    [
        (["--host", "0.0.0.0"], "host", "0.0.0.0"),
        (["-H", "0.0.0.0"], "host", "0.0.0.0"),
        (["--port", "0"], "port", 0),
        (["-p", "9002"], "port", 9002),
        (["--no-pages"], "pages", False),
        (["--ssl-certfile", "c.pem"], "tls.certfile", "c.pem"),
        (["--ssl_certfile=c.pem", "--ssl_keyfile=k.pem"], "tls.keyfile", "k.pem"),
        (["--backend", "scripted"], "backend.kind", "scripted"),
        (["--backend", "faster-whisper"], "backend.kind", "faster_whisper"),
        (["--model", "tiny"], "backend.models", ("tiny",)),
        (["--model", "tiny", "-m", "base"], "backend.models", ("tiny", "base")),
        (["--language", "de"], "language", "de"),
        (["-l", "auto"], "language", None),
        (["--task", "translate"], "task", "translate"),
        (["--translate"], "task", "translate"),
        (["-tr"], "task", "translate"),
        (["--max-clients", "9"], "limits.max_clients", 9),
        (["--max_clients", "9"], "limits.max_clients", 9),
        (["--max_clients=9"], "limits.max_clients", 9),
        (["--max-connection-time", "1800"], "limits.max_connection_time_s", 1800.0),
        (["--refine-at-end"], "second_pass.enabled", True),
        (["--text-hook", "my_hooks:clean"], "text_hook.name", "my_hooks:clean"),
        (["--no-vad"], "vad.enabled", False),
        (["--no-vad", "--use-vad"], "vad.enabled", True),
        (["--vad-thold", "0.2"], "vad.threshold", 0.2),
        (["-vth", "0.6"], "vad.threshold", 0.6),
        (["--log-level", "debug"], "log_level", "DEBUG"),
        (["--threads", "3"], "backend.threads", 3),
        (["-t", "3"], "backend.threads", 3),
        (["--device", "cuda"], "backend.device", "cuda"),
        (["--no-gpu"], "backend.device", "cpu"),
        (["-ng"], "backend.device", "cpu"),
        (["--compute-type", "float32"], "backend.compute_type", "float32"),
        (["--beam-size", "5"], "backend.beam_size", 5),
        (["-bs", "5"], "backend.beam_size", 5),
        (["--policy", "edge_commit"], "policy.kind", "edge_commit"),
        (["--policy", "local-agreement"], "policy.kind", "local_agreement"),
        (["--set", "policy.sure_margin_s=0.5"], "policy.sure_margin_s", 0.5),
        (["--set", "policy.min_chunk_s=0.5"], "policy.min_chunk_s", 0.5),
        (["--set", "policy.min-chunk-s=0.5"], "policy.min_chunk_s", 0.5),
        (["--port", "1", "--set", "port=2"], "port", 2),
    ],
    ids=str,
)
def test_a_flag_sets_its_setting(argv: list[str], setting: str, value: object) -> None:
    config = config_of(*argv).model_dump()
    for part in setting.split("."):
        config = config[part]

    assert config == value


def test_the_threshold_of_speech_takes_its_release_along() -> None:
    assert config_of("--vad-thold", "0.2").vad.release == pytest.approx(0.05)
    assert config_of("--vad-thold", "0.1").vad.release == 0.0


@pytest.mark.parametrize("assignment", ["policy.min_chunk_s", "=3", "nonsense"])
def test_a_setting_needs_a_name_and_a_value(assignment: str) -> None:
    with pytest.raises(ConfigurationError, match=r"GROUP\.FIELD=VALUE"):
        config_of("--set", assignment)


def test_flags_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        config_of("--max-conn", "9")

    assert left.value.code == 2
    assert "--max-conn" in capsys.readouterr().err


def test_whisperx_flags_are_settings() -> None:
    config = config_of(
        "--backend", "whisperx", "--align-model", "demo", "--align-model", "de=some/folder",
        "--huggingface-token", "T",
    )  # fmt: skip

    assert config.backend.kind == "whisperx"
    assert config.alignment.models == ("demo", "de=some/folder")
    assert config.hub.token is not None
    assert config.hub.token.get_secret_value() == "T"
    assert "T" not in str(config.hub)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_console_on_a_full_disk_keeps_no_server_from_serving(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server:
        with Path("/dev/full").open("w") as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            announce(server)
        assert await transcribe(server) == " ".join(WORDS)

    assert (
        "the lines for the console are lost: standard output cannot be written: "
        "No space left on device" in caplog.messages
    )


def test_without_whisperx_its_backend_ends_before_the_port_opens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "whisperx" else find_spec(name, *rest),
    )

    assert main(["--backend", "whisperx", "--model", "demo", "--port", "0"]) == 1
    output = capsys.readouterr()
    assert "needs the package whisperx, which is not installed" in output.err
    assert "make whisperx" in output.err
    assert output.out == ""


@pytest.mark.parametrize("argv", [["--align-model", "demo"], ["--huggingface-token", "T"]])
def test_whisperx_flags_do_not_silently_do_nothing(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert argv[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--max-clients", "0"], "limits.max_clients"),
        (["--port", "99999"], "port"),
        (["--task", "sing"], "task"),
        (["--set", "limits.max_clowns=3"], "limits.max_clowns"),
        (["--config", "no-such-file.toml"], "no-such-file.toml"),
        (["--min-speakers", "3", "--max-speakers", "2"], "min_speakers must not be above"),
    ],
)
def test_wrong_settings_end_with_2(
    argv: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert complaint in capsys.readouterr().err


def test_a_settings_file_is_read_and_flags_win(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "server.toml"
    path.write_text("[limits]\nmax_clients = 0\n")

    assert main(["--config", str(path)]) == 2
    assert "limits.max_clients" in capsys.readouterr().err


def test_the_environment_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHISPER_STREAMING__LIMITS__MAX_CLIENTS", "0")

    assert main([]) == 2
    assert "limits.max_clients" in capsys.readouterr().err


def test_a_model_that_cannot_be_had_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", "0", "--model", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_a_default_language_that_the_model_lacks_ends_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--port", "0", "--backend", "scripted", "--language", "ja"]) == 2
    assert "does not know the language 'ja'" in capsys.readouterr().err


def test_a_language_may_be_several_and_change_with_the_utterance() -> None:
    config = config_of("-l", "en,tr", "--language-lock", "utterance")

    assert config.language == "en,tr"
    assert config.policy.language_lock == "utterance"


def test_a_taken_port_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["--host", "127.0.0.1", "--port", port, "--backend", "scripted"]) == 1

    error = capsys.readouterr().err
    assert "already in use" in error
    assert "--port 0" in error


def test_help_teaches_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])

    text = capsys.readouterr().out
    assert left.value.code == 0
    assert "examples:" in text
    assert "--host 0.0.0.0 --model medium --max-clients 10" in text
    assert "WHISPER_STREAMING__LIMITS__MAX_CLIENTS=8" in text


@pytest.mark.slow
def test_the_script_prints_its_version(repository: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "run_websocket_server.py", "--version"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )

    assert printed.stdout.startswith("whisper-streaming ")


FEW_FILES = """
import resource
from whisper_streaming.server.cli import main
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
main(["--ssl-certfile", "missing.pem"])  # it stops there
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_server_may_open_more_files_than_systems_allow_at_first(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FEW_FILES], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert done.stdout == "True\n", done.stderr
