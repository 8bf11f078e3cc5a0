"""Cuts a stream that arrives in pieces of any size into whole frames."""

import numpy as np

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.vad.base import FRAME_SAMPLES


class Framer:
    """Keeps what does not fill a frame for the next call."""

    def __init__(self) -> None:
        self._rest: FloatArray = np.zeros(0, dtype=np.float32)

    def push(self, samples: FloatArray) -> FloatArray:
        """Add samples and take the frames that are complete now.

        Args:
            samples: float32, shape (n,), mono, 16 kHz, in [-1, 1]; any n. Never written to.

        Returns:
            float32, shape (k, ``FRAME_SAMPLES``), read-only by convention; k may be 0.
        """
        joined = np.concatenate((self._rest, samples))
        whole = len(joined) - len(joined) % FRAME_SAMPLES
        # A copy, because a view would keep all of a large chunk alive for its last samples.
        self._rest = joined[whole:].copy()
        return joined[:whole].reshape(-1, FRAME_SAMPLES)
