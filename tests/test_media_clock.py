"""Holes between frames, told by their times."""

import numpy as np
import pytest

from whisper_streaming.media_clock import FrameClock

FRAME_S = 0.06  # as browsers record


def place(starts: list[float], clock: FrameClock | None = None) -> list[float | None]:
    """What is missing before each frame, or None where it is dropped."""
    clock = clock or FrameClock()
    return [clock.hole_before(start, FRAME_S) for start in starts]


def test_a_recorder_that_is_late_and_early_and_drifts_leaves_nothing_out() -> None:
    frames = np.arange(3 * 60_000)  # three hours
    jitter = np.random.default_rng(1).uniform(-0.045, 0.045, len(frames))

    holes = place(list(frames * FRAME_S * (1 + 1e-4) + jitter))

    assert set(holes) == {0.0}


def test_a_jump_ahead_is_a_hole_once() -> None:
    assert place([5.0, 5.06, 6.12, 6.18]) == pytest.approx([0.0, 0.0, 1.0, 0.0])


def test_after_a_damaged_packet_its_own_length_is_a_hole() -> None:
    clock = FrameClock()
    place([0.0], clock)
    clock.lose(FRAME_S)
    assert (clock.is_damaged, clock.damaged_s) == (True, FRAME_S)

    assert place([0.12], clock) == pytest.approx([FRAME_S])
    assert not clock.is_damaged


def test_frames_that_come_after_their_place_was_filled_are_dropped() -> None:
    #         a hole of two, then the two, then those after the first
    starts = [2.0, 2.06, 2.24, 2.12, 2.18, 2.30]

    holes = place(starts)

    assert [hole is None for hole in holes] == [False, False, False, True, True, False]
    assert holes[-1] == 0.0


def test_a_recording_that_begins_within_another_one_is_kept() -> None:
    assert place([2.0, 3.06, 0.0, 0.06])[2:] == [0.0, 0.0]


def test_frames_without_times_follow_each_other() -> None:
    clock = FrameClock()
    assert [clock.hole_before(start, 1.0) for start in (0.0, None, 2.0)] == [0.0, 0.0, 0.0]
