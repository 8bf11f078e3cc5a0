"""Stalls of the event loop, in virtual time."""

import asyncio

import pytest

from tests.live.virtual_time import VirtualTimeLoop, run_virtual
from whisper_streaming.server.loop_watch import (
    INTERVAL_S,
    KEPT_SAMPLES,
    RECENT_SAMPLES,
    LoopStats,
    LoopWatch,
)


def stall(duration_s: float) -> None:
    """What a call that takes so long does to the event loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.pass_time(duration_s)


def test_nothing_is_known_before_the_first_sample() -> None:
    assert LoopWatch().stats() == LoopStats()


def test_a_free_loop_has_no_stalls() -> None:
    async def scenario() -> None:
        watch = LoopWatch()
        watch.open()
        await asyncio.sleep(100.5 * INTERVAL_S)

        assert watch.stats() == LoopStats(samples=100)
        watch.close()

    run_virtual(scenario())


def test_a_stall_is_a_wait_for_every_moment_in_it() -> None:
    async def scenario() -> None:
        watch = LoopWatch()
        watch.open()
        stall(10 * INTERVAL_S)
        await asyncio.sleep(0)
        await asyncio.sleep(9.5 * INTERVAL_S)
        watch.close()

        # Whoever came with the stall waited 9 intervals, the next one 8, ... the last one 0; then
        # nobody waited.
        stats = watch.stats()
        assert stats.samples == 19
        assert stats.stall_max_s == pytest.approx(9 * INTERVAL_S, abs=1e-4)
        assert stats.stall_p99_s == pytest.approx(9 * INTERVAL_S, abs=1e-4)
        assert stats.stall_p50_s == 0.0

    run_virtual(scenario())


def test_only_the_newest_samples_are_kept() -> None:
    async def scenario() -> None:
        watch = LoopWatch()
        watch.open()
        stall(KEPT_SAMPLES * INTERVAL_S)
        await asyncio.sleep(100.5 * INTERVAL_S)
        watch.close()

        stats = watch.stats()
        assert stats.samples == KEPT_SAMPLES
        # The waits of the stall go down by one interval each; the first hundred are forgotten.
        worst = (KEPT_SAMPLES - 1 - 100) * INTERVAL_S
        assert stats.stall_max_s == pytest.approx(worst, abs=1e-3)

    run_virtual(scenario())


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(0, id="all kept"),
        pytest.param(KEPT_SAMPLES, id="old ones overwritten"),
        pytest.param(KEPT_SAMPLES - RECENT_SAMPLES // 2, id="across the end of the ring"),
    ],
)
def test_a_stall_is_recent_for_as_many_samples_as_that_is(before: int) -> None:
    async def scenario() -> None:
        watch = LoopWatch()
        watch.open()
        await asyncio.sleep((before + 0.5) * INTERVAL_S)
        stall(3 * INTERVAL_S)
        # The wait of 2.5 intervals is the first of the three that the stall leaves.
        await asyncio.sleep((RECENT_SAMPLES - 3) * INTERVAL_S)
        newest = watch.stats()
        await asyncio.sleep(INTERVAL_S)
        one_later = watch.stats()
        watch.close()

        assert newest.stall_recent_s == pytest.approx(2.5 * INTERVAL_S, abs=1e-4)
        assert one_later.stall_recent_s == pytest.approx(1.5 * INTERVAL_S, abs=1e-4)
        assert one_later.stall_max_s == newest.stall_max_s == newest.stall_recent_s

    run_virtual(scenario())


def test_a_night_of_sleep_is_not_sampled_moment_by_moment() -> None:
    async def scenario() -> None:
        watch = LoopWatch()
        watch.open()
        stall(1e6)
        await asyncio.sleep(0.5 * INTERVAL_S)
        watch.close()

        assert watch.stats().samples == KEPT_SAMPLES

    run_virtual(scenario())


def test_a_closed_watch_leaves_no_timer_behind() -> None:
    async def scenario() -> None:
        watch = LoopWatch()
        watch.open()
        watch.close()
        watch.close()
        await asyncio.sleep(10 * INTERVAL_S)

        assert watch.stats().samples == 0

    run_virtual(scenario())
