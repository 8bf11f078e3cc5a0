"""Which audio tells who spoke a word. Pure arithmetic on word times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.core.transcript import starts_word

PAUSE_S: Final = 0.25
"""A longer gap between two words may be a change of speakers, so no stretch bridges it."""
LONGEST_S: Final = 1.6
"""Speech that is looked at for one word. More is surer of the voice, but blurs changes."""
SHORTEST_S: Final = 0.1
_GRID: Final = SAMPLE_RATE // 5
"""Stretches begin at multiples of it, so that short neighbours share one and its work."""


@dataclass(frozen=True, slots=True)
class Span:
    """The audio around one word, in samples of the session's clock.

    Attributes:
        word: Its index among the words that were given.
        start_sample: Where the audio begins.
        end_sample: Where it ends.
        follows_pause: Nobody spoke for a moment before the word.
    """

    word: int
    start_sample: int
    end_sample: int
    follows_pause: bool


class SpanFinder:
    """Goes along a session's committed words. Remembers where the run of words began."""

    def __init__(self) -> None:
        self._run_start = 0.0
        self._last_end: float | None = None  # in the run that goes on

    def end_run(self) -> None:
        """The utterance ended, which is a pause whatever the times of the words say."""
        self._last_end = None

    def find(self, words: Sequence[Word], following: Sequence[Word] = ()) -> list[Span]:
        """The audio for each of ``words`` that is more than glued punctuation.

        Args:
            words: The next committed words.
            following: What was heard after them and is not committed: it only tells how far the
                speech goes on.
        """
        run_ends = _run_ends([*words, *following])
        spans: list[Span] = []
        for index, word in enumerate(words):
            if not starts_word(word.text) and self._last_end is not None:
                self._last_end = max(self._last_end, word.end)
                continue
            pause = self._last_end is None or word.start - self._last_end > PAUSE_S
            if pause:
                self._run_start = word.start
            spans.append(_span(index, word, self._run_start, run_ends[index], pause))
            self._last_end = max(word.end, self._last_end or 0.0)
        return spans


def _run_ends(words: Sequence[Word]) -> list[float]:
    """For each word, where the run of words it belongs to ends."""
    ends = [0.0] * len(words)
    end = 0.0
    for index in range(len(words) - 1, -1, -1):
        is_last = index == len(words) - 1
        if is_last or words[index + 1].start - words[index].end > PAUSE_S:
            end = words[index].end
        ends[index] = max(end, words[index].end)
    return ends


def _span(index: int, word: Word, run_start: float, run_end: float, pause: bool) -> Span:
    """As much of the run as may be looked at, with the word in the middle where that goes."""
    middle = (word.start + word.end) / 2
    start = min(middle - LONGEST_S / 2, run_end - LONGEST_S)
    start_sample = round(max(start, run_start) * SAMPLE_RATE)
    if start > run_start:
        start_sample -= start_sample % _GRID
        start_sample = max(start_sample, round(run_start * SAMPLE_RATE))
    end_sample = min(round(run_end * SAMPLE_RATE), start_sample + round(LONGEST_S * SAMPLE_RATE))
    end_sample = max(end_sample, start_sample + round(SHORTEST_S * SAMPLE_RATE))
    return Span(index, start_sample, end_sample, pause)
