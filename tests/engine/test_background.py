"""Decodes in the background: live words never wait for one that has not begun."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.fakes import FakeClock, GatedBackend, hypothesis_of, request_named
from whisper_streaming.core.hypothesis import DecodeRequest
from whisper_streaming.engine.scheduler import Scheduler
from whisper_streaming.errors import DecodeError


def background(name: str) -> DecodeRequest:
    return replace(request_named(name, is_last=True), is_background=True)


@asynccontextmanager
async def running(
    backend: GatedBackend, clock: FakeClock | None = None
) -> AsyncIterator[tuple[Scheduler, asyncio.TaskGroup]]:
    """A scheduler and a group for its callers; every decode is let go in the end."""
    scheduler = Scheduler(backend, clock=clock or FakeClock())
    async with scheduler, asyncio.TaskGroup() as callers:
        try:
            yield scheduler, callers
        finally:
            backend.open()


async def until_waiting(scheduler: Scheduler, count: int) -> None:
    async with asyncio.timeout(5):
        while scheduler.stats().waiting != count:
            await asyncio.sleep(0)


async def test_live_requests_go_first_however_long_others_have_waited() -> None:
    clock, backend = FakeClock(), GatedBackend(max_batch=1)
    async with running(backend, clock) as (scheduler, callers):
        callers.create_task(scheduler.decode(request_named("busy")))
        await backend.begun()
        callers.create_task(scheduler.decode(background("late")))
        await until_waiting(scheduler, 1)
        clock.advance(100.0)
        callers.create_task(scheduler.decode(request_named("live")))
        callers.create_task(scheduler.decode(request_named("last", is_last=True)))
        await until_waiting(scheduler, 3)

    assert backend.batches == [["busy"], ["last"], ["live"], ["late"]]


async def test_it_joins_no_batch_because_the_others_would_wait_for_it() -> None:
    backend = GatedBackend(max_batch=8)
    async with running(backend) as (scheduler, callers):
        callers.create_task(scheduler.decode(request_named("busy")))
        await backend.begun()
        for request in (background("one"), background("two"), request_named("live")):
            callers.create_task(scheduler.decode(request))
        await until_waiting(scheduler, 3)

    assert backend.batches == [["busy"], ["live"], ["one"], ["two"]]


async def test_it_leaves_one_of_several_workers_to_live_words() -> None:
    backend = GatedBackend(workers=2, max_batch=1)
    async with running(backend) as (scheduler, callers):
        for name in ("one", "two"):
            callers.create_task(scheduler.decode(background(name)))
        await backend.begun()
        await until_waiting(scheduler, 1)

        callers.create_task(scheduler.decode(request_named("live")))
        await backend.begun()

        assert backend.batches == [["one"], ["live"]]
        assert scheduler.stats().waiting == 1


async def test_it_runs_on_the_only_worker_and_is_answered_like_others() -> None:
    backend = GatedBackend(workers=1)
    backend.open()
    async with running(backend) as (scheduler, _):
        assert await scheduler.decode(background("alone")) == hypothesis_of("alone")


async def test_it_is_tried_again_like_others() -> None:
    failures = iter([DecodeError("once")])
    backend = GatedBackend(fails=lambda names: next(failures, None))
    backend.open()
    async with running(backend) as (scheduler, _):
        assert await scheduler.decode(background("again")) == hypothesis_of("again")
    assert backend.batches == [["again"], ["again"]]


async def test_its_wait_says_nothing_about_how_long_live_words_wait() -> None:
    backend = GatedBackend()
    backend.open()
    async with running(backend) as (scheduler, _):
        await scheduler.decode(background("unmeasured"))

        assert scheduler.stats().requests == 1
        assert scheduler.stats().started == 0
