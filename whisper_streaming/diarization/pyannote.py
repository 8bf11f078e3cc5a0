"""A speaker embedding of pyannote.audio, from a folder that the operator has."""

import pickle
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.diarization.embedder import EmbedderInfo
from whisper_streaming.errors import BackendError, ModelLoadError

_CHECKPOINT: Final = "pytorch_model.bin"
_BAD_FILE: Final = (
    # What a file that is no checkpoint of a model raises, by how far it was read.
    pickle.UnpicklingError, EOFError, OSError, RuntimeError, KeyError, ValueError, TypeError,
    AttributeError, ImportError,
)  # fmt: skip
_SHORTEST_SAMPLES: Final = SAMPLE_RATE // 2
"""Its networks pool over time, and want more than a few frames for that."""


class PyannoteEmbedder:
    """See :class:`~whisper_streaming.diarization.embedder.Embedder`."""

    # Of WeSpeaker's ResNet34, which pyannote's pipelines hold, for stretches of a second or two.
    info = EmbedderInfo("pyannote", new_below=0.3, same_above=0.7)

    def __init__(self, folder: str, *, device: str = "cpu") -> None:
        """Load the network of ``folder``, or of its ``embedding`` if it is a pipeline's.

        Raises:
            ModelLoadError: If pyannote.audio is not installed, or the folder has no such network.
        """
        try:
            import torch

            with warnings.catch_warnings():
                # Without FFmpeg, as in our image, it says at length that it could read no files:
                # it gets samples.
                warnings.filterwarnings("ignore", message=r"\s*torchcodec is not installed")
                from pyannote.audio import Model
        except ImportError as exc:
            raise ModelLoadError(
                "a speaker embedding of pyannote needs the extra whisperx: "
                "in the clone, pip install '.[whisperx]' in an environment of its own"
            ) from exc
        checkpoint = _find_checkpoint(Path(folder))
        try:
            model = Model.from_pretrained(checkpoint)
            if model is None:
                raise ModelLoadError(f"{checkpoint} is no model of pyannote")
            self._model = model.eval().to(torch.device(device))
        except _BAD_FILE as exc:
            raise ModelLoadError(
                f"the speaker embedding {checkpoint} cannot be loaded: {exc}"
            ) from exc
        self._torch = torch

    def embed(self, stretches: Sequence[FloatArray]) -> FloatArray:
        """See :class:`~whisper_streaming.diarization.embedder.Embedder`."""
        longest = max(_SHORTEST_SAMPLES, *(len(samples) for samples in stretches))
        batch = np.stack([np.resize(samples, longest) for samples in stretches])  # repeats
        try:
            with self._torch.inference_mode():
                waveforms = self._torch.from_numpy(batch[:, None]).to(self._model.device)
                rows = self._model(waveforms).cpu().numpy()
        except RuntimeError as exc:
            raise BackendError(f"pyannote failed on {len(stretches)} stretches") from exc
        norms = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return np.asarray(rows / norms, np.float32)


def _find_checkpoint(path: Path) -> Path:
    if path.is_file():
        return path
    for folder in (path / "embedding", path):
        if (folder / _CHECKPOINT).is_file():
            return folder / _CHECKPOINT
    raise ModelLoadError(
        f"{path} is no folder with a speaker embedding: there is no {_CHECKPOINT} in it, "
        "nor in a folder 'embedding' in it"
    )
