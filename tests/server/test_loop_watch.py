"""Stalls of the event loop, in virtual time."""

import asyncio

import pytest

from tests.live.virtual_time import VirtualTimeLoop, run_virtual
from whisper_streaming.server.loop_watch import INTERVAL_S, KEPT_SAMPLES, LoopStats, LoopWatch


def stall(duration_s: float) -> None:
    """What a call that takes so long does to the event loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.pass_time(duration_s)


def test_nothing_is_known_before_the_first_sample() -> None:
    assert LoopWatch().stats() == LoopStats(0, 0.0, 0.0, 0.0)


def test_a_free_loop_has_no_stalls() -> None:
    async def scenario() -> None:
        watch = LoopWatch()
        watch.open()
        await asyncio.sleep(100.5 * INTERVAL_S)

        assert watch.stats() == LoopStats(100, 0.0, 0.0, 0.0)
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
