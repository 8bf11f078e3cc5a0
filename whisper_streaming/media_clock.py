"""Where a stream of frames has holes: the container's times against the samples that came."""

from typing import Final

TOLERANCE_S: Final = 0.1
"""Recorders are late and early by some ten milliseconds, and nothing is missing."""
MAX_HOLE_S: Final = 30.0
"""What is longer is no lost message."""

_ROUNDING_S: Final = 0.0015  # WebM has whole milliseconds
_RESTART_S: Final = 1.0  # a recording that begins within another one begins near 0
_FOLLOWED: Final = 0.05  # of each deviation: a recorder's two clocks drift apart for hours


class FrameClock:
    """Follows the times of one stream's frames, in order.

    Attributes:
        damaged_s: Length of packets that could not be decoded since the last frame.
    """

    def __init__(self) -> None:
        self._next: float | None = None
        self._filled_s = 0.0
        self._is_damaged = False
        self.damaged_s = 0.0

    @property
    def is_damaged(self) -> bool:
        """Whether a packet was lost since the last frame."""
        return self._is_damaged

    def lose(self, duration_s: float) -> None:
        """A packet could not be decoded; ``duration_s`` is what it claims to hold."""
        self._is_damaged = True
        self.damaged_s += max(duration_s, 0.0)

    def hole_before(self, start_s: float | None, duration_s: float) -> float | None:
        """Seconds that are missing before the next frame; None: the frame came too late.

        A frame is too late when it belongs into a hole that was told before.

        Args:
            start_s: The container's time of the frame, if it has any.
            duration_s: Length of the frame.
        """
        is_damaged, self._is_damaged, self.damaged_s = self._is_damaged, False, 0.0
        if start_s is None:
            if self._next is not None:
                self._next += duration_s
            return 0.0
        late_s = 0.0 if self._next is None else start_s - self._next
        if late_s > (_ROUNDING_S if is_damaged else TOLERANCE_S):
            self._next = start_s + duration_s
            self._filled_s += late_s
            return late_s
        if late_s < -TOLERANCE_S and start_s >= _RESTART_S and self._filled_s >= duration_s:
            self._filled_s -= duration_s
            return None
        follows = abs(late_s) <= TOLERANCE_S
        self._next = start_s - (1 - _FOLLOWED) * late_s * follows + duration_s
        return 0.0
