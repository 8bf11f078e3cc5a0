"""A recording that comes as a browser sends it gives the words that its samples give."""

import asyncio
from collections.abc import Sequence

import numpy as np

from tests.encoded_audio import FORMATS, encode, slices
from tests.model.listening import Listener, given
from tests.model.recordings import load
from tests.server.peers import connected, serving
from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.backends.base import Backend
from whisper_streaming.config import LimitSettings, MediaSettings, ServerConfig
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.evaluate import word_errors
from whisper_streaming.live.media_pool import MediaPool
from whisper_streaming.server import WhisperStreamingServer

RECORDING = "en-4-en-us"
SENTENCES = 4
FEW_SENTENCES = 2
"""They fit into one piece of decoded audio, so each is decoded once, whoever else is there."""

CONFIG = ServerConfig(
    host="127.0.0.1", port=0, limits=LimitSettings(max_clients=10, calibration_s=0)
)


async def test_words_of_webm_are_those_of_pcm(listener: Listener) -> None:
    # Opus loses something, so doubtful words may come out as others: these are none of them.
    recording = load(RECORDING)
    samples = recording.samples[: samples_of(recording.sentences[SENTENCES - 1].end + 0.3)]
    webm = encode("webm", (samples * 32767).astype(np.int16), rate=SAMPLE_RATE)

    decoded = await decode(slices(webm, 10 * len(samples) // SAMPLE_RATE))

    assert len(decoded) == len(samples)
    heard = listener.hear(decoded, given(RECORDING)).text
    assert heard == listener.hear(samples, given(RECORDING)).text
    assert len(heard.split()) > 20


async def test_words_over_asr_are_those_of_samples_in_every_container(backend: Backend) -> None:
    recording = load(RECORDING)
    end = samples_of(recording.sentences[FEW_SENTENCES - 1].end + 0.3)
    samples = (recording.samples[:end] * 32767).astype("<i2")
    streams: dict[str, Sequence[bytes]] = {"samples": [samples.tobytes()]}
    streams |= {name: [encode(name, samples, rate=SAMPLE_RATE)] for name in FORMATS}
    streams["as MediaRecorder sends"] = slices(streams["webm"][0], 10 * end // SAMPLE_RATE)

    async with serving(CONFIG, backend) as server, asyncio.TaskGroup() as tasks:
        runs = {name: tasks.create_task(transcribe(server, each)) for name, each in streams.items()}

    texts = {name: run.result() for name, run in runs.items()}
    assert word_errors(recording.sentences[0].text, texts["samples"]).matches
    assert len(texts["samples"].split()) > 10
    sliced = texts.pop("as MediaRecorder sends")
    assert texts == dict.fromkeys(texts, texts["samples"])
    # Here it depends on the machine what had come when a word was decided.
    assert word_errors(texts["samples"], sliced).errors <= 1


async def transcribe(server: WhisperStreamingServer, messages: Sequence[bytes]) -> str:
    """The lines of a client of `/asr`."""
    client = LiveKitClient()
    async with connected(server, "/asr?language=en&mode=diff") as peer:
        for message in messages:
            await peer.socket.send(message)
        await peer.socket.send(b"")
        assert await peer.read_to_close() == 1000
    for message in peer.messages[1:-1]:
        client.on_message(message)
    return "".join(line["text"] for line in client.state["lines"])


async def decode(messages: list[bytes]) -> FloatArray:
    pool = MediaPool(MediaSettings())
    stream = pool.open_stream()
    pieces = [piece for message in messages async for piece in stream.decode(message)]
    pieces += [piece async for piece in stream.finish()]
    await pool.close()
    return np.concatenate(pieces)
