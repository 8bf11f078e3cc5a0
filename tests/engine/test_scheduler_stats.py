"""Percentiles of the last queue waits."""

import pytest

from whisper_streaming.engine.scheduler_stats import RECENT_WAITS, QueueWaits, SchedulerStats


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [(0, 50, 0.0), (1, 50, 1.0), (1, 95, 1.0), (2, 50, 1.0), (100, 50, 50.0), (100, 95, 95.0)],
)
def test_percentile_is_the_nearest_rank(count: int, percent: float, expected: float) -> None:
    waits = QueueWaits()
    for wait_s in range(count, 0, -1):
        waits.add(float(wait_s))

    assert waits.percentile(percent) == expected


def test_forgets_the_oldest_waits() -> None:
    waits = QueueWaits()
    waits.add(1000.0)
    for _ in range(RECENT_WAITS):
        waits.add(1.0)

    assert waits.percentile(100) == 1.0


def test_mean_batch_is_zero_before_the_first() -> None:
    assert SchedulerStats().mean_batch == 0.0
