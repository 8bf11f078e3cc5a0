"""What only the asyncio client does: iteration, async sources, cancellation."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.client.conftest import noise
from tests.client.scripted_server import Peer, friendly, partial, running, segment
from whisper_streaming.client import (
    AsyncTranscriptionClient,
    AudioSourceError,
    ClientError,
    ConnectionLost,
    ServerRefused,
)
from whisper_streaming.core.audio import FloatArray


async def test_updates_can_be_iterated_while_audio_is_pushed() -> None:
    texts: list[str] = []

    async def show(client: AsyncTranscriptionClient) -> None:
        async for update in client:
            texts.append(update.text)

    async def step_by_step(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.1)
        await peer.segments(partial(0.0, 0.1, " One"))
        await peer.hear()
        await peer.segments(segment(0.0, 0.2, " One two."))
        await peer.summarise()

    with running(step_by_step) as server:
        async with (
            AsyncTranscriptionClient("127.0.0.1", server.port) as client,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(show(client))
            await client.send(noise(0.1))
            while not texts:
                await asyncio.sleep(0.01)
            await client.send(noise(0.1))
            result = await client.finish()

    assert texts == ["One", "One two."]
    assert result.text == "One two."


async def test_a_slow_reader_of_updates_misses_states_but_no_words() -> None:
    async def hurry(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        for index in range(50):
            await peer.segments(*(segment(i, i + 1, f" {i}") for i in range(index + 1)[-10:]))
        await peer.summarise()

    updates: list[str] = []
    with running(hurry) as server:
        async with AsyncTranscriptionClient("127.0.0.1", server.port) as client:
            await client.send(noise(0.1))
            result = await client.finish()
            async for update in client:
                updates.append(update.text)

    assert updates == [result.text]
    assert result.text == " ".join(str(i) for i in range(50))


async def test_iteration_ends_with_the_error_of_the_session() -> None:
    async def vanish(peer: Peer) -> None:
        await peer.accept()
        await peer.segments(partial(0.0, 0.1, " One"))
        await asyncio.sleep(0.1)
        peer.socket.transport.abort()

    texts: list[str] = []
    with running(vanish) as server:
        async with AsyncTranscriptionClient("127.0.0.1", server.port) as client:
            with pytest.raises(ConnectionLost):
                async for update in client:
                    texts.append(update.text)

    assert texts == ["One"]


async def test_async_with_uses_its_session_for_a_source() -> None:
    with running(friendly) as server:
        async with AsyncTranscriptionClient("127.0.0.1", server.port) as client:
            result = await client.transcribe(noise(0.2))

    assert result.complete
    assert len(server.peers) == 1


async def test_a_client_can_transcribe_again_and_again() -> None:
    with running(friendly) as server:
        client = AsyncTranscriptionClient("127.0.0.1", server.port, realtime=False)
        results = [await client.transcribe(noise(0.2)) for _ in range(2)]

    assert [result.complete for result in results] == [True, True]
    assert len(server.peers) == 2


async def test_a_refusal_is_raised_as_it_is_and_not_in_a_group() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.take_options()
        await peer.say(status="WAIT", message=1.0)

    with running(refuse) as server, pytest.raises(ServerRefused):
        async with AsyncTranscriptionClient("127.0.0.1", server.port):
            pytest.fail("was not refused")


@pytest.mark.parametrize("rate", [16_000, 8_000])
async def test_an_async_source_is_read(rate: int) -> None:
    async def arrays() -> AsyncIterator[FloatArray]:
        for _ in range(4):
            await asyncio.sleep(0)
            yield np.full(rate // 8, 0.25, np.float32)

    with running(friendly) as server:
        client = AsyncTranscriptionClient("127.0.0.1", server.port, realtime=False)
        result = await client.transcribe(arrays(), sample_rate=rate)

    assert result.samples_sent == 8_000
    assert max(len(piece) for piece in server.peer.pieces) <= 1_600
    np.testing.assert_allclose(server.peer.samples[300:-300], 0.25, atol=0.005)


async def test_an_async_source_that_gives_no_audio_is_an_error_with_the_result() -> None:
    async def arrays() -> AsyncIterator[FloatArray]:
        yield noise(0.1)
        yield np.zeros(3, np.uint64)  # type: ignore[misc]

    with running(friendly) as server, pytest.raises(AudioSourceError) as caught:
        await AsyncTranscriptionClient("127.0.0.1", server.port).transcribe(arrays())

    assert caught.value.result is not None


async def test_stop_ends_a_source_early_and_waits_for_the_last_words() -> None:
    with running(friendly) as server:
        client = AsyncTranscriptionClient("127.0.0.1", server.port)
        client.transcription_callback = lambda _text, _segments: client.stop()
        started = time.monotonic()
        result = await client.transcribe(noise(60.0))

    assert time.monotonic() - started < 50.0  # the audio alone takes 60 s
    assert result.text == "Hello world. Good bye."


async def test_a_cancelled_session_drops_the_connection() -> None:
    listening, dropped = threading.Event(), threading.Event()

    async def listen(peer: Peer) -> None:
        await peer.accept()
        listening.set()
        try:
            await peer.hear()
        finally:
            dropped.set()

    with running(listen) as server:
        client = AsyncTranscriptionClient("127.0.0.1", server.port)
        transcribing = asyncio.create_task(client.transcribe(noise(60.0)))
        assert await asyncio.to_thread(listening.wait, 30)
        transcribing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await transcribing
        assert await asyncio.to_thread(dropped.wait, 30)

    assert not server.peer.has_ended


async def test_leaving_does_not_wait_for_a_silent_pipe() -> None:
    reading_end, writing_end = os.pipe()
    with (
        os.fdopen(reading_end, "rb") as pipe,
        os.fdopen(writing_end, "wb") as writer,
        running(friendly) as server,
    ):
        client = AsyncTranscriptionClient("127.0.0.1", server.port)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.transcribe(pipe, raw_format="int16")
        took_s = time.monotonic() - started
        writer.close()  # now the thread that reads can end

    assert took_s < 30.0


async def test_the_event_loop_runs_on_while_a_source_blocks() -> None:
    reading_end, writing_end = os.pipe()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def feed(writer: object) -> None:
        while ticks <= 10:  # the source blocks until it is fed, so a blocked loop never gets there
            await asyncio.sleep(0.01)
        writer.write(bytes(3_200))  # type: ignore[attr-defined]
        writer.close()  # type: ignore[attr-defined]

    with os.fdopen(reading_end, "rb") as pipe, running(friendly) as server:
        client = AsyncTranscriptionClient("127.0.0.1", server.port)
        async with asyncio.TaskGroup() as tasks:
            ticking = tasks.create_task(tick())
            tasks.create_task(feed(os.fdopen(writing_end, "wb")))
            result = await client.transcribe(pipe, raw_format="int16")
            ticking.cancel()

    assert result.samples_sent == 1_600


async def test_two_sessions_at_once_need_two_clients() -> None:
    with running(friendly) as server:
        async with AsyncTranscriptionClient("127.0.0.1", server.port) as client:
            with pytest.raises(ClientError, match="a session is running"):
                async with client:
                    pytest.fail("opened twice")


async def test_pushing_without_a_session_says_how_to_open_one() -> None:
    with pytest.raises(ClientError, match="async with"):
        await AsyncTranscriptionClient().send(noise(0.1))
