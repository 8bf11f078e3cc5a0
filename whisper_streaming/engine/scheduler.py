"""Batches the requests of all sessions and runs them on the backend's workers.

There is no batching window: an idle worker starts in the same turn of the event loop, and what
arrives while all workers are busy forms the next batch. A request is cut when its batch forms, so
that under load the sessions are updated less often but never with old audio: first the time
between two partial results grows, then partial results are left out; last ones go first, but for
those that have waited long. What is decoded in the background goes last, alone, and never on the
last idle one of several workers, so that live words meet a free one. The scheduler lives in one
event loop and has no tasks of its own: jobs and returning workers push it on, so it has no locks
either.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Final

from whisper_streaming.backends.base import Backend
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.engine.base import DecodeJob
from whisper_streaming.engine.scheduler_stats import QueueWaits, SchedulerStats
from whisper_streaming.engine.worker import Worker
from whisper_streaming.errors import DecodeError, DecodeTimeout

logger = logging.getLogger("whisper_streaming.scheduler")

_PATIENCE_S: Final = 1.0  # of requests that are not last ones

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """Limits in time.

    Attributes:
        decode_timeout_s: A call of the backend that takes longer is given up.
        close_timeout_s: How long closing waits for calls that still run.
    """

    decode_timeout_s: float = 30.0
    close_timeout_s: float = 5.0


@dataclass(slots=True, eq=False)
class _Pending:
    """A job and who waits for it. ``request`` is there once it was taken."""

    job: DecodeJob
    arrival: int
    arrived_at: float
    answer: asyncio.Future[Hypothesis | None]
    request: DecodeRequest | None = None
    is_retry: bool = False

    @property
    def is_background(self) -> bool:
        """Whether it waits for all others. Such a job is a request from the start."""
        return isinstance(self.job, DecodeRequest) and self.job.is_background

    @property
    def goes_alone(self) -> bool:
        """Whether no other may share its batch.

        It may be what made a batch fail; or the words of live sessions would wait for it.
        """
        return self.is_retry or self.is_background

    def urgency(self, now: float) -> tuple[bool, bool, int]:
        """Sorts the most urgent first: a person waits for last requests.

        Others go with them once they have waited long: somebody who sends a recording at once has
        last requests all the time, and somebody who speaks without a pause has none.
        """
        is_urgent = (self.request or self.job).is_last or now - self.arrived_at > _PATIENCE_S
        return (self.is_background, not is_urgent, self.arrival)

    def peek(self) -> DecodeRequest | None:
        """The request as it is, or would be now; see :class:`DecodeJob`."""
        return self.request or self.job.peek()

    def take(self) -> DecodeRequest:
        """The request; a retry is the same one again."""
        if self.request is None:
            self.request = self.job.take()
        return self.request

    def reject(self, error: DecodeError | DecodeTimeout) -> None:
        """Answer with ``error``; a job that nobody needs any more did not fail."""
        if self.peek() is None:
            self.answer.set_result(None)
        else:
            self.take()
            self.answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a call of the backend gave: hypotheses, or the reason why there are none."""

    hypotheses: list[Hypothesis]
    error: Exception | None
    took_s: float


@dataclass(slots=True, eq=False)
class _Run:
    """A batch inside the backend."""

    worker: Worker
    batch: list[_Pending]
    timer: asyncio.TimerHandle | None = None
    is_lost: bool = False


@dataclass(slots=True)
class _Fleet:
    """The workers: idle ones, and what the others do."""

    idle: list[Worker] = field(default_factory=list)
    runs: set[_Run] = field(default_factory=set)

    @property
    def lost(self) -> int:
        return sum(run.is_lost for run in self.runs)

    @property
    def has_spare(self) -> bool:
        """Whether one is idle that live words would not miss."""
        return len(self.idle) > 1 or (len(self.idle) == 1 and not self.runs)

    @property
    def all_lost(self) -> bool:
        return not self.idle and all(run.is_lost for run in self.runs)


