"""Speaker labels of the embedded network in live sessions of the embedded model."""

from collections.abc import AsyncIterator

import pytest

from tests.model.listening import Listener
from tests.model.recordings import load
from tests.model.speakers import Talk, label_live, rightly_labelled, sentences_of
from tests.server.peers import session
from whisper_streaming.config import (
    BackendSettings,
    DiarizationSettings,
    LimitSettings,
    ServerConfig,
)
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.diarization.embedded import EmbeddedEmbedder
from whisper_streaming.diarization.embedder_thread import EmbedderThread
from whisper_streaming.diarization.stage import SpeakerStage
from whisper_streaming.diarization.voices import VoiceRules
from whisper_streaming.server import WhisperStreamingServer

pytestmark = [pytest.mark.model, pytest.mark.slow]

PATIENT = 60.0


@pytest.fixture(scope="module")
def embedder() -> EmbeddedEmbedder:
    return EmbeddedEmbedder()


@pytest.fixture
async def thread(embedder: EmbeddedEmbedder) -> AsyncIterator[EmbedderThread]:
    thread = EmbedderThread(embedder)
    yield thread
    thread.close()


def stage_of(thread: EmbedderThread) -> SpeakerStage:
    rules = VoiceRules(EmbeddedEmbedder.info.new_below, EmbeddedEmbedder.info.same_above)
    return SpeakerStage(thread, rules, hold_s=PATIENT)


async def test_one_voice_stays_one_speaker(listener: Listener, thread: EmbedderThread) -> None:
    heard = await label_live(listener, load("en-long-pauses").samples, stage_of(thread))

    assert len(heard.sent) > 40
    assert {word.speaker for word in heard.sent} == {"SPEAKER_00"}


async def test_a_dialogue_through_the_server() -> None:
    config = ServerConfig(
        host="127.0.0.1",
        port=0,
        backend=BackendSettings(models=("demo",), device="cpu", threads=2, workers=1),
        limits=LimitSettings(max_message_bytes=2**22, calibration_s=0),
        diarization=DiarizationSettings(enabled=True, hold_s=PATIENT),
    )
    server = WhisperStreamingServer(config)
    async with (
        server.serving(),
        session(server, word_timestamps=True, send_last_n_segments=100) as peer,
    ):
        # All at once: then every utterance is decoded once, whatever else the machine does.
        await peer.socket.send(load("en-dialogue-2spk").samples.tobytes())
        await peer.finish()

    talk = Talk(load("en-dialogue-2spk").samples, tuple(sentences_of("en-dialogue-2spk")))
    last = next(message for message in reversed(peer.messages) if "segments" in message)
    words = [
        Word(word["word"], float(word["start"]), float(word["end"]), speaker=segment["speaker"])
        for segment in last["segments"]  # type: ignore[attr-defined]
        for word in segment["words"]
    ]
    assert len(words) > 80
    assert {word.speaker for word in words} == {"SPEAKER_00", "SPEAKER_01"}
    assert rightly_labelled(talk, words) >= 0.9


async def test_two_people_in_a_dialogue(listener: Listener, thread: EmbedderThread) -> None:
    samples = load("en-dialogue-2spk").samples
    talk = Talk(samples, tuple(sentences_of("en-dialogue-2spk")))

    heard = await label_live(listener, samples, stage_of(thread))

    assert len(heard.sent) > 80
    assert {word.speaker for word in heard.final} == {"SPEAKER_00", "SPEAKER_01"}
    assert rightly_labelled(talk, heard.sent) >= 0.9
    assert rightly_labelled(talk, heard.final) >= 0.9
