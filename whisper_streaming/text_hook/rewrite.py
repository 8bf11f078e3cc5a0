"""Words for a text that somebody changed."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum, auto
from itertools import accumulate, pairwise

from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.core.transcript import starts_word

_PIECE = re.compile(r"\s*\S+")


def rewrite(words: Words, text: str) -> Words:
    """``words`` so that they read ``text``.

    A word that is in both stays as it is, with its time. What is new gets the time of what it
    replaces, by its share of the letters; what is only put in gets no time of its own.

    Args:
        words: In order, as the decoder wrote them.
        text: What they should read; white space around it and line breaks do not count.

    Returns:
        Words in order, that join to ``text`` with the leading space that ``words`` had.
    """
    old, text = join_words(words), " ".join(text.split())
    if not text:
        return ()
    new = " " + text if old[:1].isspace() or not old else text
    if new == old:
        return words
    return _Rewriting(words, old, new).words() if words else ()


class _Kind(Enum):
    SPACE = auto()
    UNSPACED = auto()
    LETTER = auto()
    MARK = auto()


_INSIDE_A_WORD = (_Kind.LETTER, _Kind.LETTER)


@dataclass(frozen=True, slots=True)
class _Run:
    """``new[new_begin:new_end]`` stands for ``old[old_begin:old_end]``."""

    old_begin: int
    old_end: int
    new_begin: int
    new_end: int
    is_equal: bool

    def old_position(self, position: int) -> int:
        """Where ``position`` of the new text is in the old one."""
        if self.is_equal:
            return self.old_begin + position - self.new_begin
        share = (position - self.new_begin) / (self.new_end - self.new_begin)
        return self.old_begin + round(share * (self.old_end - self.old_begin))


class _Rewriting:
    def __init__(self, words: Words, old: str, new: str) -> None:
        self._words = words
        self._new = new
        # Where each word begins in the old text, and where the last one ends.
        self._begins = [0, *accumulate(len(word.text) for word in words)]
        self._runs = list(_runs(old, new))
        self._run_begins = [run.new_begin for run in self._runs]

    def words(self) -> Words:
        kept = self._kept()
        cuts = {match.start() for match in _PIECE.finditer(self._new)} | {0, len(self._new)}
        for begin, word in kept.items():
            cuts -= set(range(begin + 1, begin + len(word.text)))
            cuts |= {begin, begin + len(word.text)}
        return tuple(
            kept[begin] if begin in kept else self._create(begin, end)
            for begin, end in pairwise(sorted(cuts))
        )

    def _kept(self) -> dict[int, Word]:
        """The words that are in the new text as a whole, by where they begin there."""
        return {
            run.new_begin + begin - run.old_begin: word
            for word, (begin, end) in zip(self._words, pairwise(self._begins), strict=True)
            for run in self._runs
            if run.is_equal and run.old_begin <= begin < end <= run.old_end
        }

    def _create(self, begin: int, end: int) -> Word:
        first = self._run(begin).old_position(begin)
        last = max(first, self._run(end - 1).old_position(end))
        touched = self._words[self._index(first) : self._index(max(first, last - 1)) + 1]
        start = self._time(first)
        return Word(
            text=self._new[begin:end],
            start=start,
            end=max(start, self._time(last, is_end=True)) if last > first else start,
            probability=min(word.probability for word in touched),
            speaker=touched[0].speaker,
        )

    def _run(self, position: int) -> _Run:
        return self._runs[bisect_right(self._run_begins, position) - 1]

    def _index(self, position: int) -> int:
        """The word that the old text's letter at ``position`` belongs to."""
        return min(bisect_right(self._begins, position), len(self._words)) - 1

    def _time(self, position: int, *, is_end: bool = False) -> float:
        """When the old text's letter at ``position`` begins; or the one before it ends."""
        index = self._index(position - 1 if is_end else position)
        word, begin = self._words[index], self._begins[index]
        if position == begin + len(word.text):
            return word.end  # to the bit
        return word.start + (word.end - word.start) * (position - begin) / len(word.text)


def _runs(old: str, new: str) -> Iterator[_Run]:
    """What of the new text stands for what of the old one; what was taken away is left out."""
    old_tokens, new_tokens = _tokens(old), _tokens(new)
    old_begins = [0, *accumulate(map(len, old_tokens))]
    new_begins = [0, *accumulate(map(len, new_tokens))]
    matcher = SequenceMatcher(None, old_tokens, new_tokens, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if j2 > j1:
            yield _Run(
                old_begins[i1], old_begins[i2], new_begins[j1], new_begins[j2], tag == "equal"
            )


def _tokens(text: str) -> list[str]:
    """Words and marks with the space before them; single letters of scripts without spaces."""
    begins = [0] if text else []
    for index, (before, here) in enumerate(pairwise(map(_kind, text)), 1):
        if here is _Kind.SPACE or (before is not _Kind.SPACE and (before, here) != _INSIDE_A_WORD):
            begins.append(index)
    return [text[begin:end] for begin, end in pairwise([*begins, len(text)])]


def _kind(character: str) -> "_Kind":
    if character.isspace():
        return _Kind.SPACE
    if starts_word(character):
        return _Kind.UNSPACED
    return _Kind.LETTER if character.isalnum() else _Kind.MARK
