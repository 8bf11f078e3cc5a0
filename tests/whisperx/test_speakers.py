"""Live speaker labels against pyannote's offline diarization, and embeddings of pyannote live."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.model.listening import Listener
from tests.model.recordings import load
from tests.model.speakers import label_live, sentences_of
from whisper_streaming.backends import create_backend
from whisper_streaming.config import BackendSettings, DiarizationSettings
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.diarization import load_diarization
from whisper_streaming.diarization.embedded import EmbeddedEmbedder
from whisper_streaming.diarization.embedder_thread import EmbedderThread
from whisper_streaming.diarization.stage import SpeakerStage
from whisper_streaming.diarization.voices import VoiceRules
from whisper_streaming.errors import ModelLoadError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.requires_whisperx,
    # What torch, Lightning and pyannote say of one another when they are imported.
    pytest.mark.filterwarnings("ignore"),
]

DIALOGUE = "en-dialogue-2spk"
FORGIVEN_S = 0.5
"""Of the borders of speech, half before and half after, as is usual for this measure."""
PATIENT = 60.0


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    backend = create_backend(BackendSettings(models=("demo",), device="cpu", threads=2, workers=1))
    yield Listener(backend)
    backend.close()


@pytest.mark.model
async def test_live_labels_are_nearly_as_good_as_offline_diarization(listener: Listener) -> None:
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate

    from tests.whisperx.pyannote_pipeline import diarize_offline

    def annotated(words: Sequence[Word]) -> Annotation:
        spoken = Annotation()
        for number, word in enumerate(words):
            spoken[Segment(word.start, word.end), number] = word.speaker
        return spoken.support(collar=FORGIVEN_S)

    samples = load(DIALOGUE).samples
    truth = Annotation()
    for turn in sentences_of(DIALOGUE):
        truth[Segment(turn.start, turn.end)] = turn.speaker
    thread = EmbedderThread(EmbeddedEmbedder())
    rules = VoiceRules(EmbeddedEmbedder.info.new_below, EmbeddedEmbedder.info.same_above)
    heard = await label_live(listener, samples, SpeakerStage(thread, rules, hold_s=PATIENT))
    thread.close()

    error = DiarizationErrorRate(collar=FORGIVEN_S, skip_overlap=True)
    offline = error(truth, diarize_offline(samples))
    as_sent = error(truth, annotated(heard.sent), detailed=True)
    revised = error(truth, annotated(heard.final), detailed=True)

    assert offline <= 0.02
    assert revised["confusion"] / revised["total"] <= 0.01
    assert as_sent["confusion"] / as_sent["total"] <= 0.05
    assert revised["diarization error rate"] <= 0.08  # words end before their sound fades


def save_embedding(folder: Path) -> None:
    """A pipeline folder with a speaker embedding of pyannote that learnt nothing."""
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import WeSpeakerResNet34

    torch.manual_seed(1)
    model = WeSpeakerResNet34()
    checkpoint = {
        "pytorch-lightning_version": "2.0.0",
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pyannote.audio": {
            "versions": {"torch": "2.0.0", "pyannote.audio": "3.0.0"},
            "architecture": {"module": type(model).__module__, "class": type(model).__name__},
            "specifications": Specifications(
                problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0
            ),
        },
    }
    (folder / "embedding").mkdir()
    torch.save(checkpoint, folder / "embedding" / "pytorch_model.bin")


def test_an_embedding_of_pyannote_is_loaded_from_a_pipeline_folder(tmp_path: Path) -> None:
    from whisper_streaming.diarization.pyannote import PyannoteEmbedder

    save_embedding(tmp_path)

    embedder = PyannoteEmbedder(str(tmp_path))
    one, other = load(DIALOGUE).cut(0.6, 2.0), load(DIALOGUE).cut(3.2, 4.8)
    rows = embedder.embed([one, other, one[:1600]])

    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-4)
    np.testing.assert_allclose(rows[1:2], embedder.embed([other]), atol=1e-3)


def test_a_folder_without_an_embedding_is_an_error_in_words(tmp_path: Path) -> None:
    settings = DiarizationSettings(enabled=True, model=str(tmp_path))

    with pytest.raises(ModelLoadError, match="no folder with a speaker embedding"):
        load_diarization(settings)

    (tmp_path / "pytorch_model.bin").write_bytes(b"no checkpoint")
    with pytest.raises(ModelLoadError, match="cannot be loaded"):
        load_diarization(settings)


def test_nobody_is_told_that_ffmpeg_is_missing(tmp_path: Path) -> None:
    """The image has none, and pyannote gets samples."""
    program = (
        "import sys; sys.modules['torchcodec'] = None\n"
        "from whisper_streaming.diarization.pyannote import PyannoteEmbedder\n"
        "PyannoteEmbedder(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=120
    )

    assert "no folder with a speaker embedding" in done.stderr  # pyannote was loaded
    assert "torchcodec" not in done.stderr
