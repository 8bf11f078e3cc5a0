"""What travels over ``/asr``, the protocol of WhisperLiveKit.

Everything of ours beyond it is an extra key (``warning``), which its clients ignore.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs

from whisper_streaming.errors import InvalidMessage
from whisper_streaming.wire.base import Configure

SILENCE_SPEAKER: Final = -2
"""The ``speaker`` of a line that says that nobody spoke."""

FIRST_SPEAKER: Final = 1
"""Speakers are numbered from here; it is also who speaks where nobody found out."""

READY_TO_STOP: Final[Mapping[str, object]] = {"type": "ready_to_stop"}

_LANGUAGE_CODE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,8})*")
_MAX_SHOWN: Final = 40  # characters of a client's wrong value in an error

Json = dict[str, object]


class Status(StrEnum):
    """``status`` of a state."""

    ACTIVE = "active_transcription"
    NOTHING_YET = "no_audio_detected"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class AsrQuery:
    """The query of ``/asr``.

    Attributes:
        language: Whisper language code, ``"auto"``, or None for the server's setting.
        target_language: Language to translate to; None does not translate.
        prompt: Text that precedes the session, or None.
        hotwords: Words to favour, or None.
        mode: ``"diff"``, or anything else for full states; the server's first message repeats it.
        token: What the client shows to be let in; this version lets everybody in.
    """

    language: str | None = None
    target_language: str | None = None
    prompt: str | None = None
    hotwords: str | None = None
    mode: str = "full"
    token: str | None = field(default=None, repr=False)

    @property
    def wants_diffs(self) -> bool:
        return self.mode == "diff"

    def wishes(self) -> Configure:
        """What the client asks of its session.

        Raises:
            InvalidMessage: If no server could serve that; in words for the client's author.
        """
        target = self.target_language
        if target is not None and not _LANGUAGE_CODE.fullmatch(target):
            raise InvalidMessage(f"target_language {target[:_MAX_SHOWN]!r} is no language code")
        detects = self.language == "auto"
        return Configure(
            takes_translation=True,
            takes_revision=True,
            uid=str(uuid.uuid4()),
            language=None if detects else self.language,
            detect_language=detects,
            target_language=target,
            prompt=self.prompt or "",
            hotwords=self.hotwords or "",
        )


def parse_query(query: str) -> AsrQuery:
    """Read a URL's query. Of a repeated key the last one counts; an empty value is none."""
    fields = parse_qs(query)

    def last(key: str) -> str | None:
        return fields[key][-1] if key in fields else None

    return AsrQuery(
        language=last("language"),
        target_language=last("target_language"),
        prompt=last("prompt"),
        hotwords=last("hotwords"),
        mode=last("mode") or "full",
        token=last("token"),
    )


def format_time(time_s: float) -> str:
    """Seconds as ``H:MM:SS.cc``; the hours are not padded."""
    hundredths = round(time_s * 100)
    seconds, hundredths = divmod(hundredths, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}.{hundredths:02d}"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the transcript: one speaker's words, or a silence.

    Attributes:
        start: Seconds since the first sample.
        end: Seconds since the first sample.
        text: With the leading space of its first word; empty for a silence.
        speaker: From 1 on; ``SILENCE_SPEAKER`` for a silence.
        detected_language: Whisper language code, if it was detected.
        translation: Of ``text``, if there is one.
    """

    start: float
    end: float
    text: str | None = ""
    speaker: int = FIRST_SPEAKER
    detected_language: str | None = None
    translation: str | None = None

    def is_silence(self) -> bool:
        """Whether nobody spoke."""
        return self.speaker == SILENCE_SPEAKER

    def to_dict(self) -> Json:
        """As it travels: the times as text, what is not known left out."""
        fields: Json = {
            "speaker": self.speaker if self.speaker != -1 else FIRST_SPEAKER,
            "text": self.text,
            "start": format_time(self.start),
            "end": format_time(self.end),
        }
        if self.translation:
            fields["translation"] = self.translation
        if self.detected_language:
            fields["detected_language"] = self.detected_language
        return fields


@dataclass(slots=True)
class FrontData:
    """The state that a client shows. Programs written for WhisperLiveKit may set its fields.

    Attributes:
        status: A :class:`Status`, as text.
        error: Why there will be no more, if there was a failure.
        lines: What is final, oldest first; a long session lists only the newest lines.
        buffer_transcription: Words after the lines that may change.
        buffer_diarization: Words that wait for a speaker.
        buffer_translation: Translation that may change.
        remaining_time_transcription: Seconds of speech that were received and are not final.
        remaining_time_transcription_processing: Those of them that were not decoded.
        remaining_time_transcription_policy: Those of them that were decoded and may change.
        remaining_time_diarization: Seconds of speech that wait for a speaker.
        warning: What a person should know now; not WhisperLiveKit's.
    """

    status: str = ""
    error: str = ""
    lines: list[Line] = field(default_factory=list)
    buffer_transcription: str = ""
    buffer_diarization: str = ""
    buffer_translation: str = ""
    remaining_time_transcription: float = 0.0
    remaining_time_transcription_processing: float = 0.0
    remaining_time_transcription_policy: float = 0.0
    remaining_time_diarization: float = 0.0
    warning: str = ""

    def to_dict(self) -> Json:
        """As it travels."""
        lines = [line.to_dict() for line in self.visible_lines()]
        return {"status": str(self.status), "lines": lines, **self.volatile_fields()}

    def visible_lines(self) -> list[Line]:
        """The lines that travel: those with text, and silences."""
        return [line for line in self.lines if line.text or line.is_silence()]

    def volatile_fields(self) -> Json:
        """Everything that travels besides status and lines."""
        fields: Json = {
            "buffer_transcription": self.buffer_transcription,
            "buffer_diarization": self.buffer_diarization,
            "buffer_translation": self.buffer_translation,
            "remaining_time_transcription": self.remaining_time_transcription,
            "remaining_time_transcription_processing": self.remaining_time_transcription_processing,
            "remaining_time_transcription_policy": self.remaining_time_transcription_policy,
            "remaining_time_diarization": self.remaining_time_diarization,
        }
        if self.error:
            fields["error"] = self.error
        if self.warning:
            fields["warning"] = self.warning
        return fields
