"""One session between a socket in memory and a decoder without threads, in virtual time."""

import asyncio
import json
import logging
from collections.abc import Sequence

import numpy as np
import pytest

from tests.live.memory_socket import DirectDecoder, MemorySocket
from tests.live.virtual_time import run_virtual
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.config import LimitSettings, MediaSettings
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.hypothesis import DecodeOptions
from whisper_streaming.core.session import Session, SessionConfig
from whisper_streaming.errors import (
    BackendError,
    DecodeError,
    DetectorError,
    InvalidMessage,
    SessionOverrun,
    SlowConsumer,
)
from whisper_streaming.live.input_end import Ending, Outcome
from whisper_streaming.live.live_session import MESSAGES_PER_TURN, LiveSession, Timing
from whisper_streaming.live.media_pool import MediaPool
from whisper_streaming.live.stages import Stage
from whisper_streaming.live.vad_thread import VadThread
from whisper_streaming.vad import Vad, VadStream, create_vad
from whisper_streaming.vad.energy import EnergyStream
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec

WORDS = ["one", "two", "three", "four", "five", "six"]
TEXT = " ".join(WORDS)


class Bench:
    """A live session with its surroundings. Make it inside the event loop."""

    def __init__(
        self,
        *,
        takes_s: float = 0.0,
        deaf: bool = False,
        deadline: float = 600.0,
        limits: LimitSettings | None = None,
        send_timeout_s: float | None = None,
        vad: Vad | None = None,
        socket: MemorySocket | None = None,
        stages: Sequence[Stage] = (),
    ) -> None:
        self.socket = socket or MemorySocket(deaf=deaf)
        self.decoder = DirectDecoder(ScriptedBackend(), takes_s=takes_s)
        codec = WhisperLiveServerCodec()
        codec.receive('{"uid": "a"}')
        self.live = LiveSession(
            self.socket,
            codec,
            Session(SessionConfig(options=DecodeOptions(language="en"))),
            VadThread(vad or create_vad("energy")).open_stream(),
            MediaPool(MediaSettings()).open_stream(),
            self.decoder,
            limits=limits or LimitSettings(),
            timing=Timing(deadline, idle_flush_s=2.0, send_timeout_s=send_timeout_s),
            log=logging.LoggerAdapter(logging.getLogger("test")),
            stages=stages,
        )

    def say(self, samples: FloatArray, chunk_samples: int = 1600) -> None:
        for start in range(0, len(samples), chunk_samples):
            self.socket.put(samples[start : start + chunk_samples].tobytes())

    @property
    def text(self) -> str:
        """The completed segments."""
        completed: dict[float, str] = {}
        for message in map(json.loads, self.socket.sent):
            for segment in message.get("segments", ()):
                if segment["completed"]:
                    completed[float(segment["start"])] = segment["text"]
        return "".join(completed[start] for start in sorted(completed)).strip()


def test_everything_is_sent_before_a_complete_session_returns() -> None:
    async def scenario() -> None:
        bench = Bench(takes_s=0.5)
        bench.say(spoken(WORDS))
        bench.socket.put(b"END_OF_AUDIO")

        assert await bench.live.run() == Outcome(Ending.COMPLETE)
        assert bench.text == TEXT
        assert bench.live.account is not None
        assert bench.live.account.received == len(spoken(WORDS))
        assert bench.live.account.gap == 0

    run_virtual(scenario())


def test_audio_that_comes_while_a_decode_runs_goes_into_the_next_one() -> None:
    async def scenario() -> None:
        bench = Bench(takes_s=10.0)
        bench.say(spoken(WORDS))
        bench.socket.put(b"END_OF_AUDIO")
        await bench.live.run()

        first, second = bench.decoder.requests
        assert first.end < second.end == pytest.approx(2.4, abs=0.1)
        assert second.is_last

    run_virtual(scenario())


def test_idle_input_flushes_the_open_utterance_once() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.say(spoken(WORDS))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.live.run())
            await asyncio.sleep(1.9)
            assert bench.text == ""
            await asyncio.sleep(0.2)
            assert bench.text == TEXT
            decodes = len(bench.decoder.requests)
            await asyncio.sleep(100.0)
            assert len(bench.decoder.requests) == decodes
            bench.say(spoken(["seven"]))
            bench.socket.put(b"END_OF_AUDIO")
            assert await running == Outcome(Ending.COMPLETE)
        assert bench.text == f"{TEXT} seven"

    run_virtual(scenario())


