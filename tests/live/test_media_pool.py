"""Decoder processes: sessions share them, and what happens to one leaves the others alone."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.encoded_audio import (
    FORMATS,
    RATE,
    encode,
    mp4_that_claims,
    opus_bomb,
    slices,
    tone,
    webm_that_claims,
)
from tests.live import decoder_log
from whisper_streaming.config import MediaSettings
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.errors import AudioDecoderError, UnsupportedAudio
from whisper_streaming.live.media_pool import MediaPool, MediaStats, MediaStream

WEBM = encode("webm", tone(2.0))
FLAC = encode("flac", tone(2.0))


@pytest.fixture
async def pool() -> AsyncIterator[MediaPool]:
    pool = MediaPool(MediaSettings())
    yield pool
    await pool.close()


async def take(pieces: AsyncIterator[FloatArray]) -> FloatArray:
    return np.concatenate([np.zeros(0, dtype=np.float32), *[piece async for piece in pieces]])


async def decode(stream: MediaStream, *messages: bytes) -> float:
    """All of a stream; its seconds."""
    samples = [await take(stream.decode(message)) for message in messages]
    samples.append(await take(stream.finish()))
    return len(np.concatenate(samples)) / SAMPLE_RATE


async def until_processes_are(pool: MediaPool, count: int) -> None:
    async with asyncio.timeout(30):
        while pool.stats().processes != count:
            await asyncio.sleep(0.01)


async def test_streams_of_several_sessions_share_the_processes(pool: MediaPool) -> None:
    streams = [pool.open_stream() for _ in range(5)]
    assert pool.stats() == MediaStats()  # nothing runs before the first bytes

    async with asyncio.TaskGroup() as tasks:
        halves = [tasks.create_task(take(each.decode(WEBM[:5000]))) for each in streams]
    assert pool.stats() == MediaStats(processes=2, streams=5, started=2)
    async with asyncio.TaskGroup() as tasks:
        rests = [tasks.create_task(decode(each, WEBM[5000:])) for each in streams]

    durations = [
        len(h.result()) / SAMPLE_RATE + r.result() for h, r in zip(halves, rests, strict=True)
    ]
    assert durations == [2.0] * 5
    assert pool.stats() == MediaStats(processes=2, streams=0, started=2)


async def test_lossless_audio_comes_through_to_the_bit(pool: MediaPool) -> None:
    samples = tone(0.5, SAMPLE_RATE)
    stream = pool.open_stream()

    decoded = await take(stream.decode(encode("flac", samples, rate=SAMPLE_RATE)))
    rest = await take(stream.finish())

    assert np.array_equal(np.concatenate([decoded, rest]), samples.astype(np.float32) / 32768)


async def test_the_format_may_come_byte_by_byte(pool: MediaPool) -> None:
    messages = [WEBM[:1], WEBM[1:3], WEBM[3:4], WEBM[4:]]

    assert await decode(pool.open_stream(), *messages) == 2.0


async def test_a_recorder_that_starts_again_is_decoded_from_there(pool: MediaPool) -> None:
    mp4 = encode("mp4", tone(1.0))

    duration_s = await decode(
        pool.open_stream(), *slices(mp4[:-300], 5), *slices(mp4, 5), *slices(WEBM, 5)
    )

    assert abs(duration_s - (0.9 + 1.0 + 2.0)) < 0.15


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(
            b"GIF89a", "none of the known formats: FLAC, MP3, MP4, Ogg, WAV, WebM", id="gif"
        ),
        pytest.param(b"\x1a\x45", "too little audio to tell its format", id="two bytes"),
        pytest.param(WEBM[:100], "nothing in the WebM stream could be decoded", id="header"),
        pytest.param(
            encode("mp4", tone(1.0))[:100], "index .moov. before the audio", id="header of an MP4"
        ),
    ],
)
async def test_what_cannot_be_decoded_is_refused(pool: MediaPool, data: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedAudio, match=reason):
        await decode(pool.open_stream(), data)


async def test_a_stream_without_any_bytes_ends_well(pool: MediaPool) -> None:
    assert await decode(pool.open_stream()) == 0.0
    assert pool.stats().started == 0


async def test_a_finished_stream_may_be_finished_again(pool: MediaPool) -> None:
    stream = pool.open_stream()
    await decode(stream, WEBM)

    assert len(await take(stream.finish())) == 0
    stream.close()


async def test_a_hostile_stream_leaves_the_others_of_its_process_alone() -> None:
    pool = MediaPool(MediaSettings(processes=1, memory_mb=160))
    honest, bomb, greedy = (pool.open_stream() for _ in range(3))

    before = await take(honest.decode(WEBM[:5000]))
    with pytest.raises(UnsupportedAudio, match="which no real recording does"):
        await decode(bomb, opus_bomb(12))
    with pytest.raises(UnsupportedAudio, match="nothing in the WebM stream"):
        await decode(greedy, webm_that_claims(200 * 2**20))
    bomb.close()
    greedy.close()
    after_s = await decode(honest, WEBM[5000:])

    assert len(before) / SAMPLE_RATE + after_s == 2.0
    assert pool.stats() == MediaStats(processes=1, streams=0, started=1)
    await pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say who uses how much")
async def test_streams_that_wait_with_a_lot_of_memory_are_refused_and_the_others_served() -> None:
    pool = MediaPool(MediaSettings(processes=1))
    honest = pool.open_stream()
    await take(honest.decode(WEBM[:5000]))

    # Each would hold more than the process may have, two of them at the latest, and send no more.
    for claim in (webm_that_claims(250 * 2**20), mp4_that_claims(2_000_000)) * 3:
        with pytest.raises(UnsupportedAudio, match="audio needs too much memory"):
            await take(pool.open_stream().decode(claim))

    for name in FORMATS:
        assert abs(await decode(pool.open_stream(), encode(name, tone(1.0))) - 1.0) < 0.1
    await decode(honest, WEBM[5000:])
    assert pool.stats().lost == 0
    await pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say who uses how much")
async def test_a_process_that_has_grown_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    decoder_log.listen(caplog)
    pool = MediaPool(MediaSettings(processes=1, memory_mb=128))  # it has 48 at its start
    stream = pool.open_stream()
    await take(stream.decode(webm_that_claims(30 * 2**20)))  # waits for the rest

    newcomer_s = await decode(pool.open_stream(), WEBM)

    assert newcomer_s == 2.0
    assert decoder_log.lines(caplog)[1].endswith("has grown and takes no new streams")
    assert pool.stats() == MediaStats(processes=2, streams=1, started=2)
    stream.close()
    await until_processes_are(pool, 1)
    await pool.close()


async def test_streams_that_never_go_on_hold_up_nobody(pool: MediaPool) -> None:
    waiting = [pool.open_stream() for _ in range(30)]
    for number, stream in enumerate(waiting):
        await take(stream.decode(WEBM[: 5 + 20 * number]))

    assert await decode(pool.open_stream(), *slices(WEBM, 20)) == 2.0
    assert pool.stats() == MediaStats(processes=2, streams=30, started=2)
    for stream in waiting:
        stream.close()
    assert pool.stats().streams == 0


async def test_a_process_that_dies_ends_only_its_sessions_and_is_replaced(
    pool: MediaPool, caplog: pytest.LogCaptureFixture
) -> None:
    decoder_log.listen(caplog)
    streams = [pool.open_stream() for _ in range(4)]
    befores = [await take(stream.decode(WEBM[:5000])) for stream in streams]
    victim = decoder_log.first_process(caplog)

    os.kill(victim, signal.SIGKILL)
    await until_processes_are(pool, 1)
    outcomes = await asyncio.gather(
        *(decode(stream, WEBM[5000:]) for stream in streams), return_exceptions=True
    )

    assert [isinstance(each, AudioDecoderError) for each in outcomes] == [True, False] * 2
    for before, after_s in zip(befores[1::2], outcomes[1::2], strict=True):
        assert isinstance(after_s, float)
        assert len(before) / SAMPLE_RATE + after_s == 2.0
    assert decoder_log.lines(caplog)[-1] == (
        f"decoder process {victim} ended by itself (status -9), and with it 2 streams"
    )
    for stream in streams:
        stream.close()
    newcomers = [pool.open_stream() for _ in range(2)]
    for stream in newcomers:
        await take(stream.decode(WEBM))
    assert pool.stats() == MediaStats(processes=2, streams=2, started=3, lost=1)


async def test_a_session_that_waits_is_told_when_its_process_dies(
    pool: MediaPool, caplog: pytest.LogCaptureFixture
) -> None:
    decoder_log.listen(caplog)
    stream = pool.open_stream()
    await take(stream.decode(WEBM[:5000]))
    process = decoder_log.first_process(caplog)
    os.kill(process, signal.SIGSTOP)

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(expect_loss(stream))
        await asyncio.sleep(0)
        os.kill(process, signal.SIGKILL)

    assert waiting.result() == "the decoder process ended"


async def expect_loss(stream: MediaStream) -> str:
    with pytest.raises(AudioDecoderError) as caught:
        await take(stream.decode(WEBM[5000:]))
    assert caught.value.public_reason == "the decoder of the audio failed; connect again"
    return str(caught.value)


async def test_a_process_that_hangs_ends_one_session_and_takes_no_new_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    decoder_log.listen(caplog)
    pool = MediaPool(MediaSettings(processes=1, timeout_s=30))
    stream, neighbour = pool.open_stream(), pool.open_stream()
    await take(stream.decode(WEBM[:5000]))
    await take(neighbour.decode(WEBM[:5000]))
    process = decoder_log.first_process(caplog)
    os.kill(process, signal.SIGSTOP)
    impatient = pool.open_stream()
    impatient._timeout_s = 0.05

    with pytest.raises(AudioDecoderError, match=r"within 0\.05 s"):
        await take(impatient.decode(WEBM))
    impatient.close()
    os.kill(process, signal.SIGCONT)

    newcomer_s = await decode(pool.open_stream(), WEBM)
    assert pool.stats() == MediaStats(processes=2, streams=2, started=2)
    assert newcomer_s == 2.0
    await decode(stream, WEBM[5000:])
    await decode(neighbour, WEBM[5000:])
    await until_processes_are(pool, 1)  # the one that hung is ended with its last session
    assert pool.stats().lost == 0
    await pool.close()


async def test_a_process_ends_a_while_after_its_last_stream() -> None:
    pool = MediaPool(MediaSettings(linger_s=0))

    await decode(pool.open_stream(), WEBM)
    await until_processes_are(pool, 0)

    assert pool.stats() == MediaStats(started=1)
    assert await decode(pool.open_stream(), WEBM) == 2.0
    await pool.close()


async def test_a_session_that_leaves_while_its_process_starts_harms_nobody() -> None:
    pool = MediaPool(MediaSettings(processes=1))
    leaver, stayer = pool.open_stream(), pool.open_stream()
    leaving = asyncio.ensure_future(take(leaver.decode(WEBM)))
    staying = asyncio.ensure_future(decode(stayer, WEBM))
    await asyncio.sleep(0)
    leaving.cancel()

    assert await staying == 2.0
    assert pool.stats() == MediaStats(processes=1, started=1)
    await pool.close()


async def test_a_process_that_nobody_waits_for_any_more_ends_as_any_other() -> None:
    pool = MediaPool(MediaSettings(linger_s=0))
    leaving = asyncio.ensure_future(take(pool.open_stream().decode(WEBM)))
    await asyncio.sleep(0)
    leaving.cancel()

    await until_processes_are(pool, 0)
    assert pool.stats() == MediaStats(started=1)
    await pool.close()


async def test_closing_waits_for_processes_that_were_ended_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    decoder_log.listen(caplog)
    pool = MediaPool(MediaSettings(linger_s=0))
    await decode(pool.open_stream(), WEBM)
    await until_processes_are(pool, 0)

    await pool.close()

    with pytest.raises(ProcessLookupError):
        os.kill(decoder_log.first_process(caplog), 0)


async def test_a_closed_pool_ends_those_who_wait_and_starts_nothing(pool: MediaPool) -> None:
    stream = pool.open_stream()
    await take(stream.decode(WEBM[:5000]))

    await pool.close()

    assert pool.stats().processes == 0
    with pytest.raises(AudioDecoderError):
        await take(stream.decode(WEBM[5000:]))
    with pytest.raises(AudioDecoderError, match="were closed"):
        await take(pool.open_stream().decode(WEBM))
    stream.close()


async def test_a_process_that_cannot_be_started_is_an_error_of_the_session(
    pool: MediaPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    with pytest.raises(AudioDecoderError, match="no decoder process can be started"):
        await take(pool.open_stream().decode(WEBM))

    assert pool.stats().processes == 0


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
async def test_processes_are_given_no_secrets(
    pool: MediaPool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder_log.listen(caplog)
    monkeypatch.setenv("WHISPER_STREAMING_TEST_SECRET", "token")

    await take(pool.open_stream().decode(WEBM))

    environment = Path(f"/proc/{decoder_log.first_process(caplog)}/environ").read_text()
    assert "PYTHONPATH=" in environment
    assert "SECRET" not in environment


async def test_an_hour_of_silence_is_decoded_in_pieces(pool: MediaPool) -> None:
    stream = pool.open_stream()
    opus = encode("ogg", np.zeros(RATE * 70, dtype=np.int16))

    lengths = [len(piece) async for piece in stream.decode(opus)]

    assert max(lengths) <= 11 * SAMPLE_RATE
    assert sum(lengths) > 68 * SAMPLE_RATE
    stream.close()
