"""Audio in, final text out: the protocol of ``/stream``, which needs no options.

Every completed segment is one plain text message. Everything else a person should know starts
with ``ERROR:`` or ``WARNING:``.
"""

import uuid
from collections.abc import Sequence
from typing import Final

from whisper_streaming.core.events import (
    AudioGap,
    Event,
    InputImpaired,
    SessionFailed,
    SessionNotice,
)
from whisper_streaming.core.transcript import SegmentRules, Transcript
from whisper_streaming.errors import (
    InvalidMessage,
    ServerFull,
    UnsupportedAudio,
    WhisperStreamingError,
)
from whisper_streaming.wire.base import (
    NORMAL_CLOSURE,
    Audio,
    Command,
    Configure,
    EndOfAudio,
    Welcome,
)
from whisper_streaming.wire.input_notices import INPUT_NOTICES, describe_gap
from whisper_streaming.wire.pcm import PcmFormat, PcmReader
from whisper_streaming.wire.whisper_live_messages import is_end_of_audio

_FORMATS: Final[dict[str, PcmFormat]] = {"f32": "float32", "s16": "int16"}


class TextStreamCodec:
    """One connection of a plain client; a :class:`~whisper_streaming.wire.base.ServerCodec`."""

    def __init__(
        self,
        sample_format: str = "f32",
        rules: SegmentRules | None = None,
        *,
        wishes: Configure | None = None,
    ) -> None:
        """Begin a connection.

        Args:
            sample_format: The value of ``?format=``: ``"f32"`` or ``"s16"``, little-endian, 16 kHz
                mono.
            rules: When a segment is completed.
            wishes: What the rest of the URL asks for.

        Raises:
            UnsupportedAudio: If the format is anything else.
        """
        if sample_format not in _FORMATS:
            raise UnsupportedAudio(f"format {sample_format[:40]!r} is unknown: use f32 or s16")
        self._pcm = PcmReader(_FORMATS[sample_format])
        self._wishes = wishes or Configure(uid=str(uuid.uuid4()))
        self._transcript = Transcript(rules, retain=1)
        self._audio_ended = False
        self._has_failed = False

    def open(self) -> list[Command]:
        return [self._wishes]

    def receive(self, message: str | bytes) -> list[Command]:
        if is_end_of_audio(message):
            self._audio_ended = True
            return [EndOfAudio()]
        if isinstance(message, str):
            raise InvalidMessage(
                "send audio as binary messages; the only text message understood is END_OF_AUDIO"
            )
        if self._audio_ended:
            return []
        samples = self._pcm.read(message)
        return [Audio(samples)] if len(samples) else []

    def welcome(self, welcome: Welcome) -> list[str]:
        # Its clients take every message for transcribed text.
        return []

    def refuse_full(self, retry_after_s: float) -> list[str]:
        return [f"ERROR: the server is full, try again in {retry_after_s:.0f} s"]

    def encode(self, events: Sequence[Event], lag_s: float = 0.0) -> list[str]:
        messages: list[str] = []
        for event in events:
            messages += [segment.text.strip() for segment in self._transcript.apply(event)]
            match event:
                case AudioGap():
                    messages.append(f"WARNING: {describe_gap(event)}")
                case InputImpaired(fault=fault):
                    messages.append(f"WARNING: {INPUT_NOTICES[fault]}")
                case SessionNotice(text=text):
                    messages.append(f"WARNING: {text}")
                case SessionFailed(public_reason=reason):
                    messages += self._error(reason)
        return messages

    def fail(self, error: WhisperStreamingError) -> list[str]:
        return self._error(error.public_reason)

    def overtime(self) -> list[str]:
        return ["ERROR: the time of this connection is over"]

    def farewell(self, decode_s: float) -> list[str]:
        return []

    def close_code(self, error: WhisperStreamingError) -> int:
        # Its clients were told when to come again, which is no error.
        return NORMAL_CLOSURE if isinstance(error, ServerFull) else error.close_code

    def _error(self, reason: str) -> list[str]:
        # A failed session is an event and then an error of the connection as well.
        if self._has_failed:
            return []
        self._has_failed = True
        return [f"ERROR: {reason}"]