def test_idle_time_counts_from_the_last_message() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.say(spoken(WORDS))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.live.run())
            for _ in range(5):
                await asyncio.sleep(1.9)
                assert bench.text == ""
                bench.say(np.zeros(1, dtype=np.float32))
            await asyncio.sleep(1.9)
            assert bench.text == ""
            await asyncio.sleep(0.2)
            assert bench.text == TEXT
            bench.socket.put(b"END_OF_AUDIO")
            await running

    run_virtual(scenario())


def test_at_the_time_limit_the_last_words_are_sent() -> None:
    async def scenario() -> None:
        bench = Bench(deadline=0.05, takes_s=0.1)
        bench.say(spoken(WORDS))

        assert await bench.live.run() == Outcome(Ending.OVERTIME)
        assert asyncio.get_running_loop().time() == pytest.approx(0.2)
        assert bench.text == TEXT

    run_virtual(scenario())


def test_the_time_limit_holds_while_a_complete_input_is_still_decoded() -> None:
    async def scenario() -> None:
        limits = LimitSettings(drain_timeout_s=5.0)
        bench = Bench(deadline=10.0, takes_s=100.0, limits=limits)
        bench.say(spoken(WORDS))
        bench.socket.put(b"END_OF_AUDIO")

        assert await bench.live.run() == Outcome(Ending.OVERTIME)
        assert asyncio.get_running_loop().time() == pytest.approx(15.0)

    run_virtual(scenario())


def test_what_is_not_decoded_in_time_is_reported_as_lost() -> None:
    async def scenario() -> None:
        bench = Bench(deadline=10.0, takes_s=100.0, limits=LimitSettings(drain_timeout_s=5.0))
        audio = spoken(WORDS)
        bench.say(audio)
        await bench.live.run()

        account = bench.live.account
        assert account is not None
        assert account.received == account.silence + account.gap == len(audio)
        assert account.gap > 0
        warnings = [json.loads(message) for message in bench.socket.sent]
        assert [message["status"] for message in warnings if "status" in message] == ["WARNING"]

    run_virtual(scenario())


def test_a_stopping_server_ends_the_input_and_the_first_reason_counts() -> None:
    async def scenario() -> None:
        bench = Bench(takes_s=0.1)
        bench.say(spoken(WORDS))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.live.run())
            await asyncio.sleep(1.0)
            bench.live.end_input(Ending.STOPPED)
            bench.live.end_input(Ending.OVERTIME)
            bench.say(spoken(["late"]))
            assert await running == Outcome(Ending.STOPPED)
        assert bench.text == TEXT

    run_virtual(scenario())


def test_a_vanished_client_ends_the_session_and_its_decode() -> None:
    async def scenario() -> None:
        bench = Bench(takes_s=1000.0)
        bench.say(spoken(WORDS))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.live.run())
            await asyncio.sleep(1.0)
            assert len(bench.decoder.requests) == 1
            bench.socket.vanish()
            assert await running == Outcome(Ending.GONE)
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)

    run_virtual(scenario())


def test_a_client_that_vanishes_after_its_last_audio_is_noticed() -> None:
    async def scenario() -> None:
        bench = Bench(takes_s=1000.0)
        bench.say(spoken(WORDS))
        bench.socket.put(b"END_OF_AUDIO")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.live.run())
            await asyncio.sleep(1.0)
            bench.socket.vanish()
            assert await running == Outcome(Ending.GONE)

    run_virtual(scenario())


def test_a_client_that_takes_nothing_is_a_slow_consumer() -> None:
    async def scenario() -> None:
        bench = Bench(deaf=True, send_timeout_s=30.0)
        bench.say(spoken(WORDS))

        outcome = await bench.live.run()
        assert outcome.ending is Ending.FAILED
        assert isinstance(outcome.error, SlowConsumer)
        assert asyncio.get_running_loop().time() == pytest.approx(30.0)

    run_virtual(scenario())


def test_a_protocol_error_comes_after_the_words_before_it() -> None:
    async def scenario() -> None:
        bench = Bench(takes_s=0.1)
        bench.say(spoken(WORDS))
        bench.socket.put("nonsense")

        outcome = await bench.live.run()
        assert outcome.ending is Ending.FAILED
        assert isinstance(outcome.error, InvalidMessage)
        assert bench.text == TEXT

    run_virtual(scenario())


