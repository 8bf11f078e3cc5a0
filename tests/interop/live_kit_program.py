"""Runs the real client code of WhisperLiveKit in its own environment and writes down what it made.

Two arguments: a JSON file with the tasks, and one for the outcome. A task has a ``kind``:

- ``reconstruct``: ``messages`` of diff mode; gives the states that its client makes of them;
- ``track``: ``states``, as keyword arguments of its ``FrontData`` with lines as those of its
  ``Segment``; gives the messages that its tracker makes of them;
- ``transcribe``: ``audio`` (16 kHz mono WAV), ``url`` and keyword arguments of its test client;
  gives what the client received and how its list of lines fared at each diff.

Imports nothing of this project.
"""

import asyncio
import importlib.util
import json
import sys
import types
import wave
from pathlib import Path
from typing import Any

# Its package imports torch and a web server at once; these modules need neither.
_found = importlib.util.find_spec("whisperlivekit")
assert _found is not None
_package = types.ModuleType("whisperlivekit")
_package.__path__ = list(_found.submodule_search_locations or [])
sys.modules["whisperlivekit"] = _package

from whisperlivekit import diff_protocol, test_client, timed_objects  # noqa: E402

Record = dict[str, Any]


def reconstruct(task: Record) -> list[Record]:
    """States by its client."""
    lines: list[Record] = []
    states = []
    for message in task["messages"]:
        state = test_client.reconstruct_state(message, lines)
        states.append({**state, "lines": list(lines)})
    return states


def track(task: Record) -> list[Record]:
    """Messages by its tracker."""
    tracker = diff_protocol.DiffTracker()
    messages = []
    for fields in task["states"]:
        lines = [timed_objects.Segment(**line) for line in fields["lines"]]
        messages.append(tracker.to_message(timed_objects.FrontData(**{**fields, "lines": lines})))
    return messages


async def transcribe(task: Record) -> Record:
    """A session by its test client, which takes the audio from an ffmpeg program otherwise."""
    counts: list[tuple[int, int]] = []
    reconstruct_state = test_client.reconstruct_state

    def tapped(message: Record, lines: list[Record]) -> Record:
        state: Record = reconstruct_state(message, lines)
        counts.append((message.get("n_lines", len(state["lines"])), len(lines)))
        return state

    test_client.reconstruct_state = tapped
    test_client.load_audio_pcm = read_samples
    result = await test_client.transcribe_audio(task["audio"], task["url"], **task["options"])
    return {
        "responses": result.responses,
        "text": result.text,
        "committed_text": result.committed_text,
        "lines": result.lines,
        "counts": counts,
    }


def read_samples(path: str) -> bytes:
    with wave.open(path, "rb") as recording:
        return recording.readframes(recording.getnframes())


async def run(tasks: list[Record]) -> list[Any]:
    """One task after the other."""
    outcomes: list[Any] = []
    for task in tasks:
        match task["kind"]:
            case "reconstruct":
                outcomes.append(reconstruct(task))
            case "track":
                outcomes.append(track(task))
            case "transcribe":
                outcomes.append(await transcribe(task))
    return outcomes


def main() -> None:
    tasks, outcome = map(Path, sys.argv[1:])
    outcomes = asyncio.run(run(json.loads(tasks.read_text(encoding="utf-8"))))
    outcome.write_text(json.dumps(outcomes), encoding="utf-8")


if __name__ == "__main__":
    main()
