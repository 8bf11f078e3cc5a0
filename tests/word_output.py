"""What holds for the words of every segments message that a session sends."""

import json
from itertools import pairwise

from whisper_streaming.wire.whisper_live_messages import (
    Segments,
    WireSegment,
    WireWord,
    parse_server_message,
)


class WordWatch:
    """Takes the messages of one session with ``word_timestamps`` and checks each of them."""

    def __init__(self) -> None:
        self.completed: dict[float, WireSegment] = {}  # by start
        self.committed: list[WireWord] = []
        self._whole = 0  # of them; the last may go on with text that is not committed
        self.open_words = 0
        """How many words were in open segments, over all messages."""

    def receive(self, message: str) -> None:
        """Check a message; those without segments are none of its business.

        Raises:
            AssertionError: If a promise of docs/protocol.md about words is broken.
        """
        parsed = parse_server_message(message)
        if not isinstance(parsed, Segments):
            return
        assert all("words" in segment for segment in json.loads(message)["segments"])
        for segment in parsed.segments:
            _check_segment(segment)
        for earlier, later in pairwise(parsed.segments):
            assert earlier.end <= later.start
        for segment in parsed.segments:
            if segment.completed:
                self._check_completed(segment)
        self._check_committed(parsed.segments)

    def _check_completed(self, segment: WireSegment) -> None:
        newest = next(reversed(self.completed.values()), None)
        known = self.completed.setdefault(segment.start, segment)
        assert segment == known, "a completed segment changed"
        if newest is not None and known is segment:
            assert segment.start >= newest.end, "a segment came out of order"

    def _check_committed(self, segments: tuple[WireSegment, ...]) -> None:
        """Committed words keep their times; glued text ("3" ".14") alone moves the end of one."""
        now = [word for segment in self.completed.values() for word in segment.words]
        whole = len(now)
        if segments and not segments[-1].completed:
            self.open_words += len(segments[-1].words)
            begun, ended = _committed_words(segments[-1])
            now += begun
            whole += ended
        assert len(now) >= len(self.committed), "a committed word is gone"
        for index, (before, after) in enumerate(zip(self.committed, now, strict=False)):
            assert after.start == before.start
            spoken = _spoken(before.word)  # nothing of punctuation at the very start
            same = _spoken(after.word) == spoken if spoken else after.word == before.word
            if index < self._whole and same:
                assert (after.end, after.probability) == (before.end, before.probability)
        self.committed, self._whole = now, whole


def _check_segment(segment: WireSegment) -> None:
    words = segment.words
    assert "".join(word.word for word in words) == segment.text
    assert all(word.word.strip() for word in words)
    times = [segment.start, *(t for word in words for t in (word.start, word.end)), segment.end]
    assert times == sorted(times)
    assert all(0.0 <= word.probability <= 1.0 for word in words)


def _committed_words(segment: WireSegment) -> tuple[list[WireWord], int]:
    """The words of an open segment that begin in its ``committed_text``; how many end there."""
    assert segment.committed_text is not None
    words, length, whole = [], 0, 0
    for word in segment.words:
        if length >= len(segment.committed_text):
            break
        words.append(word)
        length += len(word.word)
        whole += length <= len(segment.committed_text)
    return words, whole


def _spoken(text: str) -> str:
    return "".join(filter(str.isalnum, text))
