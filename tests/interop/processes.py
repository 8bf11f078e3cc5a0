"""Servers as processes of their own."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "whisper_streaming" / "models" / "demo"

_STOP_TIMEOUT_S = 20.0


@contextmanager
def our_server(log: Path, *flags: str) -> Iterator[int]:
    """Our server with the embedded model; gives the port, and stops it in order."""
    command = [ROOT / "run_websocket_server.py", "--host=127.0.0.1", "--port=0", "--model=demo"]
    # Else a busy machine would be measured to carry nobody.
    flags = ("--set=limits.calibration_s=0", *flags)
    with _listening([*map(str, command), *flags], log) as (process, line):
        yield int(line.rpartition(":")[2])
        process.terminate()
        assert process.wait(_STOP_TIMEOUT_S) == 0, log.read_text()


@contextmanager
def stock_server(packages: Path, log: Path) -> Iterator[int]:
    """The real WhisperLive server with the embedded model; gives the port."""
    program = "whisper_streaming.bench.stock_server"
    with _listening(["-m", program, str(packages), str(MODEL)], log) as (_, line):
        yield int(line)


@contextmanager
def _listening(command: Sequence[str], log: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A Python program that runs, and the first line that it prints."""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line:
                pytest.fail(f"{command} did not start: {log.read_text()}")
            yield process, line
        finally:
            process.kill()
