"""What sessions get of the settings."""

import logging
from pathlib import Path

import pytest

from tests.diarization.fakes import ScriptedEmbedder, voice
from tests.diarization.test_stage import labels, run, said
from tests.live.memory_socket import DirectDecoder
from whisper_streaming.backends.scripted import ScriptedBackend
from whisper_streaming.config import DiarizationSettings, ServerConfig
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.diarization import Diarization, load_diarization
from whisper_streaming.errors import ModelLoadError
from whisper_streaming.live.session_log import SessionLogger
from whisper_streaming.live.session_setup import set_up_session
from whisper_streaming.live.stages import StageContext
from whisper_streaming.wire.base import Configure

WORDS = [Word(f" {name}", n + 0.05, n + 0.95) for n, name in enumerate(("yes", "no", "so"))]
"""One of each voice."""


async def heard_speakers(
    settings: DiarizationSettings, wishes: Configure, *, is_live: bool
) -> set[str | None]:
    """Who speaks in a session with three voices."""
    diarization = Diarization(ScriptedEmbedder(), settings)
    create = diarization.create_stage if is_live else diarization.create_patient_stage
    stage = create(
        StageContext(
            wishes,
            set_up_session(wishes, ServerConfig(), ScriptedBackend().info),
            DirectDecoder(ScriptedBackend()),
            SessionLogger(logging.getLogger("whisper_streaming.session"), "1"),
        )
    )
    for number in range(3):
        stage.receive_audio(voice(number))
    events = await run(stage, *(said(n, word) for n, word in enumerate(WORDS)))
    diarization.close()
    return {speaker for batch in events for _, speaker in labels(batch)}


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "second look"])
@pytest.mark.parametrize(
    ("most", "wish", "speakers"),
    [
        pytest.param(8, None, 3, id="as many as there are"),
        pytest.param(2, None, 2, id="the settings allow two"),
        pytest.param(8, 2, 2, id="the client knows of two"),
        pytest.param(2, 8, 2, id="a client cannot allow more"),
    ],
)
async def test_the_settings_and_the_client_limit_how_many_there_are(
    most: int, wish: int | None, speakers: int, is_live: bool
) -> None:
    settings = DiarizationSettings(enabled=True, max_speakers=most, hold_s=60.0)

    heard = await heard_speakers(settings, Configure("u", max_speakers=wish), is_live=is_live)

    assert heard == {f"SPEAKER_{number:02d}" for number in range(speakers)}


def test_nothing_is_loaded_where_nobody_asked() -> None:
    assert load_diarization(DiarizationSettings(model="no/such/folder")) is None


def test_an_embedding_of_pyannote_needs_its_library(tmp_path: Path) -> None:
    settings = DiarizationSettings(enabled=True, model=str(tmp_path))

    with pytest.raises(ModelLoadError, match=r"needs the extra whisperx|no folder with a speaker"):
        load_diarization(settings)
