"""Clients of WhisperLiveKit at the real server, over real sockets."""

import asyncio
import json
import random

import numpy as np
import pytest

from tests.server.peers import WORDS, Peer, connected, scripted_config, serving, transcribe
from tests.wire.live_kit_client import Fields, LiveKitClient
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray

READY = {"type": "ready_to_stop"}


async def finish(peer: Peer, samples: FloatArray, *, message_bytes: int = 3201) -> Fields:
    """Send audio and its end, read to the close, and give what a client shows then.

    With an odd number of bytes each second message begins within a sample.
    """
    frames = np.round(samples * 32767).astype("<i2").tobytes()
    for start in range(0, len(frames), message_bytes):
        await peer.socket.send(frames[start : start + message_bytes])
    await peer.socket.send(b"")
    assert await peer.read_to_close() == 1000
    client = LiveKitClient()
    for message in peer.messages[1:-1]:
        client.on_message(message)
    return client.state


@pytest.mark.parametrize("mode", ["full", "diff"])
async def test_every_word_arrives_and_then_ready_to_stop(mode: str) -> None:
    async with serving() as server, connected(server, f"/asr?language=en&mode={mode}") as peer:
        state = await finish(peer, spoken(WORDS))

    assert peer.messages[0] == {"type": "config", "useAudioWorklet": True, "mode": mode}
    assert peer.messages[-1] == READY
    assert "".join(line["text"] for line in state["lines"]).split() == WORDS
    assert (state["status"], state["buffer_transcription"]) == ("active_transcription", "")
    assert state["remaining_time_transcription"] == 0.0


async def test_unstable_words_are_shown_in_the_buffer() -> None:
    frames = np.round(spoken(WORDS) * 32767).astype("<i2").tobytes()
    half = len(frames) // 2
    async with serving() as server, connected(server, "/asr") as peer:
        await peer.socket.send(frames[:half])
        while not (message := await peer.read()).get("buffer_transcription"):
            pass
        await peer.socket.send(frames[half:])
        await finish(peer, np.zeros(0, dtype=np.float32))

    shown = "".join(line["text"] for line in message["lines"])  # type: ignore[attr-defined]
    heard = (shown + str(message["buffer_transcription"])).split()
    assert heard[:-1] == WORDS[: len(heard) - 1]  # the last one may be cut
    assert float(message["remaining_time_transcription_policy"]) > 0  # type: ignore[arg-type]
    assert {message.get("status") for message in peer.messages} == {
        None,  # config and ready_to_stop
        "no_audio_detected",
        "active_transcription",
    }


async def test_silence_is_no_lag() -> None:
    silence = np.zeros(16_000, dtype="<i2").tobytes()
    async with serving() as server, connected(server, "/asr") as peer:
        await peer.socket.send(np.round(spoken(WORDS) * 32767).astype("<i2").tobytes())
        await peer.socket.send(silence)
        while "ten." not in str((message := await peer.read()).get("lines")):
            pass
        for _ in range(5):
            await peer.socket.send(silence)
        while message["remaining_time_transcription"] != 0.0:
            message = await peer.read()
        told = len(peer.messages)
        await finish(peer, np.zeros(16_000 * 5, dtype=np.float32))

    assert "ten." in str(message["lines"])
    rest = peer.messages[told:-1]
    assert {state["remaining_time_transcription"] for state in rest} <= {0.0}
    assert message["buffer_transcription"] == ""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["full", "diff"])
async def test_ten_minutes_of_speech_and_pauses_at_once_are_shown_whole(mode: str) -> None:
    numbers = random.Random(6)
    words: list[str] = []
    pieces: list[FloatArray] = []
    while sum(map(len, pieces)) < 600 * SAMPLE_RATE:
        sentence = [f"w{len(words) + n}" for n in range(numbers.randint(2, 20))]
        sentence[-1] += numbers.choice((".", "?", ""))
        words += sentence
        pieces += [spoken(sentence), np.zeros(numbers.choice((8_000, 40_000, 100_000)), np.float32)]
    client, lines = LiveKitClient(), {}
    sizes = []

    async with serving() as server, connected(server, f"/asr?mode={mode}") as peer:
        await finish(peer, np.concatenate(pieces), message_bytes=32_001)
    for message in peer.messages[1:-1]:
        client.on_message(message)
        lines |= {line["start"]: line["text"] for line in client.state["lines"]}
        sizes.append(len(json.dumps(message)))

    assert "".join(lines.values()).split() == words
    assert len(lines) > len(client.state["lines"]) or mode == "full"
    assert {line["speaker"] for line in client.state["lines"]} == {1, -2}
    assert max(sizes) < (40_000 if mode == "full" else 10_000)


async def test_a_session_without_audio_ends_at_once() -> None:
    async with serving() as server, connected(server, "/asr/") as peer:
        state = await finish(peer, np.zeros(0, dtype=np.float32))

    assert (len(peer.messages), state["lines"]) == (3, [])


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("language=klingon", "does not know the language 'klingon'"),
        ("target_language=klingon", "'klingon' is no language code"),
    ],
)
async def test_bad_parameters_are_an_error_message_and_4400(query: str, reason: str) -> None:
    async with serving() as server, connected(server, f"/asr?{query}") as peer:
        assert await peer.read_to_close() == 4400

    (message,) = peer.messages
    assert message["type"] == "error"
    assert reason in str(message["error"])


async def test_text_is_an_error_state_and_the_words_before_it_are_sent() -> None:
    async with serving() as server, connected(server, "/asr") as peer:
        await peer.socket.send(np.round(spoken(WORDS) * 32767).astype("<i2").tobytes())
        await peer.socket.send(json.dumps({"type": "start"}))
        assert await peer.read_to_close() == 1007

    last = peer.messages[-1]
    assert last["status"] == "error"
    assert "only binary messages are understood" in str(last["error"])
    text = "".join(line["text"] for line in last["lines"])  # type: ignore[attr-defined]
    assert text.split() == WORDS


async def test_a_full_server_says_so() -> None:
    async with serving(scripted_config(max_clients=1)) as server, connected(server, "/asr") as one:
        await one.read()
        async with connected(server, "/asr") as other:
            assert await other.read_to_close() == 1013

    (message,) = other.messages
    assert message["type"] == "error"
    assert "the server is full, try again in" in str(message["error"])


async def test_sessions_of_both_protocols_do_not_disturb_each_other() -> None:
    async with serving() as server, connected(server, "/asr?mode=diff") as peer:
        state, text = await asyncio.gather(finish(peer, spoken(WORDS)), transcribe(server))

    assert "".join(line["text"] for line in state["lines"]).split() == text.split() == WORDS
