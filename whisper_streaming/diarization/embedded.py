"""The speaker network that the package contains: small, needs no token, knows synthetic voices."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.diarization.embedder import EmbedderInfo
from whisper_streaming.diarization.features import speech_features
from whisper_streaming.errors import BackendError, ModelLoadError

MODEL_FILE: Final = Path(__file__).parent.parent / "models" / "speaker" / "speaker.onnx"

_ERROR_SEVERITY: Final = 3  # onnxruntime's numbers: 2 is a warning


class EmbeddedEmbedder:
    """See :class:`~whisper_streaming.diarization.embedder.Embedder`."""

    info = EmbedderInfo("embedded", new_below=0.47, same_above=0.8)

    def __init__(self, path: Path = MODEL_FILE) -> None:
        """Load the network.

        Raises:
            ModelLoadError: If the file is not there or is no such network.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERROR_SEVERITY
        # The work is small: more threads would only spin, beside those of the big model.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._network = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # onnxruntime's own errors have no common type but this
            raise ModelLoadError(f"the speaker network {path} cannot be loaded: {exc}") from exc

    def embed(self, stretches: Sequence[FloatArray]) -> FloatArray:
        """See :class:`~whisper_streaming.diarization.embedder.Embedder`."""
        bands = np.stack([speech_features(samples) for samples in stretches])
        try:
            (embeddings,) = self._network.run(["embeddings"], {"bands": bands})
        except Exception as exc:  # as above
            raise BackendError(f"the speaker network failed on {len(stretches)} stretches") from exc
        return np.asarray(embeddings, np.float32)
