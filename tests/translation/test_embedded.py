"""One audio stream, both languages: the embedded model behind the real server."""

import json

import numpy as np
import pytest

from tests.model.recordings import Recording, load
from tests.server.peers import Peer, serving, session
from whisper_streaming.backends.base import Backend
from whisper_streaming.config import LimitSettings, ServerConfig
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.evaluate import normalised_words
from whisper_streaming.server import WhisperStreamingServer

pytestmark = [pytest.mark.model, pytest.mark.slow]

CONFIG = ServerConfig(
    host="127.0.0.1",
    port=0,
    limits=LimitSettings(max_message_bytes=2**22, calibration_s=0),
)
SENTENCES = 3


@pytest.fixture
def recording() -> Recording:
    return load("lang-tr")


def beginning(recording: Recording) -> FloatArray:
    """The first sentences, with the silence after them."""
    end = (recording.sentences[SENTENCES - 1].end + recording.sentences[SENTENCES].start) / 2
    return recording.samples[: samples_of(end)]


def english(recording: Recording) -> list[str]:
    """What they mean."""
    sentences = recording.english.split(". ")[:SENTENCES]
    return [f"{sentence.rstrip('.')}." for sentence in sentences]


async def at_once(server: WhisperStreamingServer, samples: FloatArray, **options: object) -> Peer:
    """A client whose whole audio is one message, after its session has ended.

    Each utterance is then decoded once and in full, so that the text depends on no timing.
    """
    async with session(server, **options) as peer:
        await peer.socket.send(samples.tobytes())
        await peer.finish()
    return peer


@pytest.mark.parametrize("language", ["tr", None])
async def test_turkish_words_and_their_english_translation(
    backend: Backend, recording: Recording, language: str | None
) -> None:
    async with serving(CONFIG, backend) as server:
        words = await at_once(server, beginning(recording), language=language)
        both = await at_once(
            server,
            beginning(recording),
            language=language,
            enable_translation=True,
            target_language="en",
        )

    said = " ".join(sentence.text for sentence in recording.sentences[:SENTENCES])
    assert normalised_words(both.text) == normalised_words(said)
    assert both.text == words.text
    (*_, last) = (each for each in both.messages if "translated_segments" in each)
    assert [each["text"] for each in last["translated_segments"]] == english(recording)  # type: ignore[attr-defined]


async def test_english_words_get_no_translation_to_english(backend: Backend) -> None:
    async with (
        serving(CONFIG, backend) as server,
        session(server, language=None, enable_translation=True, target_language="en") as peer,
    ):
        await peer.socket.send(load("en-1-slt").samples[: samples_of(8.0)].tobytes())
        await peer.socket.send(np.zeros(samples_of(1.0), np.float32).tobytes())
        await peer.finish()

    shown = json.dumps(peer.messages)
    assert '"language": "en"' in shown
    assert "translated_segments" not in shown
    assert [each["message"] for each in peer.statuses("WARNING")] == [
        "what is said in 'en' already is not translated"
    ]
