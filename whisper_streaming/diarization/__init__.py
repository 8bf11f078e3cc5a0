"""Who speaks: labels for committed words while a session runs."""

from whisper_streaming.diarization.diarization import Diarization, load_diarization

__all__ = ["Diarization", "load_diarization"]
