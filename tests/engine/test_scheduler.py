"""The scheduler: order, batches, failures, timeouts, the end."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.fakes import FakeClock, GatedBackend, hypothesis_of, request_named
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.engine.scheduler import Scheduler, SchedulerConfig
from whisper_streaming.errors import DecodeError, DecodeTimeout

HANGS_SOON = SchedulerConfig(decode_timeout_s=0.3, close_timeout_s=0.05)


@asynccontextmanager
async def running(
    backend: GatedBackend,
    config: SchedulerConfig | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[tuple[Scheduler, asyncio.TaskGroup]]:
    """A scheduler and a group for its callers; every decode is let go in the end."""
    scheduler = Scheduler(backend, config, clock=clock)
    async with scheduler, asyncio.TaskGroup() as callers:
        try:
            yield scheduler, callers
        finally:
            backend.open()


async def busy(backend: GatedBackend, scheduler: Scheduler, callers: asyncio.TaskGroup) -> None:
    """Occupy one worker with a request called ``busy``."""
    callers.create_task(scheduler.decode(request_named("busy")))
    await backend.begun()


async def until_waiting(scheduler: Scheduler, count: int) -> None:
    async with asyncio.timeout(5):
        while scheduler.stats().waiting != count:
            await asyncio.sleep(0)


def failing(
    *bad: str, error: Exception | None = None
) -> Callable[[Sequence[str]], Exception | None]:
    return lambda names: (error or DecodeError("bad")) if set(names) & set(bad) else None


async def test_an_idle_worker_starts_within_one_turn_of_the_loop() -> None:
    backend = GatedBackend()
    async with running(backend) as (scheduler, callers):
        callers.create_task(scheduler.decode(request_named("a")))
        await asyncio.sleep(0)  # decode runs
        await asyncio.sleep(0)  # the batch starts

        assert scheduler.stats().running == 1
        assert scheduler.stats().waiting == 0


async def test_answers_each_caller_with_its_own_hypothesis() -> None:
    backend = GatedBackend()
    async with running(backend) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        tasks = {
            name: callers.create_task(scheduler.decode(request_named(name))) for name in "abcde"
        }
        await until_waiting(scheduler, 5)
        backend.open()

        for name, task in tasks.items():
            assert await task == hypothesis_of(name)
    assert backend.batches == [["busy"], ["a", "b", "c", "d", "e"]]


async def test_requests_of_the_same_turn_share_a_batch_without_waiting() -> None:
    backend = GatedBackend()
    async with running(backend) as (scheduler, callers):
        for name in "abc":
            callers.create_task(scheduler.decode(request_named(name)))
        await backend.begun()

    assert backend.batches == [["a", "b", "c"]]


async def test_last_requests_go_first_then_the_oldest() -> None:
    backend = GatedBackend(max_batch=2)
    async with running(backend) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        for name in ("p1", "p2", "LAST1", "p3", "LAST2", "LAST3"):
            request = request_named(name, is_last=name.startswith("LAST"))
            callers.create_task(scheduler.decode(request))
            await asyncio.sleep(0)
        await until_waiting(scheduler, 6)

    assert backend.batches == [["busy"], ["LAST1", "LAST2"], ["LAST3", "p1"], ["p2", "p3"]]


async def test_a_request_that_waited_long_goes_with_the_last_ones() -> None:
    """Somebody who sends a recording at once has last requests all the time."""
    backend, clock = GatedBackend(max_batch=1), FakeClock()
    async with running(backend, clock=clock) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        callers.create_task(scheduler.decode(request_named("old")))
        await until_waiting(scheduler, 1)
        clock.advance(1.1)
        callers.create_task(scheduler.decode(request_named("young")))
        callers.create_task(scheduler.decode(request_named("LAST", is_last=True)))
        await until_waiting(scheduler, 3)

    assert backend.batches == [["busy"], ["old"], ["LAST"], ["young"]]


async def test_the_most_urgent_request_decides_the_key_of_the_batch() -> None:
    backend = GatedBackend(key=lambda request: request.prompt[0])
    async with running(backend) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        for name in ("x1", "y1", "x2", "y2"):
            callers.create_task(scheduler.decode(request_named(name, is_last=name == "y2")))
        await until_waiting(scheduler, 4)

    assert backend.batches == [["busy"], ["y2", "y1"], ["x1", "x2"]]


async def test_idle_workers_share_what_waits() -> None:
    backend = GatedBackend(workers=2)
    async with running(backend) as (scheduler, callers):
        for name in "abcd":
            callers.create_task(scheduler.decode(request_named(name)))
        await backend.begun()
        await backend.begun()

        assert sorted(backend.batches) == [["a", "b"], ["c", "d"]]


async def test_a_cancelled_request_is_dropped_before_its_batch() -> None:
    backend = GatedBackend()
    async with running(backend) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        gone = callers.create_task(scheduler.decode(request_named("gone")))
        callers.create_task(scheduler.decode(request_named("stays")))
        await until_waiting(scheduler, 2)
        gone.cancel()
        await until_waiting(scheduler, 1)

    assert backend.batches == [["busy"], ["stays"]]


async def test_a_request_cancelled_in_the_turn_of_its_batch_is_dropped() -> None:
    backend = GatedBackend()
    async with running(backend) as (scheduler, callers):
        gone = callers.create_task(scheduler.decode(request_named("gone")))
        callers.create_task(scheduler.decode(request_named("stays")))
        await asyncio.sleep(0)  # both wait, the start of their batch is due
        gone.cancel()
        await backend.begun()

    assert backend.batches == [["stays"]]


async def test_the_result_of_a_request_cancelled_in_its_batch_is_discarded() -> None:
    backend = GatedBackend()
    async with running(backend) as (scheduler, callers):
        gone = callers.create_task(scheduler.decode(request_named("gone")))
        await backend.begun()
        gone.cancel()
        backend.open()

        assert await scheduler.decode(request_named("next")) == hypothesis_of("next")
    assert gone.cancelled()


@pytest.mark.parametrize(
    "error", [DecodeError("bad"), RuntimeError("a bug in the backend")], ids=["ours", "foreign"]
)
async def test_a_bad_request_fails_alone(error: Exception) -> None:
    backend = GatedBackend(fails=failing("bad", error=error))
    async with running(backend) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        good = [callers.create_task(scheduler.decode(request_named(name))) for name in "ab"]
        bad = asyncio.create_task(scheduler.decode(request_named("bad")))
        await until_waiting(scheduler, 3)
        backend.open()

        assert [await task for task in good] == [hypothesis_of("a"), hypothesis_of("b")]
        with pytest.raises(DecodeError, match="failed twice") as caught:
            await bad
    assert caught.value.__cause__ is error
    assert backend.batches == [["busy"], ["a", "b", "bad"], ["a"], ["b"], ["bad"]]
    assert scheduler.stats().retries == 3
    assert scheduler.stats().failures == 1


async def test_a_request_on_trial_joins_no_other_batch() -> None:
    backend = GatedBackend(fails=failing("bad"))
    async with running(backend) as (scheduler, callers):
        callers.create_task(scheduler.decode(request_named("a")))
        bad = asyncio.create_task(scheduler.decode(request_named("bad")))
        await backend.begun()
        callers.create_task(scheduler.decode(request_named("new", is_last=True)))
        await until_waiting(scheduler, 1)
        backend.open()

        with pytest.raises(DecodeError):
            await bad
    assert backend.batches == [["a", "bad"], ["new"], ["a"], ["bad"]]


async def test_a_single_request_is_tried_twice() -> None:
    failures = iter([DecodeError("once"), None])
    backend = GatedBackend(fails=lambda names: next(failures))
    backend.open()
    async with Scheduler(backend) as scheduler:
        assert await scheduler.decode(request_named("a")) == hypothesis_of("a")

    assert backend.batches == [["a"], ["a"]]


async def test_too_few_hypotheses_are_a_failure() -> None:
    class Forgetful(GatedBackend):
        def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
            return super().decode_batch(requests)[1:]

    backend = Forgetful()
    backend.open()
    async with Scheduler(backend) as scheduler:
        with pytest.raises(DecodeError):
            await scheduler.decode(request_named("a"))


@pytest.mark.parametrize("error", [DecodeError("no key"), ValueError("bug")], ids=["ours", "bug"])
async def test_a_request_without_a_key_fails_alone_and_unseen_by_the_backend(
    error: Exception,
) -> None:
    def key(request: DecodeRequest) -> str:
        if request.prompt == "bad":
            raise error
        return "any"

    backend = GatedBackend(key=key)
    backend.open()
    async with Scheduler(backend) as scheduler:
        with pytest.raises(DecodeError):
            await scheduler.decode(request_named("bad"))
        assert await scheduler.decode(request_named("good")) == hypothesis_of("good")

    assert backend.batches == [["good"]]


async def test_a_hanging_batch_times_out_and_the_other_worker_goes_on() -> None:
    backend = GatedBackend(workers=2)
    async with running(backend, HANGS_SOON) as (scheduler, _):
        with pytest.raises(DecodeTimeout):
            await scheduler.decode(request_named("hangs"))
        assert not scheduler.healthy
        assert scheduler.stats().lost_workers == 1

        backend.batches.clear()
        answer = asyncio.create_task(scheduler.decode(request_named("next")))
        while not backend.batches:
            await asyncio.sleep(0)
        backend.open()

        assert await answer == hypothesis_of("next")


async def test_with_all_workers_lost_callers_get_the_timeout_at_once() -> None:
    backend = GatedBackend()
    async with running(backend, HANGS_SOON) as (scheduler, _):
        hanging = asyncio.create_task(scheduler.decode(request_named("hangs")))
        await backend.begun()
        waiting = asyncio.create_task(scheduler.decode(request_named("waits")))
        await until_waiting(scheduler, 1)

        for task in (hanging, waiting):
            with pytest.raises(DecodeTimeout):
                await task
        with pytest.raises(DecodeTimeout):
            await scheduler.decode(request_named("late"))
        assert scheduler.stats().timeouts == 3


async def test_a_worker_that_comes_back_serves_again() -> None:
    backend = GatedBackend()
    async with running(backend, HANGS_SOON) as (scheduler, _):
        with pytest.raises(DecodeTimeout):
            await scheduler.decode(request_named("hangs"))
        backend.open()
        async with asyncio.timeout(5):
            while not scheduler.healthy:
                await asyncio.sleep(0)

        assert await scheduler.decode(request_named("next")) == hypothesis_of("next")
        assert scheduler.stats().lost_workers == 0


async def test_closing_cancels_what_waits_and_what_runs() -> None:
    backend = GatedBackend()
    async with Scheduler(backend, HANGS_SOON) as scheduler:
        running_one = asyncio.create_task(scheduler.decode(request_named("runs")))
        await backend.begun()
        waiting_one = asyncio.create_task(scheduler.decode(request_named("waits")))
        await until_waiting(scheduler, 1)

    for task in (running_one, waiting_one):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not scheduler.healthy
    backend.open()
    with pytest.raises(DecodeError, match="closed"):
        await scheduler.decode(request_named("late"))


async def test_closing_waits_for_the_running_batch() -> None:
    backend = GatedBackend()
    async with Scheduler(backend) as scheduler:
        asyncio.create_task(scheduler.decode(request_named("runs")))  # noqa: RUF006
        await backend.begun()
        closing = asyncio.create_task(scheduler.close())
        await asyncio.sleep(0)
        assert not closing.done()
        backend.open()
        await closing

    assert scheduler.stats().running == 0
    for thread in threading.enumerate():
        if thread.name.startswith("decode-"):
            thread.join(5)
    assert not [each for each in threading.enumerate() if each.name.startswith("decode-")]


async def test_an_error_in_the_body_leaves_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with Scheduler(GatedBackend()):
            raise KeyError("body")


async def test_counts_batches_and_measures_time_by_its_clock() -> None:
    clock = FakeClock()
    backend = GatedBackend(max_batch=2)
    async with Scheduler(backend, clock=clock) as scheduler, asyncio.TaskGroup() as callers:
        await busy(backend, scheduler, callers)
        for name in "abc":
            callers.create_task(scheduler.decode(request_named(name)))
        await until_waiting(scheduler, 3)
        clock.advance(2.0)  # "busy" takes 2 s and the others wait as long
        backend.release()
        await backend.begun()
        clock.advance(0.5)
        backend.open()
    stats = scheduler.stats()

    assert (stats.batches, stats.requests, stats.largest_batch) == (3, 4, 2)
    assert stats.mean_batch == pytest.approx(4 / 3)
    assert stats.decode_s == pytest.approx(2.5)
    assert stats.queue_wait_p50_s == 2.0
    assert stats.queue_wait_p95_s == 2.5
    assert (stats.started, stats.queue_wait_s) == (4, 2.0 + 2.0 + 2.5)
    assert (stats.waiting, stats.running) == (0, 0)


class ChangingJob:
    """A job whose request changes while it waits; the test says how."""

    def __init__(self, name: str, *, is_last: bool = False) -> None:
        self.name: str | None = name
        self.is_last = is_last
        self.taken = 0

    def peek(self) -> DecodeRequest | None:
        return None if self.name is None else request_named(self.name, is_last=self.is_last)

    def take(self) -> DecodeRequest:
        self.taken += 1
        request = self.peek()
        assert request is not None
        return request


class SessionJob(ChangingJob):
    """While its request is in flight the session is due nothing."""

    def take(self) -> DecodeRequest:
        request = super().take()
        self.is_last = False
        return request


async def test_a_request_is_cut_when_its_batch_starts() -> None:
    backend = GatedBackend()
    async with running(backend) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        job = ChangingJob("old")
        answer = callers.create_task(scheduler.decode(job))
        await until_waiting(scheduler, 1)
        assert job.taken == 0
        job.name = "new"
        backend.open()

        assert await answer == hypothesis_of("new")
        assert job.taken == 1
    assert backend.batches == [["busy"], ["new"]]


async def test_a_job_that_becomes_last_while_it_waits_goes_first() -> None:
    backend = GatedBackend(max_batch=1)
    async with running(backend) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        first, second = ChangingJob("first"), ChangingJob("second")
        callers.create_task(scheduler.decode(first))
        callers.create_task(scheduler.decode(second))
        await until_waiting(scheduler, 2)
        second.is_last = True

    assert backend.batches == [["busy"], ["second"], ["first"]]


async def test_a_last_request_that_failed_is_tried_again_before_others() -> None:
    """Its session has none that is due while it is in flight."""
    failures = iter([DecodeError("once")])
    backend = GatedBackend(
        max_batch=1, fails=lambda names: next(failures, None) if names == ["last"] else None
    )
    async with running(backend) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        callers.create_task(scheduler.decode(request_named("other")))
        callers.create_task(scheduler.decode(SessionJob("last", is_last=True)))
        await until_waiting(scheduler, 2)

    assert backend.batches == [["busy"], ["last"], ["last"], ["other"]]


async def test_a_job_that_nobody_needs_any_more_costs_no_decode() -> None:
    backend = GatedBackend()
    async with running(backend) as (scheduler, callers):
        await busy(backend, scheduler, callers)
        needless = ChangingJob("needless")
        answer = callers.create_task(scheduler.decode(needless))
        other = callers.create_task(scheduler.decode(request_named("other")))
        await until_waiting(scheduler, 2)
        needless.name = None
        backend.open()

        assert await answer is None
        assert await other == hypothesis_of("other")
    assert needless.taken == 0
    assert backend.batches == [["busy"], ["other"]]


async def test_a_retry_decodes_the_request_that_failed_and_not_a_newer_one() -> None:
    backend = GatedBackend(fails=failing("old"))
    backend.open()
    async with running(backend) as (scheduler, callers):
        job = ChangingJob("old")

        async def renew() -> None:
            await backend.begun()
            job.name = "new"

        callers.create_task(renew())
        with pytest.raises(DecodeError):
            await scheduler.decode(job)
    assert backend.batches == [["old"], ["old"]]
    assert job.taken == 1


async def test_a_job_is_taken_before_it_fails() -> None:
    """Its session counts on it: it reports the audio as lost, or asks again."""
    job = ChangingJob("late")
    scheduler = Scheduler(GatedBackend())

    with pytest.raises(DecodeError, match="closed"):
        await scheduler.decode(job)
    assert job.taken == 1
