"""What a voice activity detector promises."""

from collections.abc import Sequence
from typing import Final, Protocol

from whisper_streaming.core.audio import FloatArray

FRAME_SAMPLES: Final = 512
"""Samples per probability: 32 ms at 16 kHz."""


class VadStream(Protocol):
    """The detector's state for one stream, used by one thread at a time."""

    def process(self, samples: FloatArray) -> FloatArray:
        """Judge the next samples.

        Args:
            samples: float32, shape (n,), mono, 16 kHz, in [-1, 1]; any n, never written to. What
                does not fill a frame is kept for the next call.

        Returns:
            float32, shape (k,): the speech probability of each frame of ``FRAME_SAMPLES``
            that is complete now, in order.
        """
        ...

    def push(self, samples: FloatArray) -> FloatArray | None:
        """Take the next samples, and judge them if that is quick.

        Returns:
            What :meth:`process` would; or None where the answer takes work, which
            :meth:`Vad.judge` has to do before more samples are pushed.
        """
        ...


class Vad(Protocol):
    """A detector shared by all streams."""

    def open_stream(self) -> VadStream:
        """State for a new stream."""
        ...

    def judge(self, streams: Sequence[VadStream]) -> list[FloatArray]:
        """Do the work that ``push`` left over in each of ``streams``, together.

        A stream's probabilities are those that it would get alone, up to rounding (1e-5). If it
        raises, no stream has changed, and any of them may be judged again.

        Args:
            streams: Different streams of this detector, each with an answer due.

        Returns:
            What ``process`` would have returned for each of them.
        """
        ...
