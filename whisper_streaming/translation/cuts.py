"""Where to cut audio between two sentences, when the times of their words are not exact.

Word times come from attention: they are often early, by up to half a second before a pause. A model
makes a whole sentence of the end of a word that is not part of its own.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from whisper_streaming.core.audio import FloatArray, samples_of

REACH_S: Final = 0.5
"""How far from the time of a word its true begin or end is looked for."""

_FRAME_S: Final = 0.02
_FRAME: Final = samples_of(_FRAME_S)
_PAUSE_FRAMES: Final = 6  # 0.12 s: before the sound of a "t" it is quiet for less
_KEPT_FRAMES: Final = 6  # of a pause, beside the word
_QUIET: Final = 0.03  # of the mean power of the words: 15 dB less


def cut_before(samples: FloatArray, word_start: int, power: float) -> int:
    """Where the words begin: after the last pause that begins before ``word_start``.

    Args:
        samples: float32, shape (n,), mono, 16 kHz: around the begin of the first word.
        word_start: Index at which that word is said to begin.
        power: Mean square of the words.

    Returns:
        An index into ``samples``; without a pause the quietest moment up to ``word_start``.
    """
    powers = _frame_powers(samples)
    pauses = [pause for pause in _pauses(powers, power) if pause[0] * _FRAME <= word_start]
    if pauses:
        begin, end = pauses[-1]
        return max(begin, end - _KEPT_FRAMES) * _FRAME
    return _quietest(powers[: word_start // _FRAME], word_start)


def cut_after(samples: FloatArray, power: float, *, is_end: bool = False) -> int:
    """Where the words end: in the first pause.

    Args:
        samples: float32, shape (n,), mono, 16 kHz: from the time at which the last word is said to
            end.
        power: Mean square of the words.
        is_end: Nothing follows ``samples``, so that they belong to the words.

    Returns:
        An index into ``samples``; without a pause the quietest moment of the first 0.3 s, or the
        end of the audio.
    """
    powers = _frame_powers(samples)
    for begin, end in _pauses(powers, power):
        return min(end, begin + _KEPT_FRAMES) * _FRAME
    if is_end:
        return len(samples)
    near = powers[: round(0.3 / _FRAME_S)]
    return _quietest(near, len(near) * _FRAME)


def _frame_powers(samples: FloatArray) -> npt.NDArray[np.float64]:
    frames = len(samples) // _FRAME
    squares = np.square(samples[: frames * _FRAME], dtype=np.float64)
    powers: npt.NDArray[np.float64] = squares.reshape(frames, _FRAME).mean(axis=1)
    return powers


def _pauses(powers: npt.NDArray[np.float64], power: float) -> list[tuple[int, int]]:
    """Runs of quiet frames that are long enough: first frame, and the one after the last."""
    is_quiet = np.concatenate([[False], powers < _QUIET * power, [False]])
    edges = np.flatnonzero(np.diff(is_quiet.astype(np.int8)))
    runs = edges.reshape(-1, 2).tolist()
    return [(begin, end) for begin, end in runs if end - begin >= _PAUSE_FRAMES]


def _quietest(powers: npt.NDArray[np.float64], otherwise: int) -> int:
    """The middle of the quietest frame, the last one of several."""
    if not len(powers):
        return otherwise
    frame = len(powers) - 1 - int(np.argmin(powers[::-1]))
    return frame * _FRAME + _FRAME // 2
