"""One detector in one thread for many sessions. No test depends on how fast the thread is."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import DetectorError
from whisper_streaming.live.vad_thread import MAX_PIECE_SAMPLES, MAX_RUN_SAMPLES, VadThread
from whisper_streaming.vad import VadStream, create_vad
from whisper_streaming.vad.silero import SETTLE_FRAMES

BAD = 13.0  # no detector of this file can judge a chunk that begins with it


class EchoStream:
    """Its probabilities are the first sample of each chunk, so a chunk has a name."""

    def __init__(self) -> None:
        self.chunks: list[float] = []
        self._due: float | None = None

    def process(self, samples: FloatArray) -> FloatArray:
        raise NotImplementedError

    def push(self, samples: FloatArray) -> FloatArray | None:
        assert self._due is None, "pushed before the answer to the last chunk"
        name = float(samples[0])
        if name == 0:
            return np.zeros(1, dtype=np.float32)
        self._due = name
        return None

    def answer(self) -> FloatArray:
        assert self._due is not None
        if self._due == BAD:
            raise ZeroDivisionError("a bad chunk")
        name, self._due = self._due, None
        self.chunks.append(name)
        return np.array([name], dtype=np.float32)

    @property
    def due(self) -> float | None:
        return self._due


class EchoVad:
    """Notes the names of the chunks of every run; stands still in ``judge`` while it is shut."""

    def __init__(self) -> None:
        self.runs: list[list[float | None]] = []
        self.threads: set[str] = set()
        self._gate = threading.Event()
        self._gate.set()
        self._begun = threading.Semaphore(0)

    def open_stream(self) -> EchoStream:
        return EchoStream()

    def judge(self, streams: Sequence[VadStream]) -> list[FloatArray]:
        own = [stream for stream in streams if isinstance(stream, EchoStream)]
        self.runs.append([stream.due for stream in own])
        self.threads.add(threading.current_thread().name)
        self._begun.release()
        self._gate.wait()
        if any(stream.due == BAD for stream in own):
            raise ZeroDivisionError("a bad chunk among them")
        return [stream.answer() for stream in own]

    def shut(self) -> None:
        self._gate.clear()

    def let_go(self) -> None:
        self._gate.set()

    async def begun(self) -> None:
        """Wait until one more run has begun."""
        assert await asyncio.to_thread(self._begun.acquire, timeout=10), "no run began"


def chunk(name: float, samples: int = 1600) -> FloatArray:
    return np.full(samples, name, dtype=np.float32)


async def test_a_lone_chunk_is_judged_outside_the_event_loop() -> None:
    vad = EchoVad()
    thread = VadThread(vad)

    probabilities = await thread.open_stream().judge(chunk(1))

    assert probabilities.tolist() == [1.0]
    assert vad.threads == {"vad"}
    thread.close()


async def test_chunks_that_come_in_one_turn_of_the_loop_share_a_run() -> None:
    vad = EchoVad()
    thread = VadThread(vad)
    streams = [thread.open_stream() for _ in range(5)]

    answers = await asyncio.gather(*(s.judge(chunk(n)) for n, s in enumerate(streams, 1)))

    assert [answer.tolist() for answer in answers] == [[1.0], [2.0], [3.0], [4.0], [5.0]]
    assert vad.runs == [[1.0, 2.0, 3.0, 4.0, 5.0]]
    stats = thread.stats()
    assert (stats.chunks, stats.runs, stats.largest_run, stats.failures) == (5, 1, 5, 0)
    thread.close()


async def test_what_comes_during_a_run_makes_the_next_one() -> None:
    vad = EchoVad()
    thread = VadThread(vad)
    vad.shut()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(thread.open_stream().judge(chunk(1)))
        await vad.begun()
        for name in (2, 3, 4):
            tasks.create_task(thread.open_stream().judge(chunk(name)))
            await asyncio.sleep(0)
        vad.let_go()

    assert vad.runs == [[1.0], [2.0, 3.0, 4.0]]
    thread.close()


async def test_what_is_easy_needs_no_thread() -> None:
    vad = EchoVad()
    thread = VadThread(vad)
    before = set(threading.enumerate())

    probabilities = await thread.open_stream().judge(chunk(0))

    assert probabilities.tolist() == [0.0]
    assert vad.runs == []
    assert thread.stats().runs == 0
    assert set(threading.enumerate()) <= before
    thread.close()


async def test_a_bad_chunk_fails_its_own_session_alone(caplog: pytest.LogCaptureFixture) -> None:
    vad = EchoVad()
    thread = VadThread(vad)
    streams = [thread.open_stream() for _ in range(3)]

    first, bad, last = await asyncio.gather(
        *(s.judge(chunk(name)) for name, s in zip((1, BAD, 2), streams, strict=True)),
        return_exceptions=True,
    )

    assert isinstance(first, np.ndarray)
    assert isinstance(last, np.ndarray)
    assert (first.tolist(), last.tolist()) == ([1.0], [2.0])
    assert isinstance(bad, DetectorError)
    assert isinstance(bad.__cause__, ZeroDivisionError)
    assert bad.public_reason == "the voice activity detector failed"
    assert vad.runs == [[1.0, BAD, 2.0], [1.0], [BAD], [2.0]]
    assert thread.stats().failures == 1
    assert [record.name for record in caplog.records] == ["whisper_streaming.vad"]
    # The others go on, and so does the thread.
    assert (await streams[0].judge(chunk(3))).tolist() == [3.0]
    thread.close()


async def test_a_session_that_ended_is_not_judged_any_more() -> None:
    vad = EchoVad()
    thread = VadThread(vad)
    vad.shut()
    first, second, third = (
        asyncio.create_task(thread.open_stream().judge(chunk(name))) for name in (1, 2, 3)
    )
    # The first three are one run; what follows waits.
    await vad.begun()
    gone, stays = (asyncio.create_task(thread.open_stream().judge(chunk(name))) for name in (4, 5))
    await asyncio.sleep(0)
    second.cancel()  # while it is judged
    gone.cancel()  # before it is
    vad.let_go()
    done = await asyncio.gather(first, second, third, gone, stays, return_exceptions=True)

    assert isinstance(done[1], asyncio.CancelledError)
    assert isinstance(done[3], asyncio.CancelledError)
    assert [np.asarray(done[n]).tolist() for n in (0, 2, 4)] == [[1.0], [3.0], [5.0]]
    assert vad.runs == [[1.0, 2.0, 3.0], [5.0]]
    thread.close()


async def test_closing_ends_the_thread_and_fails_who_still_waits() -> None:
    vad = EchoVad()
    thread = VadThread(vad)
    before = set(threading.enumerate())
    vad.shut()
    judged = asyncio.create_task(thread.open_stream().judge(chunk(1)))
    await vad.begun()
    waiting = asyncio.create_task(thread.open_stream().judge(chunk(2)))
    await asyncio.sleep(0)
    [worker] = [each for each in set(threading.enumerate()) - before if each.name == "vad"]
    thread.close()
    thread.close()

    with pytest.raises(DetectorError, match="closed"):
        await waiting
    with pytest.raises(DetectorError, match="closed"):
        await thread.open_stream().judge(chunk(3))
    vad.let_go()
    assert (await judged).tolist() == [1.0]
    await asyncio.to_thread(worker.join, 10)
    assert not worker.is_alive()
    assert vad.runs == [[1.0]]


async def test_a_long_chunk_leaves_turns_to_the_others() -> None:
    vad = EchoVad()
    thread = VadThread(vad)
    long = np.repeat(np.array([1, 2, 3], dtype=np.float32), MAX_PIECE_SAMPLES)
    vad.shut()
    async with asyncio.TaskGroup() as tasks:
        whole = tasks.create_task(thread.open_stream().judge(long))
        await vad.begun()
        tasks.create_task(thread.open_stream().judge(chunk(9)))
        await asyncio.sleep(0)
        vad.let_go()

    assert whole.result().tolist() == [1.0, 2.0, 3.0]
    [run_of_other] = [number for number, run in enumerate(vad.runs) if 9.0 in run]
    [last_run] = [number for number, run in enumerate(vad.runs) if 3.0 in run]
    assert run_of_other < last_run
    thread.close()


async def test_a_run_is_bounded() -> None:
    vad = EchoVad()
    thread = VadThread(vad)
    fit = MAX_RUN_SAMPLES // MAX_PIECE_SAMPLES
    streams = [thread.open_stream() for _ in range(fit + 1)]

    await asyncio.gather(*(s.judge(chunk(n, MAX_PIECE_SAMPLES)) for n, s in enumerate(streams, 1)))

    assert [len(run) for run in vad.runs] == [fit, 1]
    thread.close()


SPEECH = soundfile.read("tests/data/en-noisy-15db.flac", dtype="float32", frames=32_000)[0]
SILERO = create_vad("silero")


@settings(max_examples=6, deadline=None)
@given(
    cuts=st.lists(
        st.lists(st.integers(0, len(SPEECH)), max_size=6).map(sorted), min_size=2, max_size=4
    )
)
def test_sessions_hear_through_the_thread_what_each_hears_alone(cuts: list[list[int]]) -> None:
    async def session(thread: VadThread, cuts: list[int]) -> FloatArray:
        stream = thread.open_stream()
        return np.concatenate([await stream.judge(piece) for piece in np.split(SPEECH, cuts)])

    async def sessions() -> list[FloatArray]:
        thread = VadThread(SILERO)
        try:
            return await asyncio.gather(*(session(thread, each) for each in cuts))
        finally:
            thread.close()

    alone = SILERO.open_stream().process(SPEECH)
    assert alone.max() > 0.9
    for heard in asyncio.run(sessions()):
        np.testing.assert_allclose(heard, alone, atol=1e-5)


async def test_digital_silence_changes_no_threads_once_it_has_settled() -> None:
    thread = VadThread(SILERO)
    stream = thread.open_stream()
    for _ in range(SETTLE_FRAMES):
        await stream.judge(np.zeros(512, dtype=np.float32))
    settled = thread.stats().runs
    assert settled == SETTLE_FRAMES

    probabilities = [await stream.judge(np.zeros(512, dtype=np.float32)) for _ in range(100)]

    assert not np.concatenate(probabilities).any()
    assert len(probabilities) == 100
    assert thread.stats().runs == settled
    thread.close()
