"""What was found out later about segments that are in captions already."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from whisper_streaming.core.events import SpeakersRevised, TranscriptRevised
from whisper_streaming.core.hypothesis import Words
from whisper_streaming.core.transcript import Segment, SegmentRules, fold

MAX_SEGMENTS: Final = 10_000
"""Segments that are kept: ten hours of speech in about 20 MB."""


class Revision:
    """The segments of a session as they are known by now, to write the captions anew at its end.

    A session that says more than ``MAX_SEGMENTS`` keeps the captions that were written.

    Args:
        rules: When a segment is completed.
    """

    def __init__(self, rules: SegmentRules) -> None:
        self._rules = rules
        # Of each segment that was completed, its words; one that is empty takes no part.
        self._utterances: list[Words] = []
        self._is_needed = False
        self._is_complete = True

    def add(self, segment: Segment) -> None:
        """The next segment is completed."""
        self._is_complete = self._is_complete and len(self._utterances) < MAX_SEGMENTS
        if self._is_complete:
            self._utterances.append(segment.words)
        else:
            self._utterances.clear()

    def relabel(self, event: SpeakersRevised) -> None:
        """Some words have other speakers."""
        if not event.turns:
            return
        for index in range(len(self._utterances) - 1, -1, -1):
            words = self._utterances[index]
            # Corrections are about what was said a moment ago, mostly.
            if words[-1].end < event.turns[0].start:
                return
            labelled = tuple(
                replace(word, speaker=event.speaker_of(word.start, word.end) or word.speaker)
                for word in words
            )
            self._is_needed = self._is_needed or labelled != words
            self._utterances[index] = labelled

    def rewrite(self, event: TranscriptRevised) -> Sequence[Segment]:
        """There is a better transcript; returns its segments."""
        self._utterances = [words for words in event.utterances if words]
        self._is_needed = self._is_complete = True
        return list(fold(self._utterances, self._rules))

    def segments(self) -> list[Segment] | None:
        """All segments; None if captions need not, or cannot, be written anew."""
        if not (self._is_needed and self._is_complete):
            return None
        return list(fold(self._utterances, self._rules))
