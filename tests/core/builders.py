"""Short ways to write words, hypotheses and audio in the tests of the core."""

import numpy as np

from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.hypothesis import Hypothesis, Word, Words

FRAME = EndpointRules().frame_samples


def words(text: str, *, start: float = 0.0, word_s: float = 0.25) -> Words:
    """The words of ``text``, each ``word_s`` long, one after the other."""
    return tuple(
        Word(f" {word}", start + index * word_s, start + (index + 1) * word_s)
        for index, word in enumerate(text.split())
    )


def glued(text: str, at: float = 0.0) -> Word:
    """Punctuation that arrived after its word."""
    return Word(text, at, at)


def hypothesis(text: str, *, start: float = 0.0, language: str = "en") -> Hypothesis:
    return Hypothesis(words=words(text, start=start), language=language)


def audio(duration_s: float) -> FloatArray:
    """Some audio that is not silent; what it holds does not matter to the core."""
    return np.full(samples_of(duration_s), 0.1, dtype=np.float32)


def probabilities(duration_s: float, value: float) -> FloatArray:
    """The same speech probability for each frame of ``duration_s`` seconds."""
    return np.full(samples_of(duration_s) // FRAME, value, dtype=np.float32)
