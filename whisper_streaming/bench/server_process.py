"""The server under test: one of our own in a process of its own, or one that runs already."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from whisper_streaming.backends.base import DEMO
from whisper_streaming.config import ServerConfig, load_config
from whisper_streaming.errors import BenchmarkError, ConfigurationError
from whisper_streaming.server.cli import build_parser, flags_of

_STOP_TIMEOUT_S: Final = 30.0
_STATUS_TIMEOUT_S: Final = 10.0
_SHOWN_LOG_LINES: Final = 5
_PROC: Final = Path("/proc")

# What would stand in the way of a load; given first, so that --server-flags can say otherwise.
OPEN_TO_ALL: Final = (
    "--max-clients=100000",
    "--max-connection-time=86400",
    "--set=limits.measured_admission=false",
)


@dataclass(frozen=True, slots=True)
class ServerUnderTest:
    """A running server.

    Attributes:
        url: Where it listens.
        pid: Its process, if that is on this machine and known.
    """

    url: str
    pid: int | None = None

    def cpu_s(self) -> float | None:
        """Processor time of it and its children so far; None where that cannot be known."""
        if self.pid is None or not _PROC.is_dir():
            return None
        return sum(map(_process_cpu_s, _family(self.pid)))

    def memory_mb(self) -> float | None:
        """Resident memory of it and its children now; None where that cannot be known."""
        if self.pid is None or not _PROC.is_dir():
            return None
        return sum(map(_process_memory_mb, _family(self.pid)))

    def status(self) -> Mapping[str, object]:
        """What its ``/status`` says; empty for a server that has none."""
        url = re.sub(r"^ws", "http", self.url).rstrip("/") + "/status"
        try:
            with urllib.request.urlopen(url, timeout=_STATUS_TIMEOUT_S) as response:
                status = json.loads(response.read())
        except (OSError, ValueError, urllib.error.URLError):
            return {}
        return status if isinstance(status, dict) else {}


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """``--model``, ``--url``, ``--pid`` and ``--server-flags``, for :func:`server_under_test`."""
    group = parser.add_argument_group("server under test")
    group.add_argument(
        "--model", default=DEMO, help="model of the server that is started (default: demo)"
    )
    group.add_argument(
        "--url",
        metavar="URL",
        help="ws:// address of a server that runs already, instead of starting one; it must "
        "allow enough clients. What is simulated beside it has --model and --server-flags",
    )
    group.add_argument(
        "--pid", type=int, help="with --url: the server's process, to count its processor time"
    )
    group.add_argument(
        "--server-flags",
        default="",
        metavar="FLAGS",
        help="more flags for the server that is started, as one argument, such as "
        "--server-flags='--set policy.min_chunk_s=0.6'",
    )


def check_server_arguments(arguments: argparse.Namespace, *, starts_models: bool) -> None:
    """Refuse flags of :func:`add_server_arguments` that are wrong or would have no effect.

    Args:
        arguments: As parsed.
        starts_models: The model is also loaded here, to be compared with the server.

    Raises:
        ConfigurationError: If one is.
    """
    if arguments.url is None:
        if arguments.pid is not None:
            raise ConfigurationError(
                "--pid is the process of the server at --url, which is missing"
            )
        return
    _check_url(arguments.url)
    if arguments.pid is not None and _PROC.is_dir() and not _stat(arguments.pid):
        raise ConfigurationError(f"there is no process {arguments.pid} for --pid")
    if not starts_models and (arguments.server_flags or arguments.model != DEMO):
        raise ConfigurationError(
            "--model and --server-flags are of a server that is started here; that of --url has "
            "its own"
        )


def server_config(arguments: argparse.Namespace) -> ServerConfig:
    """The settings of the server that :func:`server_under_test` starts.

    Raises:
        ConfigurationError: If a flag is wrong.
    """
    given = build_parser().parse_args(_server_flags(arguments))
    return load_config(flags=flags_of(given), toml_path=given.config, environ=os.environ)


@contextmanager
def server_under_test(arguments: argparse.Namespace) -> Iterator[ServerUnderTest]:
    """The server of ``--url``, or one that runs while the context is open.

    Raises:
        BenchmarkError: If it does not start.
    """
    if arguments.url is not None:
        yield ServerUnderTest(arguments.url, arguments.pid)
        return
    with own_server(_server_flags(arguments)) as server:
        yield server


@contextmanager
def own_server(flags: Sequence[str]) -> Iterator[ServerUnderTest]:
    """Our server on a free port of this machine, in a process of its own.

    Raises:
        BenchmarkError: If it does not start.
    """
    command = [sys.executable, "-m", "whisper_streaming", "serve", "--host", "127.0.0.1"]
    with listening([*command, *flags, "--port", "0"], r"ws://\S+:(\d+)") as (pid, port):
        yield ServerUnderTest(f"ws://127.0.0.1:{port}", pid)


@contextmanager
def listening(command: Sequence[str], pattern: str) -> Iterator[tuple[int, int]]:
    """Run a program that prints its port; gives (process, port), and stops it in the end.

    Args:
        command: The program.
        pattern: Matches the line with the port, which is its first group.

    Raises:
        BenchmarkError: If it ends before, with its last words.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            found = next(filter(None, (re.search(pattern, line) for line in process.stdout)), None)
            if found is None:
                log.seek(0)
                said = " | ".join(log.read().strip().splitlines()[-_SHOWN_LOG_LINES:])
                raise BenchmarkError(f"{shlex.join(command)} did not start: {said}")
            yield process.pid, int(found[1])
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is no number
        is_usable = False
    if not is_usable:
        raise ConfigurationError(f"{url!r} is no ws:// or wss:// address of a server")


def _server_flags(arguments: argparse.Namespace) -> list[str]:
    return ["--model", arguments.model, *OPEN_TO_ALL, *shlex.split(arguments.server_flags)]


# -- /proc ----------------------------------------------------------------------------------


def _family(pid: int) -> list[int]:
    """``pid`` and all that descend from it."""
    parents: dict[int, int] = {}
    for folder in _PROC.glob("[0-9]*"):
        if fields := _stat(int(folder.name)):
            parents[int(folder.name)] = int(fields[1])
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


def _process_cpu_s(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _process_memory_mb(pid: int) -> float:
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; empty if it is gone."""
    try:
        line = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return line.rpartition(")")[2].split()
