"""The whisperx backend: the shared decoder, and word times by forced alignment.

What is decoded is the same as with ``faster_whisper``, by the same code and one copy of the model:
whisperx's own pipeline has no partial results and hears no better (see docs/adr). What whisperx
adds stands behind it: :mod:`whisper_streaming.alignment`, and diarization with pyannote.
"""

import importlib.util
from collections.abc import Hashable, Sequence
from dataclasses import replace

from whisper_streaming.backends.base import Backend, BackendInfo
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.errors import ModelLoadError


def require_whisperx() -> None:
    """Check that the package is there. It is not loaded: that takes several seconds.

    Raises:
        ModelLoadError: If it is missing.
    """
    if importlib.util.find_spec("whisperx") is None:
        raise ModelLoadError(
            "the backend whisperx needs the package whisperx, which is not installed; it wants an "
            "environment of its own: make whisperx, or pip install '.[whisperx]' there "
            "(docs/whisperx.md)"
        )


class WhisperXBackend:
    """Decodes with ``decoder``, whose words are then aligned."""

    def __init__(self, decoder: Backend) -> None:
        self._decoder = decoder
        self._info = replace(decoder.info, engine="whisperx")

    @property
    def info(self) -> BackendInfo:
        return self._info

    def warm_up(self) -> None:
        self._decoder.warm_up()

    def batch_key(self, request: DecodeRequest) -> Hashable:
        return self._decoder.batch_key(request)

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        return self._decoder.decode_batch(requests)

    def close(self) -> None:
        self._decoder.close()
