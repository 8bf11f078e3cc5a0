"""pyannote's offline diarization of a whole recording, from parts that need no token.

Its segmentation network is the checkpoint in the wheel of whisperx; the embedding is ours.
"""

from pathlib import Path

import numpy as np
import torch
import whisperx
from pyannote.audio import Model
from pyannote.audio.core.plda import PLDA
from pyannote.audio.models.embedding import WeSpeakerResNet34
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.core import Annotation

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.diarization.embedded import EmbeddedEmbedder

SEGMENTATION = Path(whisperx.__file__).parent / "assets" / "pytorch_model.bin"
_LONGEST = 26_000  # samples that our network looks at


class EmbeddedSpeakers:
    """Our embedding, with the face that pyannote's pipeline expects of one."""

    dimension = 96
    metric = "cosine"
    sample_rate = SAMPLE_RATE
    min_num_samples = SAMPLE_RATE // 2

    def __init__(self) -> None:
        self._embedder = EmbeddedEmbedder()

    def to(self, device: torch.device) -> "EmbeddedSpeakers":
        return self

    def __call__(self, waveforms: torch.Tensor, masks: torch.Tensor | None = None) -> FloatArray:
        """(batch, 1, samples), and which frames are of the speaker, to (batch, dimension)."""
        assert masks is not None
        rows = []
        for samples, mask in zip(waveforms[:, 0].numpy(), masks.numpy(), strict=True):
            places = np.linspace(0, len(mask), len(samples), endpoint=False).astype(int)
            speech = samples[mask[places] > 0.5]
            if len(speech) < self.min_num_samples:
                rows.append(np.full((1, self.dimension), np.nan, np.float32))
                continue
            pieces = [speech[n : n + _LONGEST] for n in range(0, len(speech), _LONGEST)]
            whole = [piece for piece in pieces if len(piece) >= self.min_num_samples]
            rows.append(self._embedder.embed(whole).mean(axis=0, keepdims=True))
        return np.concatenate(rows)


class NoPlda(PLDA):
    """Only another clustering than ours would use it, and its numbers are behind a login."""

    def __init__(self) -> None:
        pass


def diarize_offline(samples: FloatArray) -> Annotation:
    """Who speaks when in a whole recording."""
    pipeline = SpeakerDiarization(
        segmentation=Model.from_pretrained(SEGMENTATION),
        embedding=WeSpeakerResNet34(),  # in place of which comes ours
        plda=NoPlda(),
        clustering="AgglomerativeClustering",
        embedding_batch_size=8,
    )
    pipeline._embedding = EmbeddedSpeakers()
    pipeline.instantiate(
        {
            "segmentation": {"threshold": 0.5, "min_duration_off": 0.3},
            "clustering": {"method": "centroid", "min_cluster_size": 4, "threshold": 0.6},
        }
    )
    audio = {"waveform": torch.from_numpy(samples.copy())[None], "sample_rate": SAMPLE_RATE}
    found = pipeline(audio)
    return found if isinstance(found, Annotation) else found.speaker_diarization
