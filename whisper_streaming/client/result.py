"""What a client program gets: updates while it listens, the result at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NotRequired, TypedDict

from whisper_streaming.wire.whisper_live_messages import (
    Revision,
    Summary,
    WireSegment,
    WireTranslation,
    WireWord,
)


class TranscriptWord(TypedDict):
    """One word of a segment; times in seconds, ``word`` with its leading space.

    ``aligned`` is there, and true, where the times were measured letter by letter.
    """

    word: str
    start: float
    end: float
    probability: float
    aligned: NotRequired[bool]


class TranscriptSegment(TypedDict):
    """One caption, as callbacks and results give it. Times in seconds since the first sample.

    ``text`` has the leading space that the server sends. A completed segment never changes, but
    for its speaker, of whom the server may learn more.
    ``committed_text`` is the leading part of an open segment that will not change any more.
    """

    start: float
    end: float
    text: str
    completed: bool
    committed_text: NotRequired[str]
    words: NotRequired[list[TranscriptWord]]
    speaker: NotRequired[str]


class TranslatedSegment(TypedDict):
    """The translation of one or more segments, mostly of a sentence. Times as theirs.

    ``text`` has no space around it. Only the last one may not be ``completed``.
    """

    start: float
    end: float
    text: str
    completed: bool
    target_language: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Audio that the server received and could not decode, in seconds since the first sample."""

    start: float
    end: float
    reason: str


@dataclass(frozen=True, slots=True)
class TranscriptUpdate:
    """The whole transcript so far: completed segments and at most one open one, which is last.

    ``translations`` are the same for what is translated so far.
    """

    text: str
    segments: list[TranscriptSegment]
    translations: list[TranslatedSegment] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TranscriptionResult:
    """The transcript of one session. ``str()`` of it is the text.

    Attributes:
        text: The whole text.
        segments: In order; the last one has ``completed`` false only if the session was cut.
        complete: Every sample that was sent is transcribed. False after a time limit or a gap.
        is_overtime: The server ended the session because its time was over.
        language: The language detected, else the one asked for; None if neither is known.
        model: Name of the model that served the session; None if the server does not say.
        notice: What the server wanted the user to know about the session.
        gaps: Audio that was lost on the server.
        samples_sent: Samples of the source that were sent, at 16 kHz.
        summary: The server's account of them; None from a server that gives none.
        translations: In order; empty unless a ``target_language`` was asked for, by this client or
            for everybody by the server.
        revision: The transcript of a second look at the whole session; None unless the server
            takes one.
    """

    text: str
    segments: list[TranscriptSegment]
    complete: bool
    is_overtime: bool = False
    language: str | None = None
    model: str | None = None
    notice: str | None = None
    gaps: list[Gap] = field(default_factory=list)
    samples_sent: int = 0
    summary: Summary | None = None
    translations: list[TranslatedSegment] = field(default_factory=list)
    revision: "TranscriptionResult | None" = None

    def __str__(self) -> str:
        return self.text

    @property
    def translation(self) -> str:
        """The whole translation as text."""
        return join_texts([segment["text"] for segment in self.translations])

    @property
    def best(self) -> "TranscriptionResult":
        """What to keep: the second look if there is one, else what was heard live."""
        return self.revision or self

    def translated(self) -> "TranscriptionResult":
        """The translation in the place of the words, to write it as SRT and the like."""
        segments = [
            TranscriptSegment(
                start=each["start"],
                end=each["end"],
                text=each["text"],
                completed=each["completed"],
            )
            for each in self.translations
        ]
        language = self.translations[-1]["target_language"] if self.translations else None
        return replace(
            self,
            text=self.translation,
            segments=segments,
            language=language or None,
            translations=[],
        )


def revised(result: TranscriptionResult, revision: Revision) -> TranscriptionResult:
    """``result`` with the words of a second look."""
    segments = [segment_fields(segment) for segment in revision.segments]
    return replace(
        result,
        text=join_texts([segment["text"] for segment in segments]),
        segments=segments,
        language=revision.language or result.language,
    )


def segment_fields(segment: WireSegment) -> TranscriptSegment:
    """``segment`` in the form that client programs get."""
    fields = TranscriptSegment(
        start=segment.start, end=segment.end, text=segment.text, completed=segment.completed
    )
    if segment.committed_text is not None:
        fields["committed_text"] = segment.committed_text
    if segment.words:
        fields["words"] = [_word_fields(word) for word in segment.words]
    if segment.speaker is not None:
        fields["speaker"] = segment.speaker
    return fields


def _word_fields(word: WireWord) -> TranscriptWord:
    fields = TranscriptWord(
        word=word.word, start=word.start, end=word.end, probability=word.probability
    )
    if word.is_aligned:
        fields["aligned"] = True
    return fields


def translation_fields(translation: WireTranslation) -> TranslatedSegment:
    """``translation`` in the form that client programs get."""
    return TranslatedSegment(
        start=translation.start,
        end=translation.end,
        text=translation.text.strip(),
        completed=translation.completed,
        target_language=translation.language,
    )


def join_texts(texts: Sequence[str]) -> str:
    """The texts of consecutive segments as running text, without space at either end.

    Texts normally carry their leading space. Some servers strip it, so a space is put between
    two letters that would run together, unless their script is written without spaces.
    """
    joined = ""
    for text in texts:
        joined = append_text(joined, text)
    return joined.strip()


def append_text(joined: str, text: str) -> str:
    """``joined`` with ``text`` after it, by the rule of :func:`join_texts`."""
    if not joined or not text or joined[-1].isspace() or text[0].isspace():
        return joined + text
    if text[0] in _CLOSING or _is_unspaced(joined[-1]) or _is_unspaced(text[0]):
        return joined + text
    return f"{joined} {text}"


_CLOSING: Final = frozenset(".,;:!?%)]}…'’”»")

# Thai and Lao, Myanmar, Khmer, CJK with kana and its punctuation, compatibility and full-width
# forms, the supplementary ideographs. Hangul is missing because Korean is written with spaces.
_UNSPACED_RANGES: Final = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x2E80, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFFEF),
    (0x20000, 0x3FFFF),
)


def _is_unspaced(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _UNSPACED_RANGES)
