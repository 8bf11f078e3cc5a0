"""Voice activity detection: which frames of a stream hold speech."""

from typing import Final, Literal

from whisper_streaming.errors import ConfigurationError
from whisper_streaming.vad.base import FRAME_SAMPLES, Vad, VadStream

__all__ = ["FRAME_SAMPLES", "Vad", "VadKind", "VadStream", "create_vad"]

VadKind = Literal["silero", "energy"]

SILERO: Final = "silero"
ENERGY: Final = "energy"


def create_vad(kind: VadKind) -> Vad:
    """The detector called ``kind``, to be shared by all streams.

    ``"silero"`` is a small neural network that knows speech from noise; ``"energy"`` is arithmetic
    that only knows loud from quiet, and needs no model.

    Raises:
        ConfigurationError: If there is no detector of that name, or its model is missing.
    """
    if kind == SILERO:
        from whisper_streaming.vad.silero import SileroVad

        return SileroVad()
    if kind == ENERGY:
        from whisper_streaming.vad.energy import EnergyVad

        return EnergyVad()
    raise ConfigurationError(f"unknown voice activity detector {kind!r}: take silero or energy")
