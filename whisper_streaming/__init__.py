"""Live transcription of many audio streams over WebSockets."""

from whisper_streaming.version import __version__

__all__ = ["__version__"]
