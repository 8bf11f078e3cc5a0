"""Replays recorded conversations: what a client sent, what a session said, what came of it.

Each line of a trace is one step. Its first key says what happens (``connect`` with what the URL
asks for, ``open``, ``client_text``, ``client_base64``, ``lag_s``, ``events``, ``welcome``,
``refuse_full``, ``fail``, ``overtime``, ``farewell``); the other keys say what came of it:
``commands`` or ``error`` of a client's message, ``sent`` by the server, ``close`` with which code,
and ``read`` by a client from what was sent: our client of WhisperLive, and the documented one
of WhisperLiveKit.

``python -m tests.wire.golden FILE...`` records the outcomes anew after a wanted change.
"""

import base64
import json
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.core import events as event_types
from whisper_streaming.core.events import AudioAccount, Event, GapReason, InputFault
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.errors import ProtocolError, WhisperStreamingError
from whisper_streaming.wire.base import Audio, Command, Configure, ServerCodec, Welcome
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec
from whisper_streaming.wire.whisper_live_messages import parse_server_message

Step = dict[str, Any]


def read_trace(path: Path) -> list[Step]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def replay(steps: Sequence[Step], protocol: str) -> list[Step]:
    """The same steps with what comes of them now."""
    conversation = _PROTOCOLS[protocol](None)
    replayed: list[Step] = []
    for step in steps:
        action, argument = next(iter(step.items()))
        if action == "connect":
            conversation = _PROTOCOLS[protocol](argument)
        replayed.append({action: argument, **conversation.take(action, argument)})
    return replayed


class _Conversation:
    """One connection of a codec, and its client."""

    def __init__(self, codec: ServerCodec) -> None:
        self._codec = codec
        self._error: WhisperStreamingError | None = None
        self._lag_s = 0.0

    def take(self, action: str, argument: Any) -> Step:
        """What comes of a step."""
        match action:
            case "connect":
                return {}
            case "lag_s":
                self._lag_s = argument
                return {}
            case "open":
                return self._commands(self._codec.open)
            case "client_text":
                return self._commands(lambda: self._codec.receive(argument))
            case "client_base64":
                return self._commands(lambda: self._codec.receive(base64.b64decode(argument)))
        sent = self._sent(action, argument)
        outcome: Step = {"sent": sent, "read": self.read(sent)}
        if action == "fail":
            assert self._error is not None, "nothing failed before"
            outcome["close"] = self._codec.close_code(self._error)
        return outcome

    def read(self, messages: Sequence[str]) -> list[Any]:
        """What a client makes of messages."""
        raise NotImplementedError

    def _commands(self, receive: Callable[[], list[Command]]) -> Step:
        try:
            return {"commands": [_command(command) for command in receive()]}
        except ProtocolError as caught:
            self._error = caught
            return {"error": f"{type(caught).__name__}: {caught}"}

    def _sent(self, action: str, argument: Any) -> list[str]:
        match action:
            case "events":
                events = [_event(*next(iter(event.items()))) for event in argument]
                return self._codec.encode(events, self._lag_s)
            case "welcome":
                return self._codec.welcome(Welcome(**argument))
            case "refuse_full":
                return self._codec.refuse_full(argument)
            case "fail":
                assert self._error is not None, "nothing failed before"
                return self._codec.fail(self._error)
            case "overtime":
                return self._codec.overtime()
            case "farewell":
                return self._codec.farewell(argument)
        raise AssertionError(f"unknown step {action!r}")


class _WhisperLive(_Conversation):
    def __init__(self, _: None) -> None:
        super().__init__(WhisperLiveServerCodec())

    def read(self, messages: Sequence[str]) -> list[Any]:
        read = [parse_server_message(message) for message in messages]
        return [{type(each).__name__: json.loads(json.dumps(asdict(each)))} for each in read]


class _WhisperLiveKit(_Conversation):
    def __init__(self, query: str | None) -> None:
        super().__init__(WhisperLiveKitCodec(query or ""))
        self._client = LiveKitClient()

    def read(self, messages: Sequence[str]) -> list[Any]:
        for message in messages:
            self._client.on_message(json.loads(message))
        state = self._client.state
        return [state[key] for key in ("lines", "buffer_transcription") if key in state]


_PROTOCOLS: Final[dict[str, Callable[[Any], _Conversation]]] = {
    "whisper_live": _WhisperLive,
    "whisper_live_kit": _WhisperLiveKit,
}


def _command(command: Command) -> Step:
    if isinstance(command, Audio):
        return {"Audio": command.samples.tolist()}
    fields = asdict(command)
    if isinstance(command, Configure) and _is_random(command.uid):
        fields["uid"] = "random"
    return {type(command).__name__: fields}


def _is_random(uid: str) -> bool:
    try:
        uuid.UUID(uid)
    except ValueError:
        return False
    return True


def _event(name: str, fields: Step) -> Event:
    fields = dict(fields)
    if "words" in fields:
        fields["words"] = tuple(Word(**word) for word in fields["words"])
    if "account" in fields:
        fields["account"] = AudioAccount(**fields["account"])
    if "reason" in fields:
        fields["reason"] = GapReason(fields["reason"])
    if "fault" in fields:
        fields["fault"] = InputFault(fields["fault"])
    event: Event = getattr(event_types, name)(**fields)
    return event


def _record(path: Path) -> None:
    steps = replay(read_trace(path), path.parent.name)
    lines = [json.dumps(step, ensure_ascii=False) for step in steps]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _record(Path(name))
