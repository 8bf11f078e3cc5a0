"""A folder in which printed examples run: recordings, stand-ins on the path, a running server."""

import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from tests.contract import stand_in
from tests.contract.command_lines import check_shell, program_of, split_commands
from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.local_server import local_server
from whisper_streaming.media import decode_media

ROOT = stand_in.ROOT
HERE = Path(__file__).parent
DATA = ROOT / "tests" / "data"

PRINTED_PORT = "9090"
TIMEOUT_S = 60.0

# language -> recording and number of the sentence
_SENTENCES = {"en": ("en-1-slt", 7), "de": ("lang-de", 0), "tr": ("lang-tr", 1)}
_MARGIN_S = 0.3

_RECORDINGS = re.compile(r"(?<![\w/.*-])[\w-]+\.(?:wav|mp3|m4a|flac|ogg|webm|mp4)\b")
_STAND_INS = ("python", "python3", "whisper-streaming", *stand_in.FOREIGN)
# Beside the stand-ins, printed commands may use these; anything else must be decided on.
_TOOLS = {"cd", ".", "source", "export", "echo", "cat", "grep", "ls", "mkdir", "head", "tail"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A short recording that the embedded model understands without a mistake.

    Attributes:
        text: What is said.
        english: The same in English.
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
    """

    text: str
    english: str
    samples: FloatArray


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended."""

    returncode: int
    stdout: str
    stderr: str

    def expect_success(self) -> "Outcome":
        """Itself.

        Raises:
            AssertionError: If the program failed.
        """
        assert self.returncode == 0, f"status {self.returncode}\n{self.stdout}\n{self.stderr}"
        return self


@dataclass(frozen=True, slots=True)
class Done:
    """What a stand-in did; see :mod:`tests.contract.stand_in`."""

    name: str
    arguments: tuple[str, ...]
    returncode: int
    how: str
    status: dict[str, object] | None
    host: str | None
    log: str


class Workshop:
    """Runs printed blocks, one after the other, in one folder.

    Args:
        folder: Empty.
        port: Of a server with the embedded model.
        environment: What its programs are told beside what all are.
    """

    def __init__(
        self, folder: Path, port: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.port = port
        self._own_environment = dict(environment or {})
        self._log = folder / ".log"
        self._programs = folder / ".programs"
        self._blocks = 0
        self._make_programs()
        for path in (path for pattern in stand_in.CLONED for path in ROOT.glob(pattern)):
            (folder / path.name).symlink_to(path)
        for name in ("a.wav", "audio.wav"):
            self.add_recording(name)

    def add_recording(self, name: str, language: str = "en") -> Path:
        """Put a recording of one sentence into the folder, whatever its name ends with."""
        path = self.folder / name
        samples = sentence(language).samples
        with path.open("wb") as file:
            soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
        return path

    def run_shell(self, text: str) -> tuple[Outcome, list[Done]]:
        """Run a shell block as printed; the first command that fails ends it.

        Raises:
            AssertionError: If a command gives one of our programs arguments that it refuses, or
                runs a program that is not known here.
        """
        check_shell(text)
        unknown = {program_of(words) for words in split_commands(text)} - {*_STAND_INS, *_TOOLS}
        assert not unknown, f"what is to be done with {sorted(unknown)}?"
        self._add_named_recordings(text)
        text = text.replace("/path/to/whisper_streaming", ".").replace("/path/to/", "./")
        self._log.unlink(missing_ok=True)
        script = f"set -eo pipefail\n{self._with_port(text)}\nwait\n"
        outcome = self.run(["bash", "-c", script])
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return outcome, [_read_done(json.loads(line)) for line in lines]

    def run_python(self, source: str) -> Outcome:
        """Run a program as printed; one that serves is stopped once it does."""
        self._add_named_recordings(source)
        if re.search(r"WhisperStreamingServer\(.*\.run\(", source, re.DOTALL):
            return self._run_server(source)
        program = self._write(self._with_port(source), "py")
        return self.run([sys.executable, str(HERE / "snippet.py"), str(self.port), str(program)])

    def run_javascript(self, source: str, node: list[str]) -> Outcome:
        """Run a program in Node."""
        return self.run([*node, str(self._write(self._with_port(source), "mjs"))])

    def run(self, command: list[str], *, microphone: bool = True) -> Outcome:
        """Run a program to its end.

        Args:
            command: The program and its arguments.
            microphone: There are PyAudio and a microphone, else neither.
        """
        environment = self._environment()
        if not microphone:
            environment["PYTHONPATH"] = f"{HERE / 'silent'}{os.pathsep}{ROOT}"
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def _run_server(self, source: str) -> Outcome:
        port = free_port()
        program = self._write(source.replace(PRINTED_PORT, str(port)), "py")
        process = subprocess.Popen(
            [sys.executable, str(program)],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            if wait_until_healthy(process, port):
                process.send_signal(signal.SIGTERM)
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        return Outcome(process.returncode, stdout, stderr)

    def _environment(self) -> dict[str, str]:
        """No hub, no cached model, a microphone, and the stand-ins before everything else."""
        return {
            **os.environ,
            "PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{HERE / 'stubs'}{os.pathsep}{ROOT}",
            "HF_HOME": "/nonexistent/huggingface",
            "HF_HUB_OFFLINE": "1",
            # It takes seconds of each start, and a busy machine would carry nobody.
            "WHISPER_STREAMING__LIMITS__CALIBRATION_S": "0",
            "MICROPHONE_RECORDING": str(self.folder / "audio.wav"),
            "CONTRACT_LOG": str(self._log),
            "CONTRACT_PORT": str(self.port),
            "CONTRACT_PROGRAMS": str(self._programs),
            **self._own_environment,
        }

    def _make_programs(self) -> None:
        self._programs.mkdir()
        for name in _STAND_INS:
            path = self._programs / name
            program = shlex.join([sys.executable, str(HERE / "stand_in.py"), name])
            path.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def _with_port(self, text: str) -> str:
        return text.replace(PRINTED_PORT, str(self.port))

    def _add_named_recordings(self, text: str) -> None:
        for name in set(_RECORDINGS.findall(text)):
            if not (self.folder / name).exists():
                self.add_recording(name)

    def _write(self, source: str, ending: str) -> Path:
        self._blocks += 1
        path = self.folder / f"block_{self._blocks}.{ending}"
        path.write_text(source)
        return path


@contextmanager
def open_workshop(folder: Path) -> Iterator[Workshop]:
    """A workshop with a running server."""
    config = ServerConfig(
        backend=BackendSettings(models=("demo",)),
        limits=LimitSettings(max_clients=8, calibration_s=0),
    )
    with local_server(config) as port:
        yield Workshop(folder, port)


def sentence(language: str = "en") -> Sentence:
    """A sentence of one to two seconds in English, German or Turkish."""
    name, index = _SENTENCES[language]
    utterance = json.loads((DATA / f"{name}.json").read_text())["utterances"][index]
    samples = np.concatenate(list(decode_media(DATA / f"{name}.flac")))
    begin, end = utterance["start"] - _MARGIN_S, utterance["end"] + _MARGIN_S
    text = utterance["text"]
    cut = samples[samples_of(begin) : samples_of(end)]
    return Sentence(text, utterance.get("english", text), cut)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("localhost", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_healthy(process: subprocess.Popen[str], port: int) -> bool:
    """Wait until a server answers on ``port``; False if ``process`` ends before."""
    give_up_at = time.monotonic() + TIMEOUT_S
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)  # another process: there is nothing to wait on
    raise AssertionError(f"no server on port {port} after {TIMEOUT_S:.0f} s")


def _read_done(fields: dict[str, object]) -> Done:
    status = fields.get("status")
    return Done(
        name=str(fields["name"]),
        arguments=tuple(map(str, fields["arguments"])),  # type: ignore[call-overload]
        returncode=int(str(fields["returncode"])),
        how=str(fields["how"]),
        status=status if isinstance(status, dict) else None,
        host=None if fields.get("host") is None else str(fields["host"]),
        log=str(fields.get("log", "")),
    )
