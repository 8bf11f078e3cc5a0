"""Where a passage is cut into cues and lines: the cheapest of all ways, by a few plain costs.

Cues should be few, end where a sentence or a clause does, or at a pause, and be about equally
full. Lines should be few and about equally long, not end with a short word such as "the", and
never hold a single word if that can be helped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice, pairwise, starmap
from typing import Final

from whisper_streaming.captions.passage import Passage
from whisper_streaming.captions.rules import CaptionRules, width
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.core.transcript import ends_clause, ends_sentence

Lines = tuple[Words, ...]

_Cut = tuple[float, tuple[int, ...]]
"""What lines cost, and where each ends."""

_PAUSE_S: Final = 0.15
_SHORT_WORD: Final = 3
"""Articles, prepositions and the like, in most languages; they belong to what follows."""

# Costs. Their order matters, their size hardly.
_CUE: Final = 100.0
_LONE_WORD_IN_CUE: Final = 60.0
_LONE_WORD_IN_LINE: Final = 30.0
_UNEVEN_CUES: Final = 20.0
_UNEVEN_LINES: Final = 12.0
_LINE: Final = 5.0
_AFTER_CLAUSE: Final = 2.0
_AFTER_PAUSE: Final = 4.0
_AFTER_WORD: Final = 8.0
_AFTER_SHORT_WORD: Final = 12.0


def cut_into_cues(passage: Passage, rules: CaptionRules, *, indent: int = 0) -> tuple[Lines, ...]:
    """The lines of each cue of ``passage``: all its words, in order.

    Args:
        passage: What is said.
        rules: The limits.
        indent: What stands before the first line of each cue, such as a speaker's name.
    """
    return _Cutter(passage.words, rules, indent).cues()


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to cut words, and what it costs.

    Attributes:
        cost: The less the better.
        ends: Of each line of each cue, the number of words up to its end.
    """

    cost: float
    ends: tuple[tuple[int, ...], ...]


class _Cutter:
    """Cuts one row of words. Parts of it are named by the numbers of their first and next word."""

    def __init__(self, words: Words, rules: CaptionRules, indent: int) -> None:
        self._words = words
        self._rules = rules
        self._indent = indent
        self._room = rules.line_length * rules.max_lines
        # Up to each word: all words are measured once, however many parts they are in.
        self._reach = (0, *accumulate(width(word.text) for word in words))
        self._leading = tuple(len(word.text) - len(word.text.lstrip()) for word in words)
        self._breaks = tuple(starmap(_cost_of_break, pairwise(words)))
        self._known: dict[tuple[int, int, int, int], _Cut | None] = {}

    def cues(self) -> tuple[Lines, ...]:
        """The cheapest cues."""
        best = [_Way(0.0, ())]
        for end in range(1, len(self._words) + 1):
            ways = []
            for begin in range(end - 1, -1, -1):
                lines = self._lines(begin, end) if self._may_be_cue(begin, end) else None
                if lines is None:
                    break
                cost = best[begin].cost + lines[0] + self._cost_of_cue(begin, end)
                ways.append(_Way(cost, (*best[begin].ends, lines[1])))
            best.append(min(ways, key=lambda way: way.cost))
        return self._cut(best[-1].ends)

    def _may_be_cue(self, begin: int, end: int) -> bool:
        words = self._words
        is_short = words[end - 1].end - words[begin].start <= self._rules.max_duration_s
        # A line loses the space at its begin.
        fits = self._width(begin, end) <= self._room + self._rules.max_lines
        return end - begin == 1 or (is_short and fits)

    def _width(self, begin: int, end: int) -> int:
        return self._reach[end] - self._reach[begin] - self._leading[begin]

    def _cost_of_cue(self, begin: int, end: int) -> float:
        emptiness = max(0.0, 1.0 - self._width(begin, end) / self._room)
        cost = _CUE + _UNEVEN_CUES * emptiness**2
        if end - begin == 1 < len(self._words):
            cost += _LONE_WORD_IN_CUE
        return cost + self._breaks[end - 1] if end < len(self._words) else cost

    def _lines(self, begin: int, end: int) -> _Cut | None:
        """The best lines of a cue, as few as will do; None if they are too many."""
        for count in range(1, self._rules.max_lines + 1):
            lines = self._lines_of(begin, begin, end, count)
            if lines is not None:
                return lines
        return None

    def _lines_of(self, first: int, begin: int, end: int, count: int) -> _Cut | None:
        """The same from ``begin`` on, in ``count`` lines of the cue that begins with ``first``."""
        key = (first, begin, end, count)
        if key not in self._known:
            self._known[key] = self._find_lines(*key)
        return self._known[key]

    def _find_lines(self, first: int, begin: int, end: int, count: int) -> _Cut | None:
        if count == 1:
            cost = self._cost_of_line(first, begin, end, end)
            return None if cost is None else (cost, (end,))
        ways = []
        for line_end in range(begin + 1, end):
            cost = self._cost_of_line(first, begin, line_end, end)
            if cost is None:
                break
            rest = self._lines_of(first, line_end, end, count - 1)
            if rest is not None:
                ways.append((cost + self._breaks[line_end - 1] + rest[0], (line_end, *rest[1])))
        return min(ways, default=None)

    def _cost_of_line(self, first: int, begin: int, end: int, cue_end: int) -> float | None:
        """What a line costs in the cue from ``first`` to ``cue_end``; None if it is too long."""
        room = self._rules.line_length - (self._indent if begin == first else 0)
        length = self._width(begin, end)
        if length > room and end - begin > 1:
            return None
        cost = _LINE + _UNEVEN_LINES * max(0.0, 1.0 - length / max(room, 1)) ** 2
        return cost + _LONE_WORD_IN_LINE if end - begin == 1 < cue_end - first else cost

    def _cut(self, ends: Sequence[Sequence[int]]) -> tuple[Lines, ...]:
        begins = (0, *chain.from_iterable(ends))
        lines = iter(self._words[begin:end] for begin, end in pairwise(begins))
        return tuple(tuple(islice(lines, len(cue))) for cue in ends)


def _cost_of_break(before: Word, after: Word) -> float:
    text = before.text.strip()
    if ends_sentence(text):
        return 0.0
    if ends_clause(text):
        return _AFTER_CLAUSE
    if after.start - before.end >= _PAUSE_S:
        return _AFTER_PAUSE
    return _AFTER_SHORT_WORD if width(text) <= _SHORT_WORD else _AFTER_WORD
