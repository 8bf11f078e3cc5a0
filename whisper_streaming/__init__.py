"""Live transcription of many audio streams over WebSockets, or inside a program."""

from typing import TYPE_CHECKING

from whisper_streaming.version import __version__

if TYPE_CHECKING:
    from whisper_streaming.live_kit import (
        AudioProcessor,
        DiffTracker,
        FFmpegManager,
        FrontData,
        Segment,
        TranscriptionEngine,
    )

__all__ = [
    "AudioProcessor",
    "DiffTracker",
    "FFmpegManager",
    "FrontData",
    "Segment",
    "TranscriptionEngine",
    "__version__",
]


def __getattr__(name: str) -> object:
    """The library's names are loaded with their first use: a client needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from whisper_streaming import live_kit

    return getattr(live_kit, name)
