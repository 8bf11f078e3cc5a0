"""Broken and hostile containers on `/asr` beside honest ones, at the real server."""

import asyncio
import logging
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import numpy as np
import pytest

from tests.encoded_audio import (
    encode,
    forged_wav,
    mp4_that_claims,
    opus_bomb,
    slices,
    tone,
    webm_that_claims,
)
from tests.live import decoder_log
from tests.server.peers import TIMEOUT_S, WORDS, Peer, connected, scripted_config, serving
from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.config import MediaSettings
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.server import WhisperStreamingServer
from whisper_streaming.wire.container import WEBM_CLUSTER

SPEECH = forged_wav(np.round(spoken(WORDS) * 32767).astype("<i2").tobytes(), rate=SAMPLE_RATE)
HALF = len(SPEECH) // 2
WEBM = encode("webm", tone(1.0))
NOISE = random.Random(6).randbytes(200_000)

HOSTILE = {
    "cut off in its header": (WEBM[:100], "nothing in the WebM stream could be decoded"),
    "noise": (b"\x1a\x45\xdf\xa3" + NOISE, "the WebM audio cannot be decoded after 0.0 s"),
    "hours in a few bytes": (opus_bomb(12), "which no real recording does"),
    "memory in a few bytes": (webm_that_claims(250 * 2**20), "needs too much memory"),
    "packets in a few bytes": (mp4_that_claims(2_000_000), "needs too much memory"),
    "forged rate": (forged_wav(bytes(1000), rate=1), "audio with 1 samples a second is not taken"),
    "index at the end": (
        encode("mp4 with its index at the end", tone(1.0)),
        "have its index (moov) before the audio",
    ),
    "without its beginning": (WEBM[WEBM.index(WEBM_CLUSTER) :], "send each message from the first"),
    "rare coding": (encode("ac3", tone(0.5)), "audio coded as ac3 is not taken"),
}


@pytest.fixture
async def server() -> AsyncIterator[WhisperStreamingServer]:
    """One decoder process for all, so that they share it."""
    config = scripted_config(max_clients=32)
    config = config.model_copy(update={"media": MediaSettings(processes=1)})
    async with serving(config) as server:
        yield server


async def send(peer: Peer, stream: bytes, count: int = 20) -> None:
    for message in slices(stream, count):
        await peer.socket.send(message)


async def finish(peer: Peer) -> LiveKitClient:
    """End the audio; what the client shows when the server has closed."""
    await peer.socket.send(b"")
    return await read_to_close(peer)


async def read_to_close(peer: Peer) -> LiveKitClient:
    await peer.read_to_close()
    client = LiveKitClient()
    for message in peer.messages[1:]:
        if message.get("type") != "ready_to_stop":
            client.on_message(message)
    return client


def words(client: LiveKitClient) -> list[str]:
    return "".join(line["text"] for line in client.state["lines"]).split()


@asynccontextmanager
async def honest_neighbour(server: WhisperStreamingServer) -> AsyncIterator[None]:
    """A session whose container comes half before, half after the context, and loses nothing."""
    async with connected(server, "/asr?mode=diff") as peer:
        await send(peer, SPEECH[:HALF])
        yield
        await send(peer, SPEECH[HALF:])
        client = await finish(peer)
    assert peer.messages[-1] == {"type": "ready_to_stop"}
    assert words(client) == WORDS


async def test_each_hostile_stream_ends_with_its_reason_and_leaves_the_others_alone(
    server: WhisperStreamingServer,
) -> None:
    async def attack(stream: bytes) -> tuple[int | None, LiveKitClient]:
        async with connected(server, "/asr") as peer:
            await send(peer, stream, 3)
            client = await finish(peer)
            return peer.socket.close_code, client

    async with honest_neighbour(server), asyncio.TaskGroup() as tasks:
        attacks = {name: tasks.create_task(attack(s)) for name, (s, _) in HOSTILE.items()}

    for name, (_, reason) in HOSTILE.items():
        code, client = attacks[name].result()
        assert (code, client.state["status"]) == (1003, "error"), name
        assert reason in client.state["error"], name


async def test_streams_that_never_go_on_hold_up_nobody(server: WhisperStreamingServer) -> None:
    async with honest_neighbour(server), AsyncExitStack() as stack:
        for length in range(10):
            peer = await stack.enter_async_context(connected(server, "/asr"))
            await peer.socket.send(WEBM[: 2 + 40 * length])
        async with honest_neighbour(server):
            await until_streams_are(server, 11)  # one sent too little to tell what it is
        await stack.aclose()
        await until_streams_are(server, 1)


async def test_messages_that_were_lost_are_told_and_shift_nothing(
    server: WhisperStreamingServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "whisper_streaming")
    flac = encode(
        "flac", np.round(spoken([*WORDS, *WORDS]) * 32767).astype("<i2"), rate=SAMPLE_RATE
    )
    messages = slices(flac, 20)
    ends = []
    for sent in (messages, messages[:10] + messages[11:]):
        async with connected(server, "/asr") as peer:
            for message in sent:
                await peer.socket.send(message)
            client = await finish(peer)
        warnings = [str(message["warning"]) for message in peer.messages if "warning" in message]
        assert peer.messages[-1] == {"type": "ready_to_stop"}
        ends.append((client.state["lines"][-1]["end"], warnings))

    (whole_end, no_warnings), (end, (warning,)) = ends
    assert (end, no_warnings) == (whole_end, [])
    assert warning.endswith("s was lost: missing or damaged in what was sent")
    summaries = [line for line in caplog.messages if "ended complete" in line]
    assert ["missing=" in line for line in summaries] == [False, True]


async def test_random_bytes_are_samples_without_words(server: WhisperStreamingServer) -> None:
    async with honest_neighbour(server), connected(server, "/asr") as peer:
        await send(peer, b"\x00" + NOISE)
        client = await finish(peer)

    assert (peer.socket.close_code, words(client)) == (1000, [])


async def test_a_message_above_the_limit_ends_its_session(server: WhisperStreamingServer) -> None:
    async with honest_neighbour(server), connected(server, "/asr") as peer:
        await peer.socket.send(SPEECH)
        await peer.socket.send(WEBM + bytes(2**20))
        client = await read_to_close(peer)

    assert (peer.socket.close_code, client.state["status"]) == (1009, "error")
    assert words(client) == WORDS


async def test_sessions_of_a_decoder_that_is_killed_are_told_and_others_go_on(
    server: WhisperStreamingServer, caplog: pytest.LogCaptureFixture
) -> None:
    decoder_log.listen(caplog)
    raw = SPEECH[len(SPEECH) - 2 * len(spoken(WORDS)) :]
    middle = len(raw) // 2  # between two words: in the pause, what was said counts as over
    async with connected(server, "/asr") as samples, connected(server, "/asr") as victim:
        await send(samples, raw[:middle])
        await send(victim, SPEECH)
        while "ten." not in str(await victim.read()):
            pass

        os.kill(decoder_log.first_process(caplog), signal.SIGKILL)
        await victim.socket.send(bytes(3200))
        told = await read_to_close(victim)
        async with honest_neighbour(server):  # in a new process
            pass
        await send(samples, raw[middle:])
        undisturbed = await finish(samples)

    assert (victim.socket.close_code, words(told)) == (1011, WORDS)
    assert told.state["error"] == "the decoder of the audio failed; connect again"
    assert (samples.socket.close_code, words(undisturbed)) == (1000, WORDS)


async def until_streams_are(server: WhisperStreamingServer, count: int) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while server.client_manager.get_status()["media"]["streams"] != count:  # type: ignore[index]
            await asyncio.sleep(0.01)
