"""What tells how a voice sounds: the promise of an embedder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from whisper_streaming.core.audio import FloatArray


@dataclass(frozen=True, slots=True)
class EmbedderInfo:
    """What is to be known of an embedder.

    Attributes:
        name: For logs and the status.
        new_below: Cosine under which two stretches are of different voices.
        same_above: Cosine over which two voices, each heard for some seconds, are one.
    """

    name: str
    new_below: float
    same_above: float


class Embedder(Protocol):
    """Turns stretches of speech into vectors, near each other where the voice is the same."""

    info: EmbedderInfo

    def embed(self, stretches: Sequence[FloatArray]) -> FloatArray:
        """Embed stretches together. Called in one thread, never at the same time.

        Args:
            stretches: Each float32, shape (n,), mono, 16 kHz, in [-1, 1], 0.1 s to 1.6 s.

        Returns:
            float32, shape (stretches, size), each row of length 1.

        Raises:
            BackendError: If the model fails.
        """
        ...
