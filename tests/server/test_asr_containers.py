"""Clients that send what their recorder makes to `/asr`, at the real server."""

import numpy as np
import pytest

from tests.encoded_audio import encode, forged_wav, slices
from tests.server.peers import WORDS, connected, serving
from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.core.audio import SAMPLE_RATE

SAMPLES = np.round(spoken(WORDS) * 32767).astype("<i2")


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(SAMPLES.tobytes(), id="samples"),
        pytest.param(forged_wav(SAMPLES.tobytes(), rate=SAMPLE_RATE), id="wav"),
        pytest.param(encode("flac", SAMPLES, rate=SAMPLE_RATE), id="flac"),
    ],
)
async def test_the_words_are_the_same_however_they_are_sent(stream: bytes) -> None:
    client = LiveKitClient()
    async with serving() as server, connected(server, "/asr?language=en") as peer:
        for message in slices(stream, 40):
            await peer.socket.send(message)
        await peer.socket.send(b"")
        code = await peer.read_to_close()

    for message in peer.messages[1:-1]:
        client.on_message(message)
    assert (code, peer.messages[-1]) == (1000, {"type": "ready_to_stop"})
    assert "".join(line["text"] for line in client.state["lines"]).split() == WORDS


async def test_a_stream_that_cannot_be_decoded_is_an_error_state_after_its_words() -> None:
    client = LiveKitClient()
    async with serving() as server, connected(server, "/asr?language=en") as peer:
        for message in slices(forged_wav(SAMPLES.tobytes(), rate=SAMPLE_RATE), 40):
            await peer.socket.send(message)
        await peer.socket.send(forged_wav(bytes(1000), rate=1))
        code = await peer.read_to_close()

    for message in peer.messages[1:]:
        client.on_message(message)
    assert code == 1003
    assert client.state["error"] == "audio with 1 samples a second is not taken"
    assert "".join(line["text"] for line in client.state["lines"]).split() == WORDS
