"""The server's side of WhisperLiveKit's protocol: the path ``/asr``."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from whisper_streaming.core.events import AudioGap, Event, InputImpaired
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import (
    InvalidMessage,
    ProtocolError,
    Unauthorized,
    WhisperStreamingError,
)
from whisper_streaming.wire.any_audio import AnyAudioReader
from whisper_streaming.wire.base import Command, Configure, EndOfAudio, Welcome
from whisper_streaming.wire.diff_tracker import DiffTracker
from whisper_streaming.wire.input_notices import INPUT_NOTICES, describe_gap
from whisper_streaming.wire.pcm import PcmReader
from whisper_streaming.wire.whisper_live_kit_lines import (
    DIFF_RETENTION,
    FULL_RETENTION,
    LineView,
    Retention,
)
from whisper_streaming.wire.whisper_live_kit_messages import (
    READY_TO_STOP,
    FrontData,
    Line,
    parse_query,
)

BAD_PARAMETERS: Final = 4400
"""Close code where a session cannot begin because of what its URL asks for."""

UNAUTHORIZED: Final = 4401

_NO_TRANSLATION: Final = "this server does not translate: target_language is without effect"


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
        self._view = LineView(
            rules,
            retention or (DIFF_RETENTION if self._query.wants_diffs else FULL_RETENTION),
            # A line that was sent in a diff can only be taken back together with all others.
            has_open_line=not self._query.wants_diffs,
        )
        self._told: FrontData | None = None  # None before the session was accepted

    def open(self) -> list[Command]:
        self._query.check()
        language = self._query.language
        detects = language == "auto"
        return [
            Configure(
                uid=str(uuid.uuid4()),
                language=None if detects else language,
                detect_language=detects,
            )
        ]

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
        if self._query.target_language is not None:
            notices.append(_NO_TRANSLATION)
        return [json.dumps(config), *self._tell(self._view.state(), notices)]

    def refuse_full(self, retry_after_s: float) -> list[str]:
        return [_refusal(f"the server is full, try again in {retry_after_s:.0f} s")]

    def encode(self, events: Sequence[Event], lag_s: float = 0.0) -> list[str]:
        warnings: list[str] = []
        self._view.apply(events)
        for event in events:
            match event:
                case AudioGap():
                    warnings.append(describe_gap(event))
                case InputImpaired(fault=fault):
                    warnings.append(INPUT_NOTICES[fault])
        return self._tell(self._view.state(lag_s), warnings)

    def fail(self, error: WhisperStreamingError) -> list[str]:
        if self._told is None:
            return [_refusal(error.public_reason)]
        self._view.fail(error.public_reason)
        return self._tell(self._view.state())

    def overtime(self) -> list[str]:
        # Its clients do not read on after ready_to_stop.
        return []

    def farewell(self, decode_s: float) -> list[str]:
        return [json.dumps(READY_TO_STOP)]

    def close_code(self, error: WhisperStreamingError) -> int:
        if isinstance(error, Unauthorized):
            return UNAUTHORIZED
        if self._told is None and isinstance(error, ProtocolError):
            return BAD_PARAMETERS
        return error.close_code

    def _tell(self, state: FrontData, warnings: Sequence[str] = ()) -> list[str]:
        """The message of a state, if it is not the one before; warnings are told once."""
        if state == self._told and not warnings:
            return []
        self._told = state
        told = replace(state, warning="; ".join(warnings)) if warnings else state
        if self._tracker is None:
            return [self._printer.print(told)]
        return [json.dumps(self._tracker.to_message(told))]


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
            self._printed[line] = known.get(line) or json.dumps(line.to_dict())
        lines = ", ".join(self._printed.values())
        rest = json.dumps(state.volatile_fields()).removeprefix("{")
        return f'{{"status": {json.dumps(state.status)}, "lines": [{lines}], {rest}'


def _refusal(reason: str) -> str:
    fields: Mapping[str, object] = {"type": "error", "error": reason}
    return json.dumps(fields)
