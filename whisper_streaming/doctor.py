"""``whisper-streaming doctor``: checks an installation, one line each, ok or the fix.

It has to run, and to say what is missing, where anything is missing. So nothing is imported here
that needs more than the standard library, and each check imports what it looks at.
"""

import argparse
import importlib.metadata
import importlib.util
import platform
import re
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Final, Literal

from whisper_streaming.cli_flags import print_text
from whisper_streaming.errors import OutputError

if TYPE_CHECKING:
    from whisper_streaming.server.measured import Measured

MIN_PYTHON: Final = (3, 11)
DEFAULT_PORT: Final = 9090

# The embedded model misses one word in eight, more of an excerpt so short. A broken chain hears
# nothing or nonsense.
MIN_HEARD: Final = 0.5

Device = Literal["auto", "cpu", "cuda"]

# As in setup.cfg; a test compares them. Not read from the installed metadata, because the
# program also runs from a clone after ``pip install -r requirements.txt``.
REQUIREMENTS: Final = {
    "numpy": "1.26",
    "pydantic": "2.10",
    "websockets": "17",
    "websocket-client": "1.8",
    "faster-whisper": "1.2.1",
    "ctranslate2": "4.8",
    "tokenizers": "0.20",
    "threadpoolctl": "3.5",
    "onnxruntime": "1.17",
    "huggingface-hub": "0.30",
    "av": "17.1",
    "rich": "13",
    "tqdm": "4.66",
    "httpx2": "2.16",
}


class State(Enum):
    """How a check came out, as printed."""

    OK = "ok"
    OPTIONAL = "--"
    FAULT = "no"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        state: Whether it works; ``OPTIONAL`` is something that most users do without.
        subject: What was looked at.
        detail: What was found.
        fix: What to do about it; empty if nothing.
    """

    state: State
    subject: str
    detail: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{self.state.value}  {self.subject:<16} {self.detail}"
        return f"{line} -> {self.fix}" if self.fix else line


def main(argv: Sequence[str] | None = None) -> int:
    """Run all checks; returns 0 if nothing is at fault, else 1."""
    parser = argparse.ArgumentParser(
        prog="whisper-streaming doctor",
        description="Check this installation: one line each, ok or the fix, then one real "
        "transcription by the embedded model. Exit status 0 or 1.",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where models are to run; cuda makes a missing GPU a fault (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help="port that has to be free for the server (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    try:
        return report(_checks(arguments.device, arguments.port), print_text)
    except OutputError as error:
        sys.stderr.write(f"{parser.prog}: error: {error}\n")
        return error.exit_status


def report(checks: Iterable[Callable[[], Finding]], write: Callable[[str], object]) -> int:
    """Run ``checks`` in order and write a line as soon as each is done; returns the status."""
    faults = 0
    for check in checks:
        finding = check()
        faults += finding.state is State.FAULT
        write(f"{finding}\n")
    write("Everything works.\n" if not faults else f"To fix: {faults}, see the lines with 'no'.\n")
    return 1 if faults else 0


def _checks(device: Device, port: int) -> Iterable[Callable[[], Finding]]:
    yield check_python
    for distribution, floor in REQUIREMENTS.items():
        yield partial(check_package, distribution, floor)
    if not all(_is_recent(name, floor) for name, floor in REQUIREMENTS.items()):
        return  # the rest would only say the same in worse words
    yield check_faster_whisper
    yield check_whisperx
    yield check_microphone
    yield partial(check_gpu, device)
    yield partial(check_port, port)
    yield check_model
    yield partial(check_speed, device)
    yield partial(check_round_trip, device)


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Python is new enough."""
    found = ".".join(str(part) for part in version)
    if version < MIN_PYTHON:
        return Finding(State.FAULT, "Python", found, "install Python 3.11 or newer")
    return Finding(State.OK, "Python", f"{found} on {platform.machine()}")


def check_package(distribution: str, floor: str) -> Finding:
    """A package that server or client need is installed and new enough."""
    fix = "pip install . (in the clone)"
    try:
        found = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return Finding(State.FAULT, distribution, "not installed", fix)
    if not _is_recent(distribution, floor):
        return Finding(State.FAULT, distribution, f"{found}, needs {floor} or newer", fix)
    return Finding(State.OK, distribution, found)


def check_faster_whisper() -> Finding:
    """The default backend can be imported, so its compiled parts fit this machine."""
    subject = "faster_whisper"
    try:
        import ctranslate2
        import faster_whisper
    except (ImportError, OSError) as exc:
        return Finding(State.FAULT, subject, _one_line(exc), "pip install --force-reinstall .")
    detail = f"backend, {faster_whisper.__version__} on CTranslate2 {ctranslate2.__version__}"
    return Finding(State.OK, subject, detail)


def check_whisperx() -> Finding:
    """The optional second backend; it wants older packages than ours."""
    if importlib.util.find_spec("whisperx") is None:
        return Finding(
            State.OPTIONAL,
            "whisperx",
            "backend, with word times by forced alignment; not installed",
            "make whisperx, or pip install '.[whisperx]' (in an environment of its own)",
        )
    version = importlib.metadata.version("whisperx")
    return Finding(State.OK, "whisperx", f"backend, {version}")


