"""Replays recorded conversations: what a client sent, what a session said, what came of it.

Each line of a trace is one step. Its first key says what happens (``connect``, ``client_text``,
``client_base64``, ``events``, ``welcome``, ``refuse_full``, ``fail``, ``overtime``, ``farewell``);
the other keys say what came of it: ``commands`` or ``error`` of a client's message, ``sent``
by the server, and ``read`` by our client from what was sent.

``python -m tests.wire.golden FILE...`` records the outcomes anew after a wanted change.
"""

import base64
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from whisper_streaming.core import events as event_types
from whisper_streaming.core.events import AudioAccount, Event, GapReason
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.errors import ProtocolError, WhisperStreamingError
from whisper_streaming.wire.base import Audio, Command, Welcome
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_messages import parse_server_message

Step = dict[str, Any]


def read_trace(path: Path) -> list[Step]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def replay(steps: Sequence[Step]) -> list[Step]:
    """The same steps with what comes of them now."""
    codec = WhisperLiveServerCodec()
    error: WhisperStreamingError | None = None
    replayed: list[Step] = []
    for step in steps:
        action, argument = next(iter(step.items()))
        outcome: Step = {}
        if action == "connect":
            codec = WhisperLiveServerCodec()
        elif action in ("client_text", "client_base64"):
            message = argument if action == "client_text" else base64.b64decode(argument)
            try:
                outcome["commands"] = [_command(command) for command in codec.receive(message)]
            except ProtocolError as caught:
                error = caught
                outcome["error"] = f"{type(error).__name__}: {error}"
        else:
            outcome = _sent(codec, action, argument, error)
        replayed.append({action: argument, **outcome})
    return replayed


def _sent(
    codec: WhisperLiveServerCodec, action: str, argument: Any, error: WhisperStreamingError | None
) -> Step:
    match action:
        case "events":
            messages = codec.encode([_event(*next(iter(event.items()))) for event in argument])
        case "welcome":
            messages = codec.welcome(Welcome(**argument))
        case "refuse_full":
            messages = codec.refuse_full(argument)
        case "fail":
            assert error is not None, "nothing failed before"
            messages = codec.fail(error)
        case "overtime":
            messages = codec.overtime()
        case "farewell":
            messages = codec.farewell(argument)
        case _:
            raise AssertionError(f"unknown step {action!r}")
    read = [parse_server_message(message) for message in messages]
    return {
        "sent": messages,
        "read": [
            {type(message).__name__: json.loads(json.dumps(asdict(message)))} for message in read
        ],
    }


def _command(command: Command) -> Step:
    fields = command.samples.tolist() if isinstance(command, Audio) else asdict(command)
    return {type(command).__name__: fields}


def _event(name: str, fields: Step) -> Event:
    fields = dict(fields)
    if "words" in fields:
        fields["words"] = tuple(Word(**word) for word in fields["words"])
    if "account" in fields:
        fields["account"] = AudioAccount(**fields["account"])
    if "reason" in fields:
        fields["reason"] = GapReason(fields["reason"])
    event: Event = getattr(event_types, name)(**fields)
    return event


def _record(path: Path) -> None:
    lines = [json.dumps(step, ensure_ascii=False) for step in replay(read_trace(path))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _record(Path(name))
