"""What the audio itself says about words: whether a voice was heard there, and how it moves."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray

_LEVEL_FRAME: Final = 512
_QUANTILES: Final = np.array([0.10, 0.50, 0.90, 0.97])
_TINY_POWER: Final = 1e-12  # -120 dBFS, keeps the logarithm finite


@dataclass(frozen=True, slots=True)
class Voice:
    """How much of a voice a detector heard in a stretch of audio.

    Attributes:
        peak: Highest speech probability.
        voiced_s: Seconds of frames at or above the threshold.
    """

    peak: float
    voiced_s: float


class VoiceTrack:
    """Speech probabilities of the retained audio, addressed by the session's clock."""

    def __init__(self, frame_samples: int, threshold: float) -> None:
        """Take the samples of a frame, and the probability from which it counts as voiced."""
        self.threshold = threshold
        self._frame = frame_samples
        self._probs: FloatArray = np.zeros(0, dtype=np.float32)
        self._first = 0  # number of the first retained frame

    def append(self, speech_probs: FloatArray, *, keep_from: int) -> None:
        """Add the next frames; forget those that end before the sample ``keep_from``."""
        self._probs = np.concatenate((self._probs, speech_probs))
        stale = min(max(0, keep_from // self._frame - self._first), len(self._probs))
        self._probs = self._probs[stale:]
        self._first += stale

    def heard(self, start: float, end: float) -> Voice:
        """The voice between two times in seconds, frames that only touch them included."""
        first = int(start * SAMPLE_RATE) // self._frame - self._first
        last = -(-int(end * SAMPLE_RATE) // self._frame) - self._first
        probs = self._probs[max(0, first) : max(0, last)]
        if not len(probs):
            return Voice(0.0, 0.0)
        voiced = int(np.count_nonzero(probs >= self.threshold))
        return Voice(float(probs.max()), voiced * self._frame / SAMPLE_RATE)


def frame_levels_db(samples: FloatArray) -> npt.NDArray[np.float64]:
    """Level of each whole frame of 32 ms, without an offset of the line."""
    whole = len(samples) // _LEVEL_FRAME
    frames = samples[: whole * _LEVEL_FRAME].reshape(whole, _LEVEL_FRAME)
    levels: npt.NDArray[np.float64] = 10 * np.log10(frames.var(axis=1) + _TINY_POWER)
    return levels


def level_spread_db(
    levels_db: npt.NDArray[np.float64], start_s: float, end_s: float
) -> float | None:
    """How far the levels of a stretch are apart; None if it is short.

    That is the loud tenth over the quiet tenth, or the loudest frames over the middle one, which
    shows a single word: those in noise of 10 dB less have 11 dB, noise has 3.

    Syllables rise and fall: within a second and a half, speech in noise of 10 dB less has 6 dB at
    least, in noise of 5 dB less 4 dB (measured on the recordings of the tests). White noise has 1,
    pink noise 3, hum, sirens and an organ 2.

    Args:
        levels_db: Of :func:`frame_levels_db`.
        start_s: Seconds since the first of them.
        end_s: The same.
    """
    rate = SAMPLE_RATE / _LEVEL_FRAME
    stretch = levels_db[max(0, round(start_s * rate)) : max(0, round(end_s * rate))]
    if len(stretch) < rate:
        return None
    # np.percentile would take ten times as long as the rest of the judgement.
    levels = np.sort(stretch)
    quiet, middle, loud, loudest = np.interp(
        _QUANTILES * (len(levels) - 1), np.arange(len(levels)), levels
    )
    return float(max(loud - quiet, loudest - middle))
