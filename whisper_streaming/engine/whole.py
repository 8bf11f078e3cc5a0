"""A whole recording decoded at once: what a model can do when it may hear everything first."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from whisper_streaming.backends.base import Backend
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, join_words

FRAME_SAMPLES: Final = EndpointRules().frame_samples
MAX_WINDOW_S: Final = 10.0
SPEECH: Final = 0.5
QUIET: Final = 0.35

_TOKENS_PER_SECOND: Final = 15
_SPARE_TOKENS: Final = 16


def decode_whole(
    backend: Backend,
    samples: FloatArray,
    speech_probs: FloatArray,
    options: DecodeOptions,
    *,
    max_window_s: float = MAX_WINDOW_S,
) -> str:
    """The text of a recording, window by window, cut at its pauses.

    Args:
        backend: Called directly, one window at a time.
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
        speech_probs: float32, shape (k,): a probability for each frame of ``FRAME_SAMPLES``.
        options: The same for all windows.
        max_window_s: No window is longer; the model itself takes 30 s at most.

    Raises:
        DecodeError: If the backend fails.
    """
    texts = []
    for start, end in cut_at_pauses(speech_probs, max_window_s):
        request = DecodeRequest(
            samples=samples[start:end],
            start_sample=start,
            options=options,
            is_last=True,
            max_new_tokens=_SPARE_TOKENS + (end - start) * _TOKENS_PER_SECOND // samples_of(1.0),
        )
        texts.append(join_words(backend.decode_batch([request])[0].words))
    return "".join(texts).strip()


def cut_at_pauses(
    speech_probs: FloatArray, max_window_s: float = MAX_WINDOW_S
) -> Iterator[tuple[int, int]]:
    """Ranges of samples with speech in them, none longer than ``max_window_s``.

    A range that has to end before the recording does ends in the middle of the longest quiet
    stretch of its second half, or at its quietest frame if there is none.

    Args:
        speech_probs: float32, shape (k,): a probability for each frame of ``FRAME_SAMPLES``.
    """
    longest = samples_of(max_window_s) // FRAME_SAMPLES
    start = 0
    while start < len(speech_probs):
        end = start + longest
        if end < len(speech_probs):
            half = start + longest // 2
            end = half + _best_cut(speech_probs[half:end])
        else:
            end = len(speech_probs)
        if np.max(speech_probs[start:end]) >= SPEECH:
            yield start * FRAME_SAMPLES, end * FRAME_SAMPLES
        start = end


def _best_cut(speech_probs: FloatArray) -> int:
    """Index after which to cut, at least 1."""
    is_quiet = (speech_probs < QUIET).astype(np.int8)
    edges = np.flatnonzero(np.diff(is_quiet, prepend=0, append=0)).reshape(-1, 2)
    if len(edges) == 0:
        return int(np.argmin(speech_probs)) + 1
    first, last = edges[np.argmax(edges[:, 1] - edges[:, 0])]
    return max(1, int(first + last) // 2)
