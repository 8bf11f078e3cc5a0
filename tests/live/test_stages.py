"""A session's events on their way through stages, in virtual time."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.live.memory_socket import MemorySocket
from tests.live.test_live_session import TEXT, WORDS, Bench
from tests.live.test_observers import Listener, Noting
from tests.live.virtual_time import in_virtual_time
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.config import LimitSettings
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import (
    Event,
    PartialUpdated,
    SessionEnded,
    TranscriptRevised,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.live.delivery import Delivery
from whisper_streaming.live.input_end import Ending, Outcome
from whisper_streaming.live.session_log import SessionLogger
from whisper_streaming.live.session_stats import SessionStats
from whisper_streaming.live.stages import Emit, EventSource
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec


class Marking:
    """A stage that puts a mark behind final words, and takes ``takes_s`` for each bundle."""

    def __init__(self, mark: str, takes_s: float = 0.0) -> None:
        self.heard: list[FloatArray] = []
        self.bundles: list[list[Event]] = []
        self._mark = mark
        self._takes_s = takes_s

    def receive_audio(self, samples: FloatArray) -> None:
        self.heard.append(samples)

    async def run(self, source: EventSource, emit: Emit) -> None:
        while events := await source.take():
            self.bundles.append(events)
            await asyncio.sleep(self._takes_s)
            emit([self._change(event) for event in events])

    def _change(self, event: Event) -> Event:
        if not isinstance(event, WordsCommitted):
            return event
        words = tuple(replace(word, text=word.text + self._mark) for word in event.words)
        return WordsCommitted(event.utterance_id, words)


@in_virtual_time
async def test_events_pass_the_stages_in_order_before_anybody_hears_them() -> None:
    first, second = Marking("-a"), Marking("-b")
    bench, listener = Bench(stages=[first, second]), Listener()
    audio = spoken(WORDS)
    bench.say(audio)
    bench.socket.put(b"END_OF_AUDIO")

    assert await bench.live.run([listener.feed]) == Outcome(Ending.COMPLETE)
    assert bench.text == listener.text == " ".join(f"{word}-a-b" for word in WORDS)
    assert np.array_equal(np.concatenate(first.heard), audio)
    assert np.array_equal(np.concatenate(second.heard), audio)


@in_virtual_time
async def test_a_slow_stage_is_late_and_loses_nothing() -> None:
    stage, events = Marking("", takes_s=3.0), list[object]()
    bench = Bench(takes_s=0.1, stages=[stage])
    bench.say(spoken(WORDS))
    bench.socket.put(b"END_OF_AUDIO")

    assert await bench.live.run([Noting(events)]) == Outcome(Ending.COMPLETE)
    assert bench.text == TEXT
    assert isinstance(events[-1], SessionEnded)
    # What a newer partial replaced while the stage was busy need not be looked at.
    for bundle in stage.bundles:
        assert sum(isinstance(event, PartialUpdated) for event in bundle) <= 1


@in_virtual_time
async def test_a_client_that_vanishes_ends_the_stages() -> None:
    stage = Marking("", takes_s=1e6)
    bench = Bench(stages=[stage])
    bench.say(spoken(WORDS))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.live.run())
        await asyncio.sleep(1.0)
        bench.socket.vanish()

    assert running.result() == Outcome(Ending.GONE)
    assert asyncio.get_running_loop().time() < 1e5


@in_virtual_time
async def test_a_client_that_does_not_read_is_noticed_behind_a_stage() -> None:
    bench = Bench(
        socket=MemorySocket(deaf=True),
        limits=LimitSettings(max_pending_messages=10),
        stages=[Marking("")],
    )
    bench.say(spoken([f"word{index}" for index in range(60)], gap_s=1.0))
    outcome = await bench.live.run()

    assert outcome.ending is Ending.FAILED
    assert bench.socket.sent == []


@in_virtual_time
async def test_a_fault_of_our_own_in_a_stage_is_no_silence() -> None:
    class Broken(Marking):
        async def run(self, source: EventSource, emit: Emit) -> None:
            await source.take()
            raise RuntimeError("a bug")

    bench = Bench(stages=[Broken("")])
    bench.say(spoken(WORDS))
    bench.socket.put(b"END_OF_AUDIO")
    with pytest.RaisesGroup(RuntimeError, flatten_subgroups=True):
        await bench.live.run()


async def test_a_second_look_is_written_beside_the_loop() -> None:
    """That of hours is a second of work, which other sessions would wait for."""
    threads: list[int] = []

    class Watched(WhisperLiveServerCodec):
        def encode(self, events: Sequence[Event], lag_s: float = 0.0) -> list[str]:
            threads.append(threading.get_ident())
            return super().encode(events, lag_s)

    codec, socket, words = Watched(), MemorySocket(), (Word(" again.", 0.0, 0.5),)
    codec.receive('{"uid": "u", "summary": true}')
    log = SessionLogger(logging.getLogger("whisper_streaming.session"), "1")
    delivery = Delivery(
        socket, codec, max_pending=10, send_timeout_s=None, stats=SessionStats(),
        lag=lambda: 0.0, log=log,
    )  # fmt: skip
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(delivery.run())
        delivery.put([WordsCommitted(1, words), UtteranceEnded(1, 0.5)])
        while not socket.sent:
            await asyncio.sleep(0)
        delivery.put([TranscriptRevised((words,), "en")])
        delivery.close()

    assert ["revision" in message for message in socket.sent] == [False, True]
    here = threading.get_ident()
    assert [thread == here for thread in threads] == [True, False]
