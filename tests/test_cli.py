"""The console command: what it dispatches, says and loads."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from whisper_streaming import __version__, cli
from whisper_streaming.cli import COMMANDS, Command, main

FULL_DISK = Path("/dev/full")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "whisper_streaming", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"whisper-streaming {__version__}\n"


def test_a_reader_that_leaves_is_no_fault_of_the_program() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)  # as "| head" does
    with os.fdopen(write_end, "wb") as stdout:
        program = [sys.executable, "-u", "-m", "whisper_streaming", "models"]
        done = subprocess.run(program, stdout=stdout, stderr=subprocess.PIPE, timeout=60)

    assert done.stderr == b""
    assert done.returncode == 1


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["models"], ["--version"], ["--help"]])
def test_a_full_disk_is_told_in_one_line(arguments: list[str]) -> None:
    with FULL_DISK.open("wb") as stdout:
        program = [sys.executable, "-m", "whisper_streaming", *arguments]
        done = subprocess.run(program, stdout=stdout, stderr=subprocess.PIPE, timeout=60)

    assert done.stderr == (
        b"whisper-streaming: error: standard output cannot be written: No space left on device\n"
    )
    assert done.returncode == 1


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    text = capsys.readouterr().out
    assert [c.name for c in COMMANDS] == [
        "serve", "listen", "transcribe", "models", "demo", "doctor", "bench",
    ]  # fmt: skip
    assert all(f"  {c.name} " in text and c.summary in text for c in COMMANDS)


def test_no_command_is_a_usage_error_that_shows_the_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert "usage: whisper-streaming COMMAND" in capsys.readouterr().err


def test_an_unknown_command_is_a_usage_error_that_names_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sevre"]) == 2
    assert capsys.readouterr().err == (
        "whisper-streaming: there is no command 'sevre'; "
        "there are: serve, listen, transcribe, models, demo, doctor, bench\n"
    )


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_a_help_of_its_own(command: str) -> None:
    done = run(command, "--help")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")


def test_ctrl_c_while_a_command_is_imported_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(argv: Sequence[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "COMMANDS", (Command("serve", "start", interrupted),))

    assert main(["serve"]) == 130


def test_the_version_loads_no_library() -> None:
    code = """
import sys
from whisper_streaming.cli import main
main(["--version"])
print(sorted(sys.modules.keys() & {"numpy", "pydantic", "websockets", "ctranslate2", "rich"}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout == f"whisper-streaming {__version__}\n[]\n"


def test_models_lists_names_and_the_way_to_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HOME", "/nonexistent/huggingface")
    done = run("models")

    assert done.returncode == 0, done.stderr
    assert "  demo               here  embedded\n" in done.stdout
    assert "  large-v3           -     Systran/faster-whisper-large-v3\n" in done.stdout
    assert "whisper_streaming/models/demo" in done.stdout
    assert "/nonexistent/huggingface/hub" in done.stdout
    assert "whisper-streaming serve --model small" in done.stdout
