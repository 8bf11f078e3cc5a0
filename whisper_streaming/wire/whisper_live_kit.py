"""The server's side of WhisperLiveKit's protocol: the path ``/asr``."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from whisper_streaming.core.events import Event
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import (
    InvalidMessage,
    ProtocolError,
    Unauthorized,
    WhisperStreamingError,
)
from whisper_streaming.wire.any_audio import AnyAudioReader
from whisper_streaming.wire.base import Command, EndOfAudio, Welcome
from whisper_streaming.wire.diff_tracker import DiffTracker
from whisper_streaming.wire.pcm import PcmReader
from whisper_streaming.wire.whisper_live_kit_lines import Retention
from whisper_streaming.wire.whisper_live_kit_messages import (
    READY_TO_STOP,
    FrontData,
    Line,
    parse_query,
)
from whisper_streaming.wire.whisper_live_kit_states import StateFeed

BAD_PARAMETERS: Final = 4400
"""Close code where a session cannot begin because of what its URL asks for."""

UNAUTHORIZED: Final = 4401


class WhisperLiveKitCodec:
    """One connection to ``/asr``; a :class:`~whisper_streaming.wire.base.ServerCodec`.

    Args:
        query: Of the URL, without the question mark.
        rules: When a line is completed.
        retention: Which lines are kept; None is as much as the mode needs.
        pcm_input: Whether clients that ask are told to send raw samples (16 bit, little-endian,
            16 kHz, mono) instead of what their browser records.
    """

    def __init__(
        self,
        query: str = "",
        rules: SegmentRules | None = None,
        *,
        retention: Retention | None = None,
        pcm_input: bool = True,
    ) -> None:
        self._query = parse_query(query)
        self._pcm_input = pcm_input
        self._audio = AnyAudioReader(PcmReader("int16"))
        self._audio_ended = False
        self._printer = _StatePrinter()
        self._tracker = DiffTracker() if self._query.wants_diffs else None
        self._feed = StateFeed(rules, for_diffs=self._query.wants_diffs, retention=retention)

    def open(self) -> list[Command]:
        return [self._query.wishes()]

    def receive(self, message: str | bytes) -> list[Command]:
        if isinstance(message, str):
            raise InvalidMessage(
                "only binary messages are understood: audio, and an empty one to end it, "
                f"but this is a text message of {len(message)} characters"
            )
        if not message:
            self._audio_ended = True
            return [*self._audio.finish(), EndOfAudio()]
        return [] if self._audio_ended else self._audio.read(message)

    def welcome(self, welcome: Welcome) -> list[str]:
        config = {
            "type": "config",
            "useAudioWorklet": self._pcm_input,
            "mode": self._query.mode,
        }
        notices = [] if welcome.notice is None else [welcome.notice]
        return [json.dumps(config), *self._print(self._feed.begin(notices))]

    def refuse_full(self, retry_after_s: float) -> list[str]:
        return [_refusal(f"the server is full, try again in {retry_after_s:.0f} s")]

    def encode(self, events: Sequence[Event], lag_s: float = 0.0) -> list[str]:
        return self._print(self._feed.apply(events, lag_s))

    def fail(self, error: WhisperStreamingError) -> list[str]:
        if not self._feed.has_begun:
            return [_refusal(error.public_reason)]
        return self._print(self._feed.fail(error.public_reason))

    def overtime(self) -> list[str]:
        # Its clients do not read on after ready_to_stop.
        return []

    def farewell(self, decode_s: float) -> list[str]:
        return [json.dumps(READY_TO_STOP)]

    def close_code(self, error: WhisperStreamingError) -> int:
        if isinstance(error, Unauthorized):
            return UNAUTHORIZED
        if not self._feed.has_begun and isinstance(error, ProtocolError):
            return BAD_PARAMETERS
        return error.close_code

    def _print(self, state: FrontData | None) -> list[str]:
        if state is None:
            return []
        if self._tracker is None:
            return [self._printer.print(state)]
        return [_dump(self._tracker.to_message(state))]


class _StatePrinter:
    """Prints whole states, each line once: a long session repeats hundreds in each message.

    No two lines of a session are equal, because each begins after the one before.
    """

    def __init__(self) -> None:
        self._printed: dict[Line, str] = {}  # the lines of the newest message

    def print(self, state: FrontData) -> str:
        """``state.to_dict()`` as JSON."""
        known, self._printed = self._printed, {}
        for line in state.visible_lines():
            self._printed[line] = known.get(line) or _dump(line.to_dict())
        lines = ", ".join(self._printed.values())
        rest = _dump(state.volatile_fields()).removeprefix("{")
        return f'{{"status": {_dump(state.status)}, "lines": [{lines}], {rest}'


def _dump(value: object) -> str:
    # As WhisperLiveKit. Escapes make two to six bytes of each letter that is not ASCII, and the
    # Python library for WebSockets takes no message above 1 MiB unless it is told to.
    return json.dumps(value, ensure_ascii=False)


def _refusal(reason: str) -> str:
    fields: Mapping[str, object] = {"type": "error", "error": reason}
    return json.dumps(fields)
