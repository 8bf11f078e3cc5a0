"""Voice activity by loudness: no model, for lines where only pauses matter.

A frame's level is compared with the noise floor, the quietest frame of the last seconds
("minimum statistics", Martin 2001, without its bias correction). People pause between syllables,
so the minimum over a few seconds is noise even while somebody speaks.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.vad.base import FRAME_SAMPLES, VadStream
from whisper_streaming.vad.framing import Framer

FLOOR_FRAMES: Final = round(4.0 * SAMPLE_RATE / FRAME_SAMPLES)
"""The floor is the minimum over 4 s: longer than a breath group holds out without a dip."""
FIRST_FLOOR_DB: Final = -55.0
"""What is assumed to have been heard before the stream, so that a word at its start counts."""
LOWEST_FLOOR_DB: Final = -60.0
"""A muted line has no floor; without a bound, the faintest crackle would be speech."""
HIGHEST_FLOOR_DB: Final = -30.0
"""No floor is believed above it: a voice that never dips is loud, and noise this loud is rare."""
MIDDLE_DB: Final = 9.0
"""Level above the floor that has probability 0.5."""
SLOPE_DB: Final = 1.5
"""Level difference that changes the odds by a factor e."""

_TINY_POWER: Final = 1e-12  # -120 dBFS, keeps the logarithm finite


class EnergyVad:
    """Nothing is shared between the streams."""

    def open_stream(self) -> "EnergyStream":
        return EnergyStream()

    def judge(self, streams: Sequence[VadStream]) -> list[FloatArray]:
        assert not streams, "every push is answered at once"
        return []


class EnergyStream:
    """The recent levels of one stream."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._levels_db = deque([FIRST_FLOOR_DB] * FLOOR_FRAMES, maxlen=FLOOR_FRAMES)

    def process(self, samples: FloatArray) -> FloatArray:
        frames = self._framer.push(samples)
        # The variance and not the power: an offset of the line is not sound.
        levels_db = 10 * np.log10(frames.var(axis=1, dtype=np.float64) + _TINY_POWER)
        floors_db = np.array([self._floor_db(float(level)) for level in levels_db])
        odds = np.exp(np.clip((levels_db - floors_db - MIDDLE_DB) / SLOPE_DB, -50, 50))
        probabilities: FloatArray = (odds / (1 + odds)).astype(np.float32)
        probabilities[levels_db < LOWEST_FLOOR_DB] = 0.0
        return probabilities

    def push(self, samples: FloatArray) -> FloatArray:
        return self.process(samples)

    def _floor_db(self, level_db: float) -> float:
        self._levels_db.append(level_db)
        return min(max(min(self._levels_db), LOWEST_FLOOR_DB), HIGHEST_FLOOR_DB)