class Scheduler:
    """The ``Decoder`` of this process. Enter it before the first request::

        async with Scheduler(backend) as scheduler:
            hypothesis = await scheduler.decode(request)

    Leaving it cancels what waits; it neither warms up nor closes the backend.
    """

    def __init__(
        self,
        backend: Backend,
        config: SchedulerConfig | None = None,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self._backend = backend
        self._config = config or SchedulerConfig()
        self._clock = clock
        # Bounded by the sessions: each has at most one job outstanding.
        self._waiting: list[_Pending] = []
        self._fleet = _Fleet()
        self._stats = SchedulerStats()
        self._waits = QueueWaits()
        self._arrivals = 0
        self._is_open = False
        self._all_returned = asyncio.Event()

    async def __aenter__(self) -> "Scheduler":
        loop = asyncio.get_running_loop()
        for number in range(self._backend.info.workers):
            self._fleet.idle.append(Worker(f"decode-{number}", loop))
        self._is_open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def healthy(self) -> bool:
        """False while a worker hangs in a decode, and when closed."""
        return self._is_open and self._fleet.lost == 0

    def stats(self) -> SchedulerStats:
        """What was done up to now."""
        return replace(
            self._stats,
            waiting=len(self._waiting),
            running=sum(len(run.batch) for run in self._fleet.runs),
            lost_workers=self._fleet.lost,
            started=self._waits.count,
            queue_wait_s=self._waits.total_s,
            queue_wait_p50_s=self._waits.percentile(50),
            queue_wait_p95_s=self._waits.percentile(95),
        )

    async def decode(self, job: DecodeJob) -> Hypothesis | None:
        """Decode ``job`` when its turn comes, in a batch with whatever fits and waits.

        Cancelling it before its batch starts drops it; after that the result is discarded.

        Returns:
            The hypothesis, or None if the job was not needed any more when its turn came.

        Raises:
            DecodeError: After the retry, or when the scheduler is closed. The job was taken.
            DecodeTimeout: If the backend did not answer in time, or all its workers hang. The job
                was taken.
        """
        self._arrivals += 1
        answer = asyncio.get_running_loop().create_future()
        pending = _Pending(job, self._arrivals, self._clock(), answer)
        if not self._is_open:
            pending.reject(DecodeError("the scheduler is closed"))
        elif self._fleet.all_lost:
            self._time_out([pending], "all workers hang")
        else:
            self._enqueue(pending)
        try:
            return await pending.answer
        finally:
            if pending in self._waiting:
                self._waiting.remove(pending)

    async def close(self) -> None:
        """Cancel every open request and wait, bounded, for the calls that still run. Idempotent."""
        self._is_open = False
        for pending in [*self._waiting, *(each for run in self._fleet.runs for each in run.batch)]:
            pending.answer.cancel()
        self._waiting.clear()
        try:
            await self._wait_for_runs()
        finally:
            idle, self._fleet.idle = self._fleet.idle, []
            for worker in [*idle, *(run.worker for run in self._fleet.runs)]:
                worker.stop()

    async def _wait_for_runs(self) -> None:
        if not self._fleet.runs:
            return
        try:
            async with asyncio.timeout(self._config.close_timeout_s):
                await self._all_returned.wait()
        except TimeoutError:
            logger.error("closed while %d decodes still hang", len(self._fleet.runs))

    # -- from jobs to batches -------------------------------------------------------------

    def _enqueue(self, pending: _Pending) -> None:
        self._waiting.append(pending)
        # Not at once but in this turn of the loop: what other sessions ask for in the same turn
        # joins the batch without anybody having waited.
        asyncio.get_running_loop().call_soon(self._start_batches)

    def _start_batches(self) -> None:
        while self._is_open and self._fleet.idle and any(map(self._may_start, self._waiting)):
            batch = self._take_batch()
            if batch:
                self._start(self._fleet.idle.pop(), batch)

    def _may_start(self, pending: _Pending) -> bool:
        return self._fleet.has_spare or not pending.is_background

    def _take_batch(self) -> list[_Pending]:
        """Remove the most urgent job and those that may go with it from the queue."""
        idle, largest = len(self._fleet.idle), self._backend.info.max_batch
        matching: list[_Pending] = []
        for pending, key in self._placed():
            if not matching:
                first_key = key
            elif key != first_key or pending.goes_alone or matching[0].goes_alone:
                continue
            matching.append(pending)
            if len(matching) == idle * largest:
                break
        # Idle workers share what waits: two short batches side by side end before a long one.
        batch = matching[: min(math.ceil(len(matching) / idle), largest)]
        self._waiting = [
            each for each in self._waiting if each not in batch and not each.answer.done()
        ]
        return batch

    def _placed(self) -> Iterator[tuple[_Pending, Hashable]]:
        """What waits and its batch keys, the most urgent first."""
        now = self._clock()
        for pending in sorted(self._waiting, key=lambda each: each.urgency(now)):
            # Those cancelled in this very turn are done: their callers did not get to run.
            if not pending.answer.done() and self._may_start(pending):
                key = self._key(pending)
                if not pending.answer.done():
                    yield pending, key

    def _key(self, pending: _Pending) -> Hashable:
        """What its batch must have in common; a job that cannot be decoded is answered instead."""
        request = pending.peek()
        if request is None:
            pending.answer.set_result(None)
            return None
        try:
            return self._backend.batch_key(request)
        except Exception as exc:
            if not isinstance(exc, DecodeError):
                logger.exception("the backend cannot place a request of %.2f s", request.duration_s)
            error = DecodeError("the request cannot be decoded")
            error.__cause__ = exc
            pending.reject(error)
            return None

    # -- a batch in a worker --------------------------------------------------------------

    def _start(self, worker: Worker, batch: list[_Pending]) -> None:
        run = _Run(worker, batch)
        now = self._clock()
        for pending in batch:
            if not pending.is_retry and not pending.is_background:
                self._waits.add(now - pending.arrived_at)
        requests = [pending.take() for pending in batch]

        def job() -> Callable[[], None]:
            outcome = _call(self._backend, requests, self._clock)
            return lambda: self._finish(run, outcome)

        loop = asyncio.get_running_loop()
        run.timer = loop.call_later(self._config.decode_timeout_s, self._give_up, run)
        self._fleet.runs.add(run)
        self._all_returned.clear()
        worker.submit(job)

    def _finish(self, run: _Run, outcome: _Outcome) -> None:
        """Take a worker back and tell the callers; runs in the loop when the call has returned."""
        assert run.timer is not None
        run.timer.cancel()
        self._fleet.runs.discard(run)
        self._count(len(run.batch), outcome.took_s)
        if run.is_lost:
            logger.warning("%s is back after %.1f s", run.worker.name, outcome.took_s)
        elif outcome.error is None:
            for pending, hypothesis in zip(run.batch, outcome.hypotheses, strict=True):
                if not pending.answer.done():
                    pending.answer.set_result(hypothesis)
        else:
            self._fail(run.batch, outcome.error)
        if self._is_open:
            self._fleet.idle.append(run.worker)
            self._start_batches()
        else:
            run.worker.stop()
        if not self._fleet.runs:
            self._all_returned.set()

    def _fail(self, batch: Sequence[_Pending], error: Exception) -> None:
        """Try each request again alone, so that a bad one fails alone; give up second failures."""
        logger.warning("a batch of %d failed", len(batch), exc_info=error)
        for pending in batch:
            if pending.answer.done():
                continue
            if pending.is_retry:
                self._stats = replace(self._stats, failures=self._stats.failures + 1)
                duration_s = pending.take().duration_s
                failure = DecodeError(f"a window of {duration_s:.2f} s failed twice")
                failure.__cause__ = error
                pending.answer.set_exception(failure)
            else:
                self._stats = replace(self._stats, retries=self._stats.retries + 1)
                pending.is_retry = True
                self._enqueue(pending)

    def _give_up(self, run: _Run) -> None:
        """Time is over: a thread cannot be interrupted, so count its worker as lost."""
        run.is_lost = True
        logger.error(
            "%s hangs: a batch of %d took over %.0f s",
            run.worker.name,
            len(run.batch),
            self._config.decode_timeout_s,
        )
        self._time_out(run.batch, f"no answer in {self._config.decode_timeout_s:g} s")
        if self._fleet.all_lost:
            self._time_out(self._waiting, "all workers hang")
            self._waiting = []

    def _time_out(self, batch: Sequence[_Pending], reason: str) -> None:
        for pending in batch:
            if not pending.answer.done():
                self._stats = replace(self._stats, timeouts=self._stats.timeouts + 1)
                pending.reject(DecodeTimeout(reason))

    def _count(self, size: int, took_s: float) -> None:
        stats = self._stats
        self._stats = replace(
            stats,
            batches=stats.batches + 1,
            requests=stats.requests + size,
            largest_batch=max(stats.largest_batch, size),
            decode_s=stats.decode_s + took_s,
        )


def _call(backend: Backend, requests: Sequence[DecodeRequest], clock: Clock) -> _Outcome:
    """Run a batch in a worker's thread. Never raises: an exception there would reach nobody."""
    begun = clock()
    try:
        hypotheses = backend.decode_batch(requests)
        if len(hypotheses) != len(requests):
            raise DecodeError(f"{len(hypotheses)} hypotheses for {len(requests)} requests")
    except Exception as exc:  # noqa: BLE001 - any failure is one of the batch; logged in _fail
        return _Outcome([], exc, clock() - begun)
    return _Outcome(hypotheses, None, clock() - begun)
