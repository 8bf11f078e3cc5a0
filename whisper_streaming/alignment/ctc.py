"""Where in the audio each character of a known text is said (CTC forced alignment).

Numbers only: no model, no clock. ``whisperx.align`` does the same, but fetches sentence tables
from the network when it is first called, and ends the last word with its last letter.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

LogProbs = npt.NDArray[np.float32]
"""float32, shape (frames, tokens): natural logarithms, each frame's exponentials sum to one."""

_IMPOSSIBLE: Final = np.float32(-1e30)


def first_frames(log_probs: LogProbs, tokens: Sequence[int], blank: int) -> list[int] | None:
    """The frame in which each of ``tokens`` begins, on the likeliest way through all frames.

    Between two tokens there may be blanks; between two equal ones there must be.

    Args:
        log_probs: What the model hears.
        tokens: What is said, as columns of ``log_probs``; none of them is ``blank``.
        blank: Column of "nothing new".

    Returns:
        One frame for each token, ascending; None if there are too few frames to say them all.
    """
    states = np.full(2 * len(tokens) + 1, blank)  # blank, token, blank, token, ..., blank
    states[1::2] = tokens
    # A blank may be left out, but not between equal tokens: they would read as one.
    may_skip = np.zeros(len(states), dtype=bool)
    may_skip[3::2] = states[3::2] != states[1:-2:2]
    steps = _likeliest_steps(log_probs[:, states], may_skip)
    if steps is None:
        return None
    return _walk_back(*steps)


def _likeliest_steps(
    heard: LogProbs, may_skip: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int8], int] | None:
    """How many states each state was entered from, for each frame, and the last frame's state.

    Args:
        heard: float32, shape (frames, states).
        may_skip: Which states may be entered from the one before the last.
    """
    frames, count = heard.shape
    if frames == 0:
        return None
    steps = np.zeros((frames, count), dtype=np.int8)
    score = np.full(count, _IMPOSSIBLE, dtype=np.float32)
    score[:2] = heard[0, :2]
    from_where = np.full((3, count), _IMPOSSIBLE, dtype=np.float32)
    for frame in range(1, frames):
        from_where[0] = score
        from_where[1, 1:] = score[:-1]
        from_where[2, 2:] = np.where(may_skip[2:], score[:-2], _IMPOSSIBLE)
        best = from_where.argmax(axis=0)
        steps[frame] = best
        score = from_where[best, np.arange(count)] + heard[frame]
    last = count - 1 if count == 1 or score[-1] >= score[-2] else count - 2
    return (steps, last) if score[last] > _IMPOSSIBLE / 2 else None


def _walk_back(steps: npt.NDArray[np.int8], state: int) -> list[int]:
    starts = [0] * (steps.shape[1] // 2)
    for frame in range(len(steps) - 1, -1, -1):
        if state % 2:
            starts[state // 2] = frame
        state -= int(steps[frame, state])
    return starts
