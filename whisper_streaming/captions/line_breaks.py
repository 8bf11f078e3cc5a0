"""Where a passage is cut into cues and lines: the cheapest of all ways, by a few plain costs.

Cues should be few, end where a sentence or a clause does, or at a pause, and be about equally
full. Lines should be few and about equally long, not end with a short word such as "the", and
never hold a single word if that can be helped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from whisper_streaming.captions.passage import Passage
from whisper_streaming.captions.rules import CaptionRules, width
from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.core.transcript import ends_clause, ends_sentence

Lines = tuple[Words, ...]

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


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to cut words, and what it costs."""

    cost: float
    parts: tuple[Lines, ...]


def cut_into_cues(passage: Passage, rules: CaptionRules, *, indent: int = 0) -> tuple[Lines, ...]:
    """The lines of each cue of ``passage``: all its words, in order.

    Args:
        passage: What is said.
        rules: The limits.
        indent: What stands before the first line of each cue, such as a speaker's name.
    """
    words = passage.words
    best: list[_Way] = [_Way(0.0, ())]
    for end in range(1, len(words) + 1):
        ways = []
        for start in range(end - 1, -1, -1):
            part = words[start:end]
            if start < end - 1 and not _may_be_one(part, rules):
                break
            lines = _best_lines(part, rules, indent)
            if lines is None:
                break
            cost = best[start].cost + lines.cost + _cost_of_cue(part, words[end:], passage, rules)
            ways.append(_Way(cost, (*best[start].parts, *lines.parts)))
        best.append(min(ways, key=lambda way: way.cost))
    return best[-1].parts


def _may_be_one(words: Words, rules: CaptionRules) -> bool:
    room = rules.line_length * rules.max_lines
    return (
        words[-1].end - words[0].start <= rules.max_duration_s
        # Lines lose the space at their begin, so this much is never too strict.
        and width(join_words(words)) <= room + rules.max_lines
    )


def _cost_of_cue(words: Words, rest: Words, whole: Passage, rules: CaptionRules) -> float:
    room = rules.line_length * rules.max_lines
    emptiness = max(0.0, 1.0 - width(join_words(words).strip()) / room)
    cost = _CUE + _UNEVEN_CUES * emptiness**2
    if len(words) == 1 < len(whole.words):
        cost += _LONE_WORD_IN_CUE
    if rest:
        cost += _cost_of_break(words[-1], rest[0])
    return cost


def _cost_of_break(before: Word, after: Word) -> float:
    text = before.text.strip()
    if ends_sentence(text):
        return 0.0
    if ends_clause(text):
        return _AFTER_CLAUSE
    if after.start - before.end >= _PAUSE_S:
        return _AFTER_PAUSE
    return _AFTER_SHORT_WORD if width(text) <= _SHORT_WORD else _AFTER_WORD


def _best_lines(words: Words, rules: CaptionRules, indent: int) -> _Way | None:
    """The best lines for one cue, as few as will do; None if they are too many."""

    @cache
    def best(begin: int, count: int) -> tuple[float, tuple[int, ...]] | None:
        """Cost and ends of ``words[begin:]`` in ``count`` lines; None if they do not fit."""
        if count == 1:
            cost = _cost_of_line(words, begin, len(words), rules, indent)
            return None if cost is None else (cost, (len(words),))
        ways = []
        for end in range(begin + 1, len(words)):
            cost = _cost_of_line(words, begin, end, rules, indent)
            if cost is None:
                break
            rest = best(end, count - 1)
            if rest is not None:
                cost += _cost_of_break(words[end - 1], words[end]) + rest[0]
                ways.append((cost, (end, *rest[1])))
        return min(ways, default=None)

    for count in range(1, rules.max_lines + 1):
        way = best(0, count)
        if way is not None:
            return _Way(way[0], (_split(words, way[1]),))
    return None


def _cost_of_line(
    words: Words, begin: int, end: int, rules: CaptionRules, indent: int
) -> float | None:
    """What the line ``words[begin:end]`` of a cue costs; None if it is too long."""
    line = words[begin:end]
    room = rules.line_length - (indent if begin == 0 else 0)
    length = width(join_words(line).strip())
    if length > room and len(line) > 1:
        return None
    cost = _LINE + _UNEVEN_LINES * max(0.0, 1.0 - length / max(room, 1)) ** 2
    return cost + _LONE_WORD_IN_LINE if len(line) == 1 < len(words) else cost


def _split(words: Words, ends: Sequence[int]) -> Lines:
    begins = (0, *ends[:-1])
    return tuple(words[begin:end] for begin, end in zip(begins, ends, strict=True))
