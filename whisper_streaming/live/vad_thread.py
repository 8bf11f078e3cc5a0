"""Finds speech for all sessions in one thread, so that the event loop only moves bytes."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.engine.worker import Worker
from whisper_streaming.errors import DetectorError
from whisper_streaming.vad.base import Vad, VadStream

RUN_INTERVAL_S: Final = 0.01
"""Runs begin no closer to each other, so that many sessions share runs and changes of thread.

Two chunks of a live session are further apart, so a lone one never waits.
"""
MAX_PIECE_SAMPLES: Final = 2 * SAMPLE_RATE
"""Longer chunks are judged piece by piece, so that other sessions get their turn in between."""
MAX_RUN_SAMPLES: Final = 8 * SAMPLE_RATE
"""Most audio in one run, about 6 ms of work: bounds memory and the wait for the next run."""

logger = logging.getLogger("whisper_streaming.vad")


@dataclass(frozen=True, slots=True)
class VadStats:
    """A snapshot.

    Attributes:
        chunks: Pieces of audio that needed the detector's work.
        runs: In how many runs they were judged.
        largest_run: Most pieces in one run.
        failures: Pieces that could not be judged.
    """

    chunks: int = 0
    runs: int = 0
    largest_run: int = 0
    failures: int = 0


@dataclass(slots=True, eq=False)
class _Pending:
    """A stream with pushed samples, and who waits for its answer."""

    stream: VadStream
    samples: int
    answer: asyncio.Future[FloatArray]


class VadThread:
    """One detector for the sessions of one event loop.

    Its thread begins with the first chunk that takes work. As each session waits for the answer
    to its chunk, at most one chunk a session waits here.
    """

    def __init__(self, vad: Vad) -> None:
        self._vad = vad
        self._waiting: list[_Pending] = []
        self._worker: Worker | None = None
        self._is_busy = False  # a run is going on, or about to begin
        self._next_run = 0.0  # earliest, on the event loop's clock
        self._is_open = True
        self._stats = VadStats()

    def open_stream(self) -> "SharedVadStream":
        """State for a new session."""
        return SharedVadStream(self, self._vad.open_stream())

    def stats(self) -> VadStats:
        """What was done up to now."""
        return self._stats

    def close(self) -> None:
        """End the thread; who still waits gets a ``DetectorError``. Returns at once. Idempotent."""
        self._is_open = False
        for pending in self._waiting:
            if not pending.answer.done():
                pending.answer.set_exception(DetectorError("the detector was closed"))
        self._waiting.clear()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    async def judge(self, stream: VadStream, samples: int) -> FloatArray:
        """What :meth:`Vad.judge` gives for ``stream``, into which ``samples`` were pushed.

        After a cancelled call the stream must not be used any more.

        Raises:
            DetectorError: If the detector fails, or is closed.
        """
        if not self._is_open:
            raise DetectorError("the detector is closed")
        pending = _Pending(stream, samples, asyncio.get_running_loop().create_future())
        self._waiting.append(pending)
        self._schedule()
        return await pending.answer

    def _schedule(self) -> None:
        if self._is_busy:
            return
        self._is_busy = True
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_run:
            # Not at once but in this turn of the loop: what other sessions receive in it joins.
            loop.call_soon(self._start)
        else:
            loop.call_at(self._next_run, self._start)

    def _start(self) -> None:
        batch = self._take_batch()
        if not batch:
            self._is_busy = False
            return
        loop = asyncio.get_running_loop()
        self._next_run = loop.time() + RUN_INTERVAL_S
        streams = [pending.stream for pending in batch]

        def job() -> Callable[[], None]:
            answers = _judge(self._vad, streams)
            return lambda: self._deliver(batch, answers)

        if self._worker is None:
            self._worker = Worker("vad", loop)
        self._worker.submit(job)

    def _take_batch(self) -> list[_Pending]:
        """Remove the oldest chunks from the queue, as many as make one run."""
        # Without those whose sessions ended; nobody else refers to their streams.
        self._waiting = [each for each in self._waiting if not each.answer.done()]
        taken = samples = 0
        for pending in self._waiting:
            samples += pending.samples
            if taken and samples > MAX_RUN_SAMPLES:
                break
            taken += 1
        batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return batch

    def _deliver(
        self, batch: Sequence[_Pending], answers: Sequence[FloatArray | Exception]
    ) -> None:
        """Tell the sessions; runs in the loop."""
        self._is_busy = False
        failures = 0
        for pending, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                failures += 1
                logger.error("a chunk of %d samples failed", pending.samples, exc_info=answer)
            if pending.answer.done():
                continue
            if isinstance(answer, Exception):
                error = DetectorError(f"a chunk of {pending.samples} samples failed")
                error.__cause__ = answer
                pending.answer.set_exception(error)
            else:
                pending.answer.set_result(answer)
        stats = self._stats
        self._stats = replace(
            stats,
            chunks=stats.chunks + len(batch),
            runs=stats.runs + 1,
            largest_run=max(stats.largest_run, len(batch)),
            failures=stats.failures + failures,
        )
        if self._waiting:
            self._schedule()


class SharedVadStream:
    """One session's stream of a detector that all sessions share."""

    def __init__(self, thread: VadThread, stream: VadStream) -> None:
        self._thread = thread
        self._stream = stream

    async def judge(self, samples: FloatArray) -> FloatArray:
        """Judge the next samples; what is easy (digital silence, energy) without waiting.

        After a cancelled call the stream must not be used any more.

        Args:
            samples: float32, shape (n,), mono, 16 kHz, in [-1, 1]; any n.

        Returns:
            float32, shape (k,): the speech probability of each frame of 512 samples that is
            complete now, in order.

        Raises:
            DetectorError: If the detector fails.
        """
        if len(samples) <= MAX_PIECE_SAMPLES:
            return await self._judge(samples)
        pieces = range(0, len(samples), MAX_PIECE_SAMPLES)
        return np.concatenate(
            [await self._judge(samples[begin : begin + MAX_PIECE_SAMPLES]) for begin in pieces]
        )

    async def _judge(self, samples: FloatArray) -> FloatArray:
        known = self._stream.push(samples)
        if known is not None:
            return known
        return await self._thread.judge(self._stream, len(samples))


def _judge(vad: Vad, streams: Sequence[VadStream]) -> Sequence[FloatArray | Exception]:
    """Judge in the thread. Never raises: an exception there would reach nobody."""
    try:
        return vad.judge(streams)
    except Exception as exc:  # noqa: BLE001 - any failure is one of the chunks; logged in _deliver
        if len(streams) == 1:
            return [exc]
    # Each alone, so that a bad one fails alone.
    return [answer for stream in streams for answer in _judge(vad, [stream])]
