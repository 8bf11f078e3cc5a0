"""The embedded model behind the real server, with plain WebSocket clients."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import numpy as np
import pytest
from websockets.asyncio.client import connect

from tests.model.listening import Listener, given, lost_tail
from tests.model.recordings import ENGLISH, load
from tests.server.peers import Peer, session
from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import Backend
from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.evaluate import word_errors
from whisper_streaming.server import WhisperStreamingServer

pytestmark = [pytest.mark.model, pytest.mark.slow]

PACED: Final = ("en-1-slt", "en-noisy-15db", "lang-de", "lang-fr")
SPEED: Final = 2.0
"""Paced clients speak so many times faster than people do, to save time."""
CHUNK_S: Final = 0.1
COST_OF_COMPANY: Final = 0.02
"""Five words of 275: other windows give other words, up to three more of them in repeated runs.

That company costs no words is measured with thousands of them (docs/benchmarks.md).
"""
COST_OF_STREAMING: Final = 0.02
FIVE_MINUTES_S: Final = 300.0
FIVE_MINUTES_TAKE_CPU_S: Final = 60.0

PROMPT: Final = "The government, the meeting, the schedule and the presentation of my friends."

CONFIG: Final = ServerConfig(
    host="127.0.0.1",
    port=0,
    backend=BackendSettings(models=("demo",), device="cpu", threads=2, workers=1),
    limits=LimitSettings(max_message_bytes=2**22, calibration_s=0),
)
"""One worker, so that sessions meet in batches; a message may hold a whole recording."""


@pytest.fixture(scope="module")
def one_worker() -> Iterator[Backend]:
    backend = create_backend(CONFIG.backend)
    yield backend
    backend.close()


@pytest.fixture
async def server(one_worker: Backend) -> AsyncIterator[WhisperStreamingServer]:
    server = WhisperStreamingServer(CONFIG, backend_factory=lambda settings: one_worker)
    async with server.serving():
        yield server


async def send_paced(peer: Peer, samples: FloatArray) -> None:
    """Send audio as if somebody were speaking."""
    step = samples_of(CHUNK_S)
    began = time.monotonic()
    for start in range(0, len(samples), step):
        chunk = samples[start : start + step]
        spoken_at = began + (start + len(chunk)) / SAMPLE_RATE / SPEED
        await asyncio.sleep(max(0.0, spoken_at - time.monotonic()))
        await peer.socket.send(chunk.tobytes())


async def transcribe_paced(server: WhisperStreamingServer, name: str) -> str:
    async with session(server, uid=name, language=load(name).language) as peer:
        await send_paced(peer, load(name).samples)
        return await peer.finish()


async def transcribe_at_once(server: WhisperStreamingServer, name: str, **options: object) -> Peer:
    """A client whose whole audio is one message, after its session has ended.

    Each utterance is then decoded once and in full, whoever else is there: the text depends on
    no timing and can be compared letter by letter.
    """
    async with session(server, uid=name, **options) as peer:
        await peer.socket.send(load(name).samples.tobytes())
        await peer.finish()
    return peer


def largest_batch(server: WhisperStreamingServer) -> int:
    scheduler = server.client_manager.get_status()["scheduler"]
    assert isinstance(scheduler, dict)
    batch = scheduler["largest_batch"]
    assert isinstance(batch, int)
    return batch


def position_of(peer: Peer, key: str) -> int:
    """Which message is the first with this key."""
    return next(index for index, message in enumerate(peer.messages) if key in message)


@pytest.mark.alone
async def test_four_paced_sessions_are_as_good_as_one(
    server: WhisperStreamingServer, listener: Listener
) -> None:
    """One is a session that has the machine to itself and waits for no decode."""
    listener.hear_ahead({name: given(name) for name in PACED})
    async with asyncio.TaskGroup() as tasks:
        together = {name: tasks.create_task(transcribe_paced(server, name)) for name in PACED}

    said = sum(len(load(name).words) for name in PACED)
    four = sum(word_errors(load(n).text, task.result()).errors for n, task in together.items())
    one = sum(word_errors(load(n).text, listener.streamed(n).text).errors for n in PACED)

    assert four / said <= one / said + COST_OF_COMPANY
    assert not any(
        lost_tail(listener.streamed(name).text, task.result()) for name, task in together.items()
    )


async def test_sessions_in_two_languages_do_not_mix(server: WhisperStreamingServer) -> None:
    languages = {"lang-de": "de", "en-1-slt": "en"}
    alone = {name: await transcribe_at_once(server, name, language=None) for name in languages}
    async with asyncio.TaskGroup() as tasks:
        together = {
            name: tasks.create_task(transcribe_at_once(server, name, language=None))
            for name in languages
        }

    for name, language in languages.items():
        peer = together[name].result()
        assert peer.text == alone[name].text
        assert word_errors(load(name).text, peer.text).rate < 0.15
        assert [m["language"] for m in peer.messages if "language" in m] == [language]
        assert position_of(peer, "language") < position_of(peer, "segments")


async def test_a_session_with_wishes_of_its_own_changes_nothing_for_its_neighbours(
    server: WhisperStreamingServer,
) -> None:
    plain = await transcribe_at_once(server, "en-1-slt", language="en")
    german = await transcribe_at_once(server, "lang-de", language="de")
    async with asyncio.TaskGroup() as tasks:
        translated, prompted, beside, plain_german = [
            tasks.create_task(transcribe_at_once(server, name, **options))
            for name, options in (
                ("lang-de", {"language": "de", "task": "translate"}),
                (
                    "en-1-slt",
                    {"language": "en", "initial_prompt": PROMPT, "hotwords": "Karen Thursday"},
                ),
                ("en-1-slt", {"language": "en"}),
                ("lang-de", {"language": "de"}),
            )
        ]

    assert beside.result().text == plain.text
    assert plain_german.result().text == german.text
    # Each of the others got what it wished for, or there was nothing to be disturbed by.
    assert word_errors(load("lang-de").english, translated.result().text).rate < 0.1
    assert prompted.result().text != plain.text
    assert largest_batch(server) > 1


async def test_five_minutes_at_once_lose_no_word(
    server: WhisperStreamingServer, listener: Listener
) -> None:
    names = [name for name in ENGLISH if name != "en-long-pauses"]
    audio = np.concatenate([load(name).samples for name in names])
    assert len(audio) > samples_of(FIVE_MINUTES_S)
    listener.hear_ahead({name: given(name) for name in names})
    streamed = " ".join(listener.streamed(name).text for name in names)
    said = " ".join(load(name).text for name in names)

    began = time.process_time()
    async with connect(f"ws://127.0.0.1:{server.port}") as client:
        peer = Peer(client)
        await peer.send_options(summary=True)
        await peer.send_audio(audio, chunk_samples=samples_of(1.0))
        text = await peer.finish()
    took_cpu_s = time.process_time() - began

    assert peer.messages[-1]["received"] == len(audio)
    assert peer.messages[-1]["gap"] == 0
    assert lost_tail(streamed, text) == 0
    assert word_errors(said, text).rate <= word_errors(said, streamed).rate + COST_OF_STREAMING
    assert took_cpu_s < FIVE_MINUTES_TAKE_CPU_S
