"""Clients that do what they should not: a clear end for them, and nothing for their neighbours."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.server.peers import (
    TIMEOUT_S,
    WORDS,
    Peer,
    connected,
    noise,
    scripted_config,
    serving,
    session,
    undisturbed_neighbour,
)
from whisper_streaming.backends.scripted import ScriptedBackend, ScriptedBehaviour, spoken
from whisper_streaming.server import WhisperStreamingServer


@asynccontextmanager
async def server_with_neighbour(**limits: float) -> AsyncIterator[WhisperStreamingServer]:
    """A server on which another session goes on; after the context no client is left."""
    async with serving(scripted_config(**limits)) as server:
        async with undisturbed_neighbour(server):
            yield server
        await until_free(server)


async def until_free(server: WhisperStreamingServer, places: int = 0) -> None:
    """Wait until at most ``places`` clients are left."""
    async with asyncio.timeout(TIMEOUT_S):
        while server.client_manager.current_clients > places:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("message", "code", "complaint"),
    [
        pytest.param("hello", 1007, "it is not JSON", id="not JSON"),
        pytest.param("[1, 2]", 1007, "it is a JSON list", id="list"),
        pytest.param('{"language": "en"}', 1007, "uid", id="no uid"),
        pytest.param('{"uid": 7}', 1007, "uid", id="uid of a wrong type"),
        pytest.param('{"uid": "a", "task": "sing"}', 1007, "task", id="unknown task"),
        pytest.param('{"uid": "a", "language": "xx"}', 1007, "'xx'", id="unknown language"),
        pytest.param(
            '{"uid": "a", "audio_format": "mp3"}', 1007, "audio_format", id="unknown format"
        ),
        pytest.param('{"uid": "a", "use_vad": "yes"}', 1007, "use_vad", id="string for a boolean"),
        pytest.param(b"\x00" * 1600, 1007, "it is binary", id="audio first"),
        pytest.param("[" * 100_000, 1007, "it is not JSON", id="nested too deep"),
    ],
)
async def test_a_wrong_first_message_is_answered_in_plain_words(
    message: str | bytes, code: int, complaint: str
) -> None:
    async with server_with_neighbour() as server, connected(server) as peer:
        await peer.socket.send(message)
        assert await peer.read_to_close() == code

    [error] = peer.messages
    assert error["status"] == "ERROR"
    assert complaint in str(error["message"])


async def test_two_megabytes_of_text_are_too_big() -> None:
    async with server_with_neighbour() as server, connected(server) as peer:
        await peer.socket.send(json.dumps({"uid": "a" * 2**21}))
        assert await peer.read_to_close() == 1009

    assert "over the limit" in str(peer.messages[0]["message"])


async def test_text_instead_of_audio_ends_the_session_after_its_last_words() -> None:
    async with server_with_neighbour() as server, session(server) as peer:
        await peer.send_audio(spoken(WORDS))
        await peer.socket.send("what is this?")
        assert await peer.read_to_close() == 1007

    assert peer.text == " ".join(WORDS)
    assert "binary audio" in str(peer.statuses("ERROR")[0]["message"])


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(np.full(16_000, np.nan, dtype="<f4").tobytes(), id="NaN"),
        pytest.param(np.full(16_000, np.inf, dtype="<f4").tobytes(), id="infinite"),
        pytest.param((noise(1.0) * 32767).astype("<i2").tobytes(), id="int16 as float32"),
    ],
)
async def test_impossible_samples_are_refused(audio: bytes) -> None:
    async with server_with_neighbour() as server, session(server) as peer:
        await peer.send_audio(spoken(WORDS))
        await peer.socket.send(audio)
        assert await peer.read_to_close() == 1003

    assert peer.text == " ".join(WORDS)
    assert "int16" in str(peer.statuses("ERROR")[0]["message"])


async def test_audio_may_come_byte_by_byte() -> None:
    async with server_with_neighbour() as server, session(server, audio_format="int16") as peer:
        audio = (spoken(["one"], word_s=0.15) * 32767).astype("<i2").tobytes()
        for index in range(len(audio)):
            await peer.socket.send(audio[index : index + 1])
        assert await peer.finish() == "one"


async def test_audio_may_come_in_frames_of_a_mebibyte() -> None:
    words = [f"word{index}" for index in range(100)]
    async with server_with_neighbour() as server, session(server) as peer:
        await peer.send_audio(spoken(words), chunk_samples=2**18)
        assert await peer.finish() == " ".join(words)


async def test_a_larger_message_ends_the_session_after_its_last_words() -> None:
    async with server_with_neighbour() as server, session(server) as peer:
        await peer.send_audio(spoken(WORDS))
        await peer.socket.send(b"\x00" * (2**20 + 4))
        assert await peer.read_to_close() == 1009

    assert peer.text == " ".join(WORDS)
    assert "over the limit" in str(peer.statuses("ERROR")[0]["message"])


@pytest.mark.parametrize("end", [b"END_OF_AUDIO", "END_OF_AUDIO", '"END_OF_AUDIO"'])
async def test_the_audio_may_end_twice(end: str | bytes) -> None:
    async with server_with_neighbour() as server, session(server) as peer:
        await peer.send_audio(spoken(WORDS))
        await peer.socket.send(end)
        assert await peer.finish() == " ".join(WORDS)

    assert peer.statuses("ERROR") == []


async def test_a_client_that_sends_nothing_is_told_what_is_missing() -> None:
    async with server_with_neighbour(options_timeout_s=0.2) as server, connected(server) as peer:
        assert await peer.read_to_close() == 1007

    assert "no options within 0.2 s" in str(peer.statuses("ERROR")[0]["message"])


async def test_a_client_that_never_reads_is_cut() -> None:
    async with server_with_neighbour(send_timeout_s=0.3) as server:
        deaf = socket.create_connection(("127.0.0.1", server.port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        options = {"uid": "deaf", "send_last_n_segments": 10_000, "word_timestamps": True}
        async with connect(f"ws://127.0.0.1:{server.port}", sock=deaf, max_queue=1) as client:
            await client.send(json.dumps(options))
            words = spoken([f"word{index}." for index in range(25)]).tobytes()
            with pytest.raises(ConnectionClosed):
                async with asyncio.timeout(TIMEOUT_S):
                    while True:
                        await client.send(words)
                        await asyncio.sleep(0)
            await until_free(server, places=1)


async def test_a_path_can_neither_forge_nor_flood_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = (
        f"GET /\x1b[31m\rforged{'x' * 5000} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with caplog.at_level(logging.INFO, "whisper_streaming.session"):
        async with serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request.encode())
            assert b"101" in await reader.readline()
            writer.transport.abort()
            async with asyncio.timeout(TIMEOUT_S):
                while "left before the session began" not in caplog.text:
                    await asyncio.sleep(0.01)

    [line] = [text for text in caplog.messages if "forged" in text]
    assert line.isprintable()
    assert line.startswith("[/?[31m?forged")
    assert len(line) < 200


async def test_nothing_is_left_of_a_client_that_vanishes() -> None:
    async with server_with_neighbour() as server:
        tasks_before = len(asyncio.all_tasks())
        async with session(server) as peer:
            await peer.send_audio(spoken(WORDS))
            peer.socket.transport.abort()
        await until_free(server, places=1)
        async with asyncio.timeout(TIMEOUT_S):
            while len(asyncio.all_tasks()) > tasks_before:
                await asyncio.sleep(0.01)


async def test_every_word_of_five_minutes_at_once_arrives() -> None:
    words = [f"w{index}" for index in range(750)]
    backend = ScriptedBackend(ScriptedBehaviour(seconds_per_audio_s=0.005))
    async with serving(backend=backend) as server, undisturbed_neighbour(server):
        # Stricter than the defaults of 20 s, and still more than a busy machine takes.
        url = f"ws://127.0.0.1:{server.port}"
        async with connect(url, ping_interval=0.1, ping_timeout=5.0) as client:
            peer = Peer(client)
            await peer.send_options()
            await peer.send_audio(spoken(words), chunk_samples=2**18)
            text = await peer.finish()
            assert client.latency > 0, "no ping was answered"

    assert text == " ".join(words)


async def test_a_backlog_beyond_the_limit_slows_the_sender_and_loses_nothing() -> None:
    words = [f"w{index}" for index in range(100)]
    # Slow enough that a sender on a busy machine is still faster.
    backend = ScriptedBackend(ScriptedBehaviour(seconds_per_audio_s=0.04))
    lags: list[float] = []
    async with (
        serving(scripted_config(max_backlog_s=10.0), backend) as server,
        session(server) as peer,
        asyncio.TaskGroup() as tasks,
    ):
        watching = tasks.create_task(watch_lag(server, lags))
        await peer.send_audio(spoken(words))
        text = await peer.finish()
        watching.cancel()

    assert text == " ".join(words)
    assert 10.0 < max(lags) < 10.5


async def watch_lag(server: WhisperStreamingServer, lags: list[float]) -> None:
    while True:
        for row in server.client_manager.get_status()["sessions"]:  # type: ignore[attr-defined]
            lags.append(row["lag_s"])
        await asyncio.sleep(0.01)


async def test_a_stalled_backlog_ends_the_session() -> None:
    backend = ScriptedBackend(ScriptedBehaviour(seconds_per_batch=2.0))
    limits = {"max_backlog_s": 5.0, "max_stall_s": 0.2, "drain_timeout_s": 0.2}
    async with serving(scripted_config(**limits), backend) as server, session(server) as peer:
        await peer.send_audio(noise(10.0))
        assert await peer.read_to_close() == 1013

    assert "audio wait to be decoded" in str(peer.statuses("ERROR")[0]["message"])
