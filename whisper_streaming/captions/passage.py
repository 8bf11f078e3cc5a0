"""What is said at a stretch, as whole words with times: what captions are made of."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.core.transcript import Segment, group_words, starts_word


@dataclass(frozen=True, slots=True)
class Passage:
    """One segment for captions. Times are seconds.

    Attributes:
        words: Whole words, each with its punctuation, without line breaks; never empty. Their
            times never decrease and lie between ``start`` and ``end``.
        start: When it begins.
        end: When it ends, not before ``start``.
        speaker: Who speaks, if anybody found out.
        has_word_times: The times of the words were heard; else they are shared out by length.
    """

    words: Words
    start: float
    end: float
    speaker: str | None = None
    has_word_times: bool = True

    @property
    def text(self) -> str:
        """In one line, without space at either end."""
        return join_words(self.words).strip()


def passage_of(segment: Segment) -> Passage | None:
    """``segment`` for captions; None if there is nothing to read."""
    return passage_of_words(segment.words, segment.start, segment.end, segment.speaker)


def passage_of_words(
    words: Sequence[Word], start: float, end: float, speaker: str | None
) -> Passage | None:
    """Words with times of their own for captions; None if there is nothing to read."""
    whole = [
        replace(group[0], text=text, end=group[-1].end)
        for group in group_words(words)
        if (text := _one_line(join_words(group))).strip()
    ]
    if not whole:
        return None
    end = max(start, end)
    reached = start
    ordered = []
    for word in whole:
        word_start = min(max(word.start, reached), end)
        reached = min(max(word.end, word_start), end)
        ordered.append(replace(word, start=word_start, end=reached))
    return Passage(tuple(ordered), start, end, speaker)


def passage_of_text(text: str, start: float, end: float, speaker: str | None) -> Passage | None:
    """Text without times for captions; None if there is nothing to read.

    Each character is taken to last equally long.
    """
    # The same rule as for words that a model wrote: so scripts without spaces can be cut, too.
    pieces = group_words(Word(piece, 0.0, 0.0) for piece in re.findall(r"\s*\S", text))
    if not pieces:
        return None
    end = max(start, end)
    length = sum(map(len, pieces))
    words, reached = [], 0
    for piece in pieces:
        word_start = start + (end - start) * reached / length
        reached += len(piece)
        word_end = min(start + (end - start) * reached / length, end)
        words.append(Word(_one_line(join_words(piece)), min(word_start, end), word_end))
    return Passage(tuple(words), start, end, speaker, has_word_times=False)


def joined(first: Passage, second: Passage) -> Passage:
    """Two passages of one speaker that follow one another as one."""
    return Passage(
        tuple(chain(first.words, _with_space(second.words))),
        first.start,
        max(first.end, second.end),
        first.speaker,
        first.has_word_times and second.has_word_times,
    )


def _one_line(text: str) -> str:
    """Without line breaks and doubled space, but with the space that separates words."""
    return (" " if text[:1].isspace() else "") + " ".join(text.split())


def _with_space(words: Words) -> Words:
    """Words that may follow others: some servers take the leading space from a segment."""
    text = words[0].text
    if not text[0].isalnum() or starts_word(text):
        return words
    return (replace(words[0], text=f" {text}"), *words[1:])
