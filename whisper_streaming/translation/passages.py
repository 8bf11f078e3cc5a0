"""A session's words as passages to translate: whole sentences where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from whisper_streaming.core.events import (
    Event,
    LanguageDetected,
    SessionEnded,
    SessionFailed,
    SpeechStarted,
    UtteranceEnded,
)
from whisper_streaming.core.transcript import Segment, SegmentRules, Transcript, ends_sentence

LONGEST_S: Final = 20.0
"""Of a passage: who makes no sentences is translated all the same, and windows have an end."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Consecutive segments that make sense together.

    Attributes:
        start: Of the first segment, in seconds.
        end: Of the last segment, in seconds.
        text: What was said, without space around it.
        language: Of ``text``; None while it is not known.
        speech_start: Where its utterance began; words never began before, whatever their times.
        speech_end: Where its utterance ended, if it ended with this passage; else None.
    """

    start: float
    end: float
    text: str
    language: str | None
    speech_start: float = 0.0
    speech_end: float | None = None


class PassageFeed:
    """Folds events into passages: each segment is in one of them.

    A passage ends with a sentence, an utterance, a pause, at another speaker, or before it gets
    too long.

    Args:
        rules: When a segment is completed.
        language: Of the words; None while it is to be detected.
        longest_s: Of a passage, unless a single segment lasts longer.
        listens: A detected language is that of the words, too.
    """

    def __init__(
        self,
        rules: SegmentRules,
        language: str | None,
        *,
        longest_s: float = LONGEST_S,
        listens: bool = True,
    ) -> None:
        self._transcript = Transcript(rules, retain=1)
        self._pause_s = rules.pause_s
        self._longest_s = longest_s
        self._listens = listens
        self._segments: list[Segment] = []  # of the passage that is open
        self._speech_start = 0.0
        self.language = language

    @property
    def open(self) -> Passage | None:
        """What is being said, words that may change included; None if nothing is."""
        segment = self._transcript.open_segment
        segments = self._segments if segment is None else [*self._segments, segment]
        return self._passage(segments) if segments else None

    def receive(self, event: Event) -> list[Passage]:
        """Take the next event; gives the passages that it completed."""
        passages: list[Passage] = []
        match event:
            case LanguageDetected(language=language) if self._listens:
                self.language = language
            case SpeechStarted(start=start):
                self._speech_start = start
        for segment in self._transcript.apply(event):
            passages += self._add(segment)
        if isinstance(event, UtteranceEnded | SessionEnded | SessionFailed):
            passages += self._end()
        if isinstance(event, UtteranceEnded) and passages:
            passages[-1] = replace(passages[-1], speech_end=event.end)
        return passages

    def finish(self) -> list[Passage]:
        """What is left after a session that was cut off before its last event."""
        passages = [each for rest in self._transcript.complete_open() for each in self._add(rest)]
        return passages + self._end()

    def _add(self, segment: Segment) -> list[Passage]:
        passages = [] if self._continues(segment) else self._end()
        self._segments.append(segment)
        return passages + self._end() if ends_sentence(segment.words[-1].text) else passages

    def _continues(self, segment: Segment) -> bool:
        if not self._segments:
            return True
        first, last = self._segments[0], self._segments[-1]
        return (
            segment.speaker == last.speaker
            and segment.start - last.end <= self._pause_s
            and segment.end - first.start <= self._longest_s
        )

    def _end(self) -> list[Passage]:
        segments, self._segments = self._segments, []
        return [self._passage(segments)] if segments else []

    def _passage(self, segments: Sequence[Segment]) -> Passage:
        text = "".join(segment.text for segment in segments).strip()
        return Passage(segments[0].start, segments[-1].end, text, self.language, self._speech_start)
