"""Live sessions whose audio comes in containers: real decoder processes, a scripted model."""

import asyncio
import json
import logging
import os
import signal

import numpy as np
import pytest

from tests.encoded_audio import encode, forged_wav, slices
from tests.live import decoder_log
from tests.live.memory_socket import DirectDecoder, MemorySocket
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.config import LimitSettings, MediaSettings
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.hypothesis import DecodeOptions
from whisper_streaming.core.session import Session, SessionConfig
from whisper_streaming.errors import AudioDecoderError, UnsupportedAudio
from whisper_streaming.live.input_end import Ending, Outcome
from whisper_streaming.live.live_session import LiveSession, Timing
from whisper_streaming.live.media_pool import MediaPool, MediaStats
from whisper_streaming.live.vad_thread import VadThread
from whisper_streaming.vad import create_vad
from whisper_streaming.wire.base import Command, EncodedAudio, EndOfAudio
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec

WORDS = ["one", "two", "three", "four."]
TEXT = " ".join(WORDS)


class ContainerCodec(WhisperLiveServerCodec):
    """WhisperLive's answers to a client that sends a container and ends it with nothing."""

    def receive(self, message: str | bytes) -> list[Command]:
        if isinstance(message, str):
            return super().receive(message)
        return [EncodedAudio(message)] if message else [EndOfAudio()]


class Bench:
    """A live session with its surroundings. Make it inside the event loop."""

    def __init__(
        self, pool: MediaPool, *, limits: LimitSettings | None = None, takes_s: float = 0.0
    ) -> None:
        self.socket = MemorySocket()
        codec = ContainerCodec()
        codec.receive('{"uid": "a"}')
        self.live = LiveSession(
            self.socket,
            codec,
            Session(SessionConfig(options=DecodeOptions(language="en"))),
            VadThread(create_vad("energy")).open_stream(),
            pool.open_stream(),
            DirectDecoder(ScriptedBackend(), takes_s=takes_s),
            limits=limits or LimitSettings(),
            timing=Timing(None, idle_flush_s=60.0, send_timeout_s=None),
            log=logging.LoggerAdapter(logging.getLogger("test")),
        )

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self.socket.put(message)

    @property
    def text(self) -> str:
        completed = {
            segment["start"]: segment["text"]
            for message in map(json.loads, self.socket.sent)
            for segment in message.get("segments", ())
            if segment["completed"]
        }
        return "".join(completed[start] for start in sorted(completed, key=float)).strip()


def speech(container: str) -> bytes:
    """The words, lossless: the scripted model hears nothing else."""
    samples = (spoken(WORDS) * 32767).astype("<i2")
    if container == "flac":
        return encode("flac", samples, rate=SAMPLE_RATE)
    return forged_wav(samples.tobytes(), rate=SAMPLE_RATE)


@pytest.mark.parametrize("container", ["wav", "flac"])
async def test_words_in_a_container_are_those_of_the_samples(container: str) -> None:
    pool = MediaPool(MediaSettings())
    bench = Bench(pool)
    bench.send(*slices(speech(container), 40), b"")

    outcome = await bench.live.run()

    assert outcome == Outcome(Ending.COMPLETE)
    assert bench.text == TEXT
    assert bench.live.stats.received_samples == len(spoken(WORDS))
    assert pool.stats() == MediaStats(processes=1, started=1)
    await pool.close()


async def test_a_broken_stream_ends_its_session_after_the_words_before_it() -> None:
    pool = MediaPool(MediaSettings(processes=1))
    good, bad, worst = (Bench(pool) for _ in range(3))
    good.send(*slices(speech("wav"), 40), b"")
    bad.send(*slices(speech("wav"), 40), forged_wav(bytes(1000), rate=1), b"")
    worst.send(b"<html>", b"")

    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(bench.live.run()) for bench in (good, bad, worst)]

    reasons = [str(run.result().error) for run in runs]
    assert reasons == [
        "None",
        "audio with 1 samples a second is not taken",
        "the audio is in none of the known formats: FLAC, MP3, MP4, Ogg, WAV, WebM",
    ]
    assert isinstance(runs[1].result().error, UnsupportedAudio)
    assert [bench.text for bench in (good, bad, worst)] == [TEXT, TEXT, ""]
    assert pool.stats() == MediaStats(processes=1, started=1)
    await pool.close()


async def test_a_session_whose_decoder_process_dies_ends_with_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    decoder_log.listen(caplog)
    pool = MediaPool(MediaSettings())
    bench = Bench(pool)
    bench.send(*slices(speech("wav"), 40))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.live.run())
        while bench.live.stats.received_samples < len(spoken(WORDS)):
            await asyncio.sleep(0.01)
        os.kill(decoder_log.first_process(caplog), signal.SIGKILL)
        bench.send(bytes(1000))

    outcome = running.result()
    assert isinstance(outcome.error, AudioDecoderError)
    assert outcome.ending is Ending.FAILED
    assert bench.text == TEXT
    await pool.close()


async def test_a_client_that_leaves_frees_its_decoder() -> None:
    pool = MediaPool(MediaSettings())
    bench = Bench(pool)
    bench.send(*slices(speech("wav"), 40))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.live.run())
        while bench.live.stats.received_samples == 0:
            await asyncio.sleep(0.01)
        assert pool.stats().streams == 1
        bench.socket.vanish()

    assert running.result() == Outcome(Ending.GONE)
    assert pool.stats().streams == 0
    await pool.close()


async def test_a_message_that_holds_much_waits_for_room() -> None:
    pool = MediaPool(MediaSettings())
    bench = Bench(pool, limits=LimitSettings(max_backlog_s=1.0), takes_s=0.05)
    samples = np.tile(spoken(WORDS), 40)
    duration_s = len(samples) / SAMPLE_RATE
    bench.send(encode("flac", (samples * 32767).astype("<i2"), rate=SAMPLE_RATE), b"")
    lags = []

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.live.run())
        while not running.done():
            lags.append(bench.live.lag_s)
            await asyncio.sleep(0)

    assert running.result() == Outcome(Ending.COMPLETE)
    assert duration_s > 40
    assert 1.0 < max(lags) < 1.0 + 11.0  # one piece
    await pool.close()
