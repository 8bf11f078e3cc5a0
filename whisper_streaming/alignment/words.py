"""New times for known words, from a model that hears letters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from whisper_streaming.alignment.ctc import LogProbs, first_frames
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.core.hypothesis import Word, Words

BETWEEN_WORDS: Final = "|"
"""What models of the wav2vec2 family call the gap between two words."""
MIN_SAMPLES: Final = SAMPLE_RATE // 10
"""Less holds no word, and is less than some models can be given."""
MAX_SHIFT_S: Final = 1.0
"""A word that would move further was not found: something else was said than was written."""


class AlignModel(Protocol):
    """Hears letters. Called by one thread at a time."""

    @property
    def letters(self) -> Mapping[str, int]:
        """Small letters and ``BETWEEN_WORDS``, with their columns."""
        ...

    @property
    def blank(self) -> int:
        """The column of "nothing new"."""
        ...

    def hear(self, samples: FloatArray) -> LogProbs:
        """What is said in each frame; the frames share the duration of the audio evenly.

        Args:
            samples: float32, shape (n,), mono, 16 kHz, in [-1, 1]; ``MIN_SAMPLES`` at least.

        Raises:
            RuntimeError: If the runtime fails.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Spelled:
    """A text as columns of a model.

    Attributes:
        tokens: In order, with a gap behind the last word; None is a word that cannot be spelled.
        first: For each word, the index of its first token.
        after: For each word, the index of the token behind its last one.
    """

    tokens: list[int | None]
    first: list[int]
    after: list[int]

    def is_known(self, word: int) -> bool:
        return self.tokens[self.first[word]] is not None


def align(model: AlignModel, words: Words, samples: FloatArray, start_sample: int) -> Words:
    """``words`` with the times at which they are said; flagged (``is_aligned``) where found.

    A word without a single letter that the model knows, such as a number in digits, keeps its
    time as far as its neighbours allow, and so does one that was not found near where it should be.

    Args:
        model: Hears the letters.
        words: All that is said in ``samples``, in order, with approximate times.
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
        start_sample: Position of ``samples[0]`` on the session's sample clock.

    Raises:
        RuntimeError: If the model fails.
    """
    spelled = _spell(words, model)
    known = [index for index in range(len(words)) if spelled.is_known(index)]
    if not known or len(samples) < MIN_SAMPLES:
        return words
    heard = model.hear(samples)
    # What cannot be spelled sounds like whatever is heard: a column of its own.
    unknown = heard.shape[1]
    heard = np.concatenate((heard, heard.max(axis=1, keepdims=True)), axis=1)
    tokens = [unknown if token is None else token for token in spelled.tokens]
    frames = first_frames(heard, tokens, model.blank)
    if frames is None:
        return words
    start_s, duration_s = start_sample / SAMPLE_RATE, len(samples) / SAMPLE_RATE
    times = [start_s + frame * duration_s / len(heard) for frame in frames]
    found = list(words)
    for index in known:
        start, end = times[spelled.first[index]], times[spelled.after[index]]
        if abs(start - words[index].start) <= MAX_SHIFT_S:
            found[index] = replace(words[index], start=start, end=end, is_aligned=True)
    return in_order(found, earliest=start_s, latest=start_s + duration_s)


def in_order(words: Sequence[Word], *, earliest: float, latest: float = float("inf")) -> Words:
    """``words`` with times that never go back. What was measured by alignment moves last.

    Args:
        words: In spoken order.
        earliest: Where the word before the first one ends.
        latest: Where the audio ends.
    """
    ordered: list[Word] = []
    for index, word in enumerate(words):
        # The next measured start bounds the guessed times before it.
        bound = next((w.start for w in words[index + 1 :] if w.is_aligned), latest)
        bound = latest if word.is_aligned else max(earliest, min(bound, latest))
        start = min(max(word.start, earliest), bound)
        end = min(max(word.end, start), bound)
        ordered.append(
            word if (start, end) == (word.start, word.end) else replace(word, start=start, end=end)
        )
        earliest = end
    return tuple(ordered)


def _spell(words: Sequence[Word], model: AlignModel) -> _Spelled:
    gap = model.letters.get(BETWEEN_WORDS)
    tokens: list[int | None] = []
    first, after = [], []
    for word in words:
        if gap is not None and tokens and word.text.startswith(" "):
            tokens.append(gap)
        letters = [model.letters.get(each) for each in word.text.lower()]
        first.append(len(tokens))
        tokens += [each for each in letters if each is not None and each != gap] or [None]
        after.append(len(tokens))
    # Where the last word ends: a gap, or for a model without gaps whatever follows.
    return _Spelled([*tokens, gap], first, after)
