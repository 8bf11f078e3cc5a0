"""What a session tells the outside. Times are seconds on the session's audio clock."""

from dataclasses import dataclass
from enum import StrEnum

from whisper_streaming.core.hypothesis import Words


class GapReason(StrEnum):
    """Why audio was received and not decoded."""

    DECODE_FAILED = "decode failed"
    SESSION_FAILED = "session failed"
    OUT_OF_TIME = "no time left to decode it"
    MISSING = "missing or damaged in what was sent"


class InputFault(StrEnum):
    """What is wrong with an input."""

    MUTED = "muted"
    CLIPPED = "clipped"
    NARROW_BAND = "narrow band"


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began; ``start`` includes the pre-roll."""

    utterance_id: int
    start: float


@dataclass(frozen=True, slots=True)
class LanguageDetected:
    """The session's language is decided and will not change by itself any more."""

    language: str
    probability: float


@dataclass(frozen=True, slots=True)
class PartialUpdated:
    """The uncommitted rest of the newest hypothesis; replaces the one before it. May be empty."""

    utterance_id: int
    words: Words


@dataclass(frozen=True, slots=True)
class WordsCommitted:
    """These words are final. They follow all words committed before and never change."""

    utterance_id: int
    words: Words


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """Nothing follows for this utterance; ``end`` is where its speech ended."""

    utterance_id: int
    end: float


@dataclass(frozen=True, slots=True)
class AudioGap:
    """Audio that could not be decoded. Silence is never a gap.

    Of a container whose bytes are missing or damaged the session gets silence of that length
    instead; where the length is unknown, ``end`` is ``start``.
    """

    start: float
    end: float
    reason: GapReason


@dataclass(frozen=True, slots=True)
class InputImpaired:
    """The audio itself is at fault, and a person may mend it; each fault is told once.

    ``at`` is how much audio had come when it was certain.
    """

    fault: InputFault
    at: float


@dataclass(frozen=True, slots=True)
class AudioAccount:
    """Where every received sample went: ``received == decoded + silence + gap`` at the end.

    Attributes:
        received: Samples received.
        decoded: Samples that were in at least one successful decode.
        silence: Samples the voice activity detection found empty, so nobody decoded them.
            Silence in place of what was missing in a container is counted as any other.
        gap: Samples reported in :class:`AudioGap` that were received.
    """

    received: int
    decoded: int
    silence: int
    gap: int


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Terminal: all audio is accounted for."""

    account: AudioAccount


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """Terminal: the session cannot go on. What was not decoded was reported as a gap before."""

    account: AudioAccount
    public_reason: str


Event = (
    SpeechStarted
    | LanguageDetected
    | PartialUpdated
    | WordsCommitted
    | UtteranceEnded
    | AudioGap
    | InputImpaired
    | SessionEnded
    | SessionFailed
)
