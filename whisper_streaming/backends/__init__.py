"""Backends: what turns windows of audio into words."""

from whisper_streaming.backends.base import Backend
from whisper_streaming.config import BackendSettings


def create_backend(settings: BackendSettings) -> Backend:
    """Load the backend that ``settings`` ask for. The only place that imports a concrete one.

    Blocking: it may fetch a model and takes seconds to load one.

    Raises:
        ModelLoadError: If a model cannot be had or loaded; the message says what to do.
    """
    match settings.kind:
        case "faster_whisper":
            from whisper_streaming.backends.faster_whisper import FasterWhisperBackend
            from whisper_streaming.backends.model_store import resolve_models

            return FasterWhisperBackend(settings, resolve_models(settings.models))
        case "whisperx":
            from whisper_streaming.backends.whisperx import WhisperXBackend, require_whisperx

            require_whisperx()
            return WhisperXBackend(
                create_backend(settings.model_copy(update={"kind": "faster_whisper"}))
            )
        case "scripted":
            from whisper_streaming.backends.scripted import ScriptedBackend

            return ScriptedBackend(
                workers=settings.workers or 1, models=settings.models or ("scripted",)
            )
