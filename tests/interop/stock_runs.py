"""Runs of the real WhisperLive client, several at a time, and what came out of each."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from whisper_streaming.bench.stock_environment import StockEnvironment

_HERE = Path(__file__).parent
_PROGRAM = _HERE / "stock_program.py"
_STUBS = _HERE / "stubs"
_TIMEOUT_S = 90.0

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run of ``stock_program.py``, which describes the fields; ``variables`` go to it too."""

    kind: str
    audio: Path
    clients: Sequence[Mapping[str, object]]
    quiet_s: float = 6.0
    last_words: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle; times in seconds."""

    number: int
    start: float
    end: float
    text: str


@dataclass(frozen=True)
class StockSession:
    """What one client of a run received and kept."""

    transcript: list[Message]
    language: str | None
    received: list[tuple[float, Message]]
    ended: float | None

    @property
    def text(self) -> str:
        return "".join(segment["text"] for segment in self.transcript).strip()

    @cached_property
    def messages(self) -> list[Message]:
        return [message for _, message in self.received]

    @cached_property
    def updates(self) -> list[list[Message]]:
        """The list of each segments message."""
        return [message["segments"] for message in self.messages if "segments" in message]

    @cached_property
    def completed(self) -> list[Message]:
        """Every completed segment that the server sent, in order, each once."""
        distinct: list[Message] = []
        for segment in (s for update in self.updates for s in update if s["completed"]):
            if segment not in distinct:
                distinct.append(segment)
        return distinct

    @property
    def last_text_at(self) -> float:
        """When the text changed for the last time."""
        times: dict[str, float] = {}
        for at, message in self.received:
            if "segments" in message:
                times.setdefault(message["segments"][-1]["text"], at)
        return max(times.values())


@dataclass(frozen=True)
class StockRun:
    """A run that is over."""

    status: int
    output: str
    errors: str
    folder: Path

    @cached_property
    def outcome(self) -> dict[str, Any]:
        path = self.folder / "outcome.json"
        assert path.is_file(), f"exit status {self.status}\n{self.output[-2000:]}\n{self.errors}"
        outcome: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return outcome

    @cached_property
    def sessions(self) -> list[StockSession]:
        return [
            StockSession(
                transcript=session["transcript"],
                language=session["language"],
                received=[(at, message) for at, message in session["received"]],
                ended=session["ended"],
            )
            for session in self.outcome["sessions"]
        ]

    @property
    def session(self) -> StockSession:
        (only,) = self.sessions
        return only

    def subtitles(self, name: str = "output.srt") -> list[Cue]:
        """The subtitle file that the client wrote."""
        blocks = (self.folder / name).read_text(encoding="utf-8").strip().split("\n\n")
        return [_cue(*block.split("\n", 2)) for block in blocks]


class StockRuns:
    """Starts scenarios and keeps their runs by name."""

    def __init__(self, environment: StockEnvironment, folder: Path, parallel: int) -> None:
        self._environment = environment
        self._folder = folder
        self._pool = ThreadPoolExecutor(parallel)
        self._runs: dict[str, Future[StockRun]] = {}

    def start(self, name: str, port: int, scenario: Scenario) -> None:
        self._runs[name] = self._pool.submit(self._run, name, port, scenario)

    def __getitem__(self, name: str) -> StockRun:
        return self._runs[name].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _run(self, name: str, port: int, scenario: Scenario) -> StockRun:
        folder = self._folder / name
        folder.mkdir()
        job = {
            "kind": scenario.kind,
            "port": port,
            "audio": str(scenario.audio),
            "clients": list(scenario.clients),
            "quiet_s": scenario.quiet_s,
            "last_words": scenario.last_words,
        }
        done = subprocess.run(
            [self._environment.python, _PROGRAM, json.dumps(job)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(_STUBS), **scenario.variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
        return StockRun(done.returncode, done.stdout, done.stderr, folder)


def _cue(number: str, times: str, text: str) -> Cue:
    start, end = (_seconds(time) for time in times.split(" --> "))
    return Cue(int(number), start, end, text.strip())


def _seconds(time: str) -> float:
    match = re.fullmatch(r"(\d\d):(\d\d):(\d\d),(\d{3})", time)
    assert match is not None, time
    hours, minutes, seconds, milliseconds = map(int, match.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
