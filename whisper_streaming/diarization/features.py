"""Log-mel features of a stretch of speech, as the embedded speaker network wants them."""

from functools import cache
from typing import Final

import numpy as np

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray

BANDS: Final = 40
FRAMES: Final = 160
"""Frames the network sees, 10 ms each; a shorter stretch is repeated until it fills them."""

_HOP: Final = SAMPLE_RATE // 100
_WINDOW: Final = SAMPLE_RATE // 40
_FFT: Final = 512
_LOWEST_HZ: Final = 80.0
_HIGHEST_HZ: Final = 7600.0
_RANGE: Final = 9.0
"""Natural logarithm of power; what is quieter by more than this (39 dB) is taken for silence."""
_LOWEST_SURE_BAND: Final = 4
"""Around 340 Hz: the lowest one that every telephone and small microphone hears."""
_LOW_CUT: Final = 0.2
"""Of the range: by how much the bands below may be quieter (8 dB, usual in speech)."""


def speech_features(samples: FloatArray) -> FloatArray:
    """The features of a stretch of speech, the same for any level of it.

    Args:
        samples: float32, shape (n,), mono, 16 kHz; what is beyond 1.6 s is left out.

    Returns:
        float32, shape (BANDS, FRAMES).
    """
    return fit_frames(log_mel(samples[: FRAMES * _HOP + _WINDOW]))


def log_mel(samples: FloatArray) -> FloatArray:
    """The natural logarithm of the power in each band and frame: float32, shape (BANDS, frames).

    At least one frame, so that there is something to repeat.
    """
    padded = np.pad(samples, (0, max(0, _WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    spectrum = np.fft.rfft(frames * np.hanning(_WINDOW).astype(np.float32), _FFT)
    power = np.square(np.abs(spectrum)).astype(np.float32)
    return np.asarray(np.log(_mel_bands() @ power.T + 1e-8), np.float32)


def fit_frames(bands: FloatArray) -> FloatArray:
    """Level the features and bring them to the length of the network's input.

    Telephone lines and small microphones take the lowest sounds away. To the network, all voices
    without them are alike, because it never heard such, so what is missing is filled in.

    Args:
        bands: What :func:`log_mel` gives, with at least one frame.

    Returns:
        float32, shape (BANDS, FRAMES), in [-1, 0.5] or so: 0 is the loudest part of the stretch.
    """
    levelled = bands - np.quantile(bands, 0.98)
    levelled = np.maximum(levelled, -_RANGE) / _RANGE
    low, sure = levelled[:_LOWEST_SURE_BAND], levelled[_LOWEST_SURE_BAND]
    levelled[:_LOWEST_SURE_BAND] = np.maximum(low, sure - _LOW_CUT)
    repeats = -(-FRAMES // levelled.shape[1])
    return np.asarray(np.tile(levelled, (1, repeats))[:, :FRAMES], np.float32)


@cache
def _mel_bands() -> FloatArray:
    """Triangles, evenly spaced in mel: float32, shape (BANDS, _FFT // 2 + 1)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