def check_microphone() -> Finding:
    """PyAudio and the devices that can record; files and pushed audio need neither."""
    from whisper_streaming.client.microphone import list_devices
    from whisper_streaming.errors import AudioSourceError

    subject = "audio devices"
    if importlib.util.find_spec("pyaudio") is None:
        return Finding(
            State.OPTIONAL,
            subject,
            "PyAudio is not installed (only a microphone needs it)",
            "sudo apt install portaudio19-dev gcc python3-dev && pip install '.[mic]'",
        )
    try:
        devices = list_devices()
    except (AudioSourceError, OSError) as exc:
        return Finding(State.OPTIONAL, subject, _one_line(exc))
    if not devices:
        return Finding(State.OPTIONAL, subject, "none can record", "connect a microphone")
    names = ", ".join(f"{device.index}: {device.name}" for device in devices)
    return Finding(State.OK, subject, names)


def check_gpu(device: Device) -> Finding:
    """Whether models can run on a GPU; a fault only where one was asked for."""
    from whisper_streaming.backends.faster_whisper import choose_device
    from whisper_streaming.backends.model_store import DEMO_PATH
    from whisper_streaming.config import BackendSettings
    from whisper_streaming.errors import ModelLoadError

    subject = "device"
    if device == "cpu":
        return Finding(State.OK, subject, "cpu, as asked for")
    try:
        chosen = choose_device(BackendSettings(device=device), [DEMO_PATH])
    except ModelLoadError as exc:
        return Finding(
            State.FAULT, subject, _one_line(exc), "pip install '.[gpu]', or --device cpu"
        )
    return Finding(State.OK, subject, f"{chosen.name}, {chosen.compute_type}")


def check_port(port: int) -> Finding:
    """The server could listen on ``port``, or does so already."""
    subject = f"port {port}"
    if not 0 <= port < 65536:
        return Finding(State.FAULT, subject, "there is no such port", "--port 0 ... 65535")
    try:
        with socket.create_server(("localhost", port)):
            return Finding(State.OK, subject, "free")
    except OSError as exc:
        if _answers_as_server(port):
            return Finding(State.OK, subject, "a whisper-streaming server runs there")
        reason = exc.strerror or _one_line(exc)
        return Finding(State.FAULT, subject, reason, f"stop what uses it, or --port {port + 1}")


def check_model() -> Finding:
    """Which model a server without ``--model`` would load. Asks no network."""
    from whisper_streaming.backends.model_store import (
        DEMO_PATH,
        PREFERRED,
        list_models,
        missing_files,
    )

    subject = "model"
    missing = missing_files(DEMO_PATH)
    if missing:
        detail = f"the embedded model lacks {', '.join(missing)}"
        return Finding(State.FAULT, subject, detail, "pip install --force-reinstall .")
    if any(line.path for line in list_models() if line.name == PREFERRED):
        return Finding(State.OK, subject, f"{PREFERRED!r} is on this machine")
    return Finding(
        State.OPTIONAL,
        subject,
        f"{PREFERRED!r} is not on this machine; if it cannot be fetched, the embedded model is "
        "used, which understands synthetic voices only",
        f"whisper-streaming serve --model {PREFERRED} (once, with network access)",
    )


def check_round_trip(device: Device) -> Finding:
    """Server, client and embedded model together hear a bundled recording."""
    from whisper_streaming.errors import WhisperStreamingError
    from whisper_streaming.round_trip import run_round_trip

    subject = "transcription"
    try:
        trip = run_round_trip(device)
    except WhisperStreamingError as exc:
        return Finding(State.FAULT, subject, _one_line(exc), "see the line above, or report it")
    heard = f"{trip.words_heard} of {len(trip.said)} words in {trip.took_s:.1f} s"
    if trip.words_heard < MIN_HEARD * len(trip.said):
        text = " ".join(trip.heard) or "nothing"
        return Finding(State.FAULT, subject, f"{heard}; heard: {text}", "report it")
    return Finding(State.OK, subject, f"{heard}, by the embedded model")


def check_speed(device: Device) -> Finding:
    """What the machine carries live, estimated from the embedded model's decodes."""
    from whisper_streaming.backends import create_backend
    from whisper_streaming.backends.base import DEMO
    from whisper_streaming.config import BackendSettings, LimitSettings
    from whisper_streaming.errors import WhisperStreamingError
    from whisper_streaming.server.measured import Measured, measure

    subject = "speed"
    try:
        backend = create_backend(BackendSettings(models=(DEMO,), device=device))
        try:
            backend.warm_up()
            calibrations = measure(backend, LimitSettings().calibration_s)
        finally:
            backend.close()
    except WhisperStreamingError as exc:
        return Finding(State.FAULT, subject, _one_line(exc), "see the lines above, or report it")
    return describe_speed(Measured(calibrations, backend.info), DEMO)


def describe_speed(measured: "Measured", model: str) -> Finding:
    """What an operator learns from the measured ``model``."""
    subject = "speed"
    pace = measured.pace(model)
    detail = (
        f"real-time factor {pace.rtf:.2f} and about {measured.sessions} live sessions with the "
        "embedded model"
    )
    if pace.largest_live_model is None:
        fix = "take a machine with more or faster cores, or a GPU, for people's voices"
        return Finding(State.OPTIONAL, subject, f"{detail}; too slow for any stock model", fix)
    largest = f"{pace.largest_live_model!r} is the largest stock model that it carries live"
    return Finding(State.OK, subject, f"{detail}; {largest}")


def _is_recent(distribution: str, floor: str) -> bool:
    try:
        found = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return _release(found) >= _release(floor)


def _release(version: str) -> tuple[int, ...]:
    """``"17.4rc1"`` as ``(17, 4)``: enough to compare with a floor."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def _answers_as_server(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=2) as answer:
            return bool(answer.read(16) == b"ok\n")
    except (OSError, HTTPException):  # refused, silent, or no HTTP at all
        return False


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split()) or type(exc).__name__
