"""What a session tells the outside. Times are seconds on the session's audio clock."""

from bisect import bisect_left
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
    """The words that follow are in this language, until another one is detected."""

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
class SpeakerTurn:
    """From ``start`` to ``end`` the committed words are those of ``speaker``."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True)
class SpeakersRevised:
    """Who spoke some committed words was found out better; the words themselves stay.

    The turns are in order and do not overlap. Words outside of them keep their speakers.
    """

    turns: tuple[SpeakerTurn, ...]

    def speaker_of(self, start: float, end: float) -> str | None:
        """Who now speaks most of what was said from ``start`` to ``end``; None if that stays."""
        shares: dict[str, float] = {}
        # A long session has thousands of turns, and tens of thousands of words that ask.
        first = bisect_left(self.turns, start, key=lambda turn: turn.end)
        for index in range(first, len(self.turns)):
            turn = self.turns[index]
            if turn.start > end:
                break
            shared_s = min(end, turn.end) - max(start, turn.start)
            # A word may have no length; then it is in a turn or not.
            if shared_s > 0 or (shared_s == 0 and start == end):
                shares[turn.speaker] = shares.get(turn.speaker, 0.0) + shared_s
        if not shares:
            return None
        speaker = max(shares, key=shares.__getitem__)
        return speaker if shares[speaker] >= (end - start) / 2 else None


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
class SessionNotice:
    """A person should know this now; the session goes on. The text is fit for a peer."""

    text: str


@dataclass(frozen=True, slots=True)
class TranslationUpdated:
    """A translation of what is said now; replaces the one before it. Empty where there is none.

    A :class:`TranslationCommitted` ends it, too.
    """

    start: float
    end: float
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class TranslationCommitted:
    """The final translation of what completed segments said from ``start`` to ``end``.

    These passages follow one another, and together they hold every completed segment.

    Attributes:
        start: Of the first segment.
        end: Of the last segment.
        text: In the session's target language; None where it could not be had.
        language: That language.
    """

    start: float
    end: float
    text: str | None
    language: str


@dataclass(frozen=True, slots=True)
class TranscriptRevised:
    """A second look at the whole session: a better transcript in the place of all before it.

    The committed words stay what was said live; this is for the record.

    Attributes:
        utterances: Their words, in order.
        language: Spoken; None if nobody found out.
    """

    utterances: tuple[Words, ...]
    language: str | None


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
    | SpeakersRevised
    | UtteranceEnded
    | AudioGap
    | InputImpaired
    | SessionNotice
    | TranslationUpdated
    | TranslationCommitted
    | TranscriptRevised
    | SessionEnded
    | SessionFailed
)
