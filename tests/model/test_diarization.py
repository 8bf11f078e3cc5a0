"""Speaker labels of the embedded network in live sessions of the embedded model."""

from collections.abc import AsyncIterator

import pytest

from tests.model.listening import Listener
from tests.model.recordings import load
from tests.model.speakers import Talk, label_live, rightly_labelled, sentences_of
from whisper_streaming.diarization.embedded import EmbeddedEmbedder
from whisper_streaming.diarization.embedder_thread import EmbedderThread
from whisper_streaming.diarization.stage import SpeakerStage
from whisper_streaming.diarization.voices import VoiceRules

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
    rules = VoiceRules(thread.info.new_below, thread.info.same_above)
    return SpeakerStage(thread, rules, hold_s=PATIENT)


async def test_two_people_in_a_dialogue(listener: Listener, thread: EmbedderThread) -> None:
    samples = load("en-dialogue-2spk").samples
    talk = Talk(samples, tuple(sentences_of("en-dialogue-2spk")))

    heard = await label_live(listener, samples, stage_of(thread))

    assert len(heard.sent) > 80
    assert {word.speaker for word in heard.final} == {"SPEAKER_00", "SPEAKER_01"}
    assert rightly_labelled(talk, heard.sent) >= 0.9
    assert rightly_labelled(talk, heard.final) >= 0.9
