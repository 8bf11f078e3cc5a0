"""A session's events as the state that a WhisperLiveKit client shows."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.events import (
    AudioGap,
    Event,
    LanguageDetected,
    SessionEnded,
    SessionFailed,
    SpeakersRevised,
    TranscriptRevised,
    TranslationCommitted,
    TranslationUpdated,
)
from whisper_streaming.core.hypothesis import Words, join_words
from whisper_streaming.core.transcript import Segment, SegmentRules, Transcript, fold
from whisper_streaming.wire.whisper_live_kit_messages import (
    FIRST_SPEAKER,
    SILENCE_SPEAKER,
    FrontData,
    Line,
    Status,
)

MIN_SILENCE_S: Final = 5.0
"""A longer silence between two lines is a line of its own, as in WhisperLiveKit."""

_LAG_DECIMALS: Final = 1


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of the past a state lists; older lines are dropped.

    Attributes:
        max_age_s: Lines are dropped that ended longer than this before the newest one.
        max_lines: Most lines, however short they are.
    """

    max_age_s: float
    max_lines: int = 1000


FULL_RETENTION: Final = Retention(max_age_s=600.0)
"""For clients that get all lines with each message, and have no others."""

DIFF_RETENTION: Final = Retention(max_age_s=300.0)
"""For clients that keep the lines themselves."""


class LineView:
    """Folds events into lines that end at sentences, pauses, speaker changes or a maximal length.

    Completed lines never change, but for their translation and their speaker. What follows them
    is either a last line that grows by final words, or, for clients to whom a change of it costs
    much, part of the buffer.

    Args:
        rules: When a line is completed.
        retention: Which lines are kept.
        has_open_line: Whether final words are in a line before it is completed.
    """

    def __init__(
        self, rules: SegmentRules | None, retention: Retention, *, has_open_line: bool
    ) -> None:
        self._transcript = Transcript(rules, retain=1)
        self._retention = retention
        self._has_open_line = has_open_line
        self._lines: deque[Line] = deque()
        self._known_until = 0.0  # what lies before this was said or lost, or is a silence line
        self._speakers: dict[str, int] = {}
        self._language: str | None = None
        self._open_translation = ""
        self._failure = ""

    def apply(self, events: Iterable[Event]) -> None:
        """Take what happened since the last state was told.

        Every line is in one state at least: old lines are dropped, however many are new.
        """
        told = len(self._lines)
        for event in events:
            self._apply(event)
        self._drop(told)

    def fail(self, reason: str) -> None:
        """The session ends because of a failure; the first reason stays."""
        self._failure = self._failure or reason

    def state(self, lag_s: float = 0.0) -> FrontData:
        """What the client should show now.

        Args:
            lag_s: Seconds of received speech that wait to be decoded.
        """
        lines = [*self._lines, *self._open_lines()]
        buffer = join_words(self._open_words())
        unstable_s = _span_s(self._transcript.partial)
        return FrontData(
            status=self._status(bool(lines or buffer)),
            error=self._failure,
            lines=lines,
            buffer_transcription=buffer,
            buffer_translation=self._open_translation,
            remaining_time_transcription=round(lag_s + unstable_s, _LAG_DECIMALS),
            remaining_time_transcription_processing=round(lag_s, _LAG_DECIMALS),
            remaining_time_transcription_policy=round(unstable_s, _LAG_DECIMALS),
        )

    def _apply(self, event: Event) -> None:
        for segment in self._transcript.apply(event):
            self._lines += [*self._silence_before(segment.start), self._line(segment)]
            self._known_until = max(self._known_until, segment.end)
        match event:
            case LanguageDetected(language=language):
                self._language = language
            case TranslationUpdated(text=text):
                self._open_translation = text
            case TranslationCommitted():
                self._open_translation = ""
                self._attach(event)
            case SpeakersRevised():
                self._revise(event)
            case TranscriptRevised():
                self._rewrite(event)
            case AudioGap(end=end):
                self._known_until = max(self._known_until, end)
            case SessionEnded(account=account):
                if self._lines:
                    self._lines += self._silence_before(account.received / SAMPLE_RATE)
            case SessionFailed(public_reason=reason):
                self.fail(reason)

    def _attach(self, translation: TranslationCommitted) -> None:
        """Give the translation to the last line that it translates, which completes its sense."""
        for index in range(len(self._lines) - 1, -1, -1):
            line = self._lines[index]
            if line.is_silence() or line.start >= translation.end:
                continue
            if line.end > translation.start and translation.text:
                # A line may hold several passages: a text hook or a second look made one of them.
                text = f"{line.translation or ''} {translation.text}".strip()
                self._lines[index] = replace(line, translation=text)
            return

    def _revise(self, revision: SpeakersRevised) -> None:
        """Rename the speakers of lines. In diff mode they are then all sent anew."""
        for index, line in enumerate(self._lines):
            label = None if line.is_silence() else revision.speaker_of(line.start, line.end)
            if label is not None:
                self._lines[index] = replace(line, speaker=self._speaker_number(label))

    def _rewrite(self, revision: TranscriptRevised) -> None:
        """Put the lines of a second look in the place of all; translations stay where they were."""
        translations = [line for line in self._lines if line.translation]
        begin = self._lines[0].start if self._lines else 0.0  # older lines are dropped
        self._lines.clear()
        self._known_until = 0.0
        for segment in fold(revision.utterances, self._transcript.rules):
            if segment.end > begin:
                self._lines += [*self._silence_before(segment.start), self._line(segment)]
            self._known_until = max(self._known_until, segment.end)
        for line in translations:
            self._attach(TranslationCommitted(line.start, line.end, line.translation, ""))

    def _drop(self, at_most: int) -> None:
        """Drop old lines, at most so many."""
        for _ in range(at_most):
            age_s = self._lines[-1].end - self._lines[0].end
            if age_s <= self._retention.max_age_s and len(self._lines) <= self._retention.max_lines:
                return
            self._lines.popleft()

    def _status(self, has_text: bool) -> Status:
        if self._failure:
            return Status.ERROR
        return Status.ACTIVE if has_text else Status.NOTHING_YET

    def _open_lines(self) -> list[Line]:
        segment = self._transcript.committed_segment if self._has_open_line else None
        if segment is None:
            return []
        return [*self._silence_before(segment.start), self._line(segment)]

    def _open_words(self) -> Words:
        if self._has_open_line:
            return self._transcript.partial
        return self._transcript.open_committed + self._transcript.partial

    def _silence_before(self, time_s: float) -> list[Line]:
        if time_s - self._known_until <= MIN_SILENCE_S:
            return []
        return [Line(self._known_until, time_s, speaker=SILENCE_SPEAKER)]

    def _line(self, segment: Segment) -> Line:
        return Line(
            segment.start,
            segment.end,
            segment.text,
            self._speaker_number(segment.speaker),
            self._language,
        )

    def _speaker_number(self, label: str | None) -> int:
        if label is None:
            return FIRST_SPEAKER
        return self._speakers.setdefault(label, FIRST_SPEAKER + len(self._speakers))


def _span_s(words: Words) -> float:
    return max(0.0, words[-1].end - words[0].start) if words else 0.0