def test_a_model_that_fails_for_good_ends_the_session() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.decoder.error = DecodeError("broken")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.live.run())
            for _ in range(100):
                bench.say(spoken(WORDS, gap_s=1.0))
                await asyncio.sleep(0.1)
            outcome = await running
        assert outcome.ending is Ending.FAILED
        assert isinstance(outcome.error, BackendError)
        assert bench.live.stats.failures > 1
        assert json.loads(bench.socket.sent[-1])["status"] == "ERROR"

    run_virtual(scenario())


def test_a_full_backlog_stops_the_reading_until_a_decode_is_done() -> None:
    async def scenario() -> None:
        limits = LimitSettings(max_backlog_s=2.0, max_stall_s=60.0)
        bench = Bench(takes_s=5.0, limits=limits)
        bench.say(spoken([f"w{index}" for index in range(20)]))
        bench.socket.put(b"END_OF_AUDIO")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.live.run())
            await asyncio.sleep(4.9)
            assert bench.live.stats.audio_s == pytest.approx(2.1, abs=0.11)
            await asyncio.sleep(0.2)
            assert bench.live.stats.audio_s > 2.2
            assert await running == Outcome(Ending.COMPLETE)
        assert bench.text == " ".join(f"w{index}" for index in range(20))

    run_virtual(scenario())


def test_a_backlog_that_does_not_move_is_an_overrun() -> None:
    async def scenario() -> None:
        limits = LimitSettings(max_backlog_s=2.0, max_stall_s=60.0, drain_timeout_s=15.0)
        bench = Bench(takes_s=1000.0, limits=limits)
        bench.say(spoken([f"w{index}" for index in range(20)]))

        outcome = await bench.live.run()
        assert isinstance(outcome.error, SessionOverrun)
        assert outcome.error.lag_s == pytest.approx(2.1, abs=0.11)
        assert asyncio.get_running_loop().time() == pytest.approx(75.0)

    run_virtual(scenario())


def test_silence_costs_no_decode() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.say(np.zeros(160_000, dtype=np.float32))
        bench.socket.put(b"END_OF_AUDIO")
        await bench.live.run()

        assert bench.decoder.requests == []
        assert bench.live.account is not None
        assert bench.live.account.silence == 160_000

    run_virtual(scenario())


class TornVad:
    """Energy, until a chunk of exactly seven samples comes, which it cannot judge."""

    def open_stream(self) -> "TornStream":
        return TornStream()

    def judge(self, streams: Sequence[VadStream]) -> list[FloatArray]:
        raise ZeroDivisionError("secret detail")


class TornStream:
    def __init__(self) -> None:
        self._energy = EnergyStream()

    def process(self, samples: FloatArray) -> FloatArray:
        raise NotImplementedError

    def push(self, samples: FloatArray) -> FloatArray | None:
        return None if len(samples) == 7 else self._energy.push(samples)


async def test_a_detector_that_fails_ends_the_session_after_the_words_before_it() -> None:
    bench = Bench(vad=TornVad(), deadline=asyncio.get_running_loop().time() + 600.0)
    bench.say(spoken(WORDS))
    bench.socket.put(bytes(4 * 7))

    outcome = await bench.live.run()

    assert outcome.ending is Ending.FAILED
    assert isinstance(outcome.error, DetectorError)
    assert outcome.error.public_reason == "the voice activity detector failed"
    assert bench.text == TEXT
    assert bench.live.account is not None
    assert bench.live.account.received == len(spoken(WORDS))


class FloodingSocket(MemorySocket):
    """Has so many messages ready that reading them never waits."""

    def __init__(self, messages: int) -> None:
        super().__init__()
        self._left = messages

    async def recv(self) -> str | bytes:
        self._left -= 1
        return bytes(4) if self._left >= 0 else b"END_OF_AUDIO"


def test_a_flood_of_messages_leaves_turns_to_others() -> None:
    async def scenario() -> None:
        bench = Bench(socket=FloodingSocket(100 * MESSAGES_PER_TURN))
        turns = 0
        running = asyncio.create_task(bench.live.run())
        while bench.live.account is None:
            turns += 1
            await asyncio.sleep(0)
        running.cancel()  # the socket floods on after the end of the audio

        assert bench.live.account.received == 100 * MESSAGES_PER_TURN
        assert turns > 100

    run_virtual(scenario())
