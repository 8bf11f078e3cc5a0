"""A model that hears what a test writes: a letter for each frame."""

from collections.abc import Callable, Mapping

import numpy as np

from whisper_streaming.alignment.ctc import LogProbs
from whisper_streaming.core.audio import FloatArray

ALPHABET = "_|abcdefghijklmnopqrstuvwxyz'"
"""``_`` is the blank."""
FRAME_SAMPLES = 320


def heard(text: str, *, certainty: float = 0.99) -> LogProbs:
    """Log-probabilities of one frame for each character of ``text``."""
    rest = (1 - certainty) / (len(ALPHABET) - 1)
    probabilities = np.full((len(text), len(ALPHABET)), rest, dtype=np.float32)
    probabilities[np.arange(len(text)), [ALPHABET.index(letter) for letter in text]] = certainty
    return np.log(probabilities)


def columns(text: str) -> list[int]:
    """``text`` as columns of :func:`heard`."""
    return [ALPHABET.index(letter) for letter in text]


class WrittenModel:
    """Hears ``text``, whatever the audio, stretched over its frames; a blank where it is short.

    Args:
        text: A character for each frame of 20 ms.
        before: Called before it answers, in the thread of the caller.
    """

    def __init__(self, text: str, before: Callable[[], None] = lambda: None) -> None:
        self._text = text
        self._before = before
        self.asked: list[int] = []

    @property
    def letters(self) -> Mapping[str, int]:
        return {letter: column for column, letter in enumerate(ALPHABET) if letter != "_"}

    @property
    def blank(self) -> int:
        return ALPHABET.index("_")

    def hear(self, samples: FloatArray) -> LogProbs:
        self.asked.append(len(samples))
        self._before()
        frames = len(samples) // FRAME_SAMPLES
        return heard(self._text[:frames].ljust(frames, "_"))
