"""What a voice activity detector promises."""

from typing import Final, Protocol

from whisper_streaming.core.audio import FloatArray

FRAME_SAMPLES: Final = 512
"""Samples per probability: 32 ms at 16 kHz."""


class VadStream(Protocol):
    """The detector's state for one stream."""

    def process(self, samples: FloatArray) -> FloatArray:
        """Judge the next samples.

        Args:
            samples: float32, shape (n,), mono, 16 kHz, in [-1, 1]; any n. What does not fill a
                frame is kept for the next call.

        Returns:
            float32, shape (k,): the speech probability of each frame of ``FRAME_SAMPLES``
            that is complete now, in order.
        """
        ...


class Vad(Protocol):
    """A detector shared by all streams."""

    def open_stream(self) -> VadStream:
        """State for a new stream. A stream is used by one thread at a time."""
        ...
