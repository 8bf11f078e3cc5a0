"""WhisperLiveKit's library API: what a program imports in place of ``whisperlivekit``."""

from whisper_streaming.live_kit.engine import (
    DefaultModelMissing,
    OptionWithoutEffect,
    TranscriptionEngine,
)
from whisper_streaming.live_kit.ffmpeg import FFmpegManager, FFmpegState
from whisper_streaming.live_kit.processor import AudioProcessor
from whisper_streaming.wire.diff_tracker import DiffTracker
from whisper_streaming.wire.whisper_live_kit_messages import AsrQuery, FrontData, Line, parse_query
from whisper_streaming.wire.whisper_live_kit_messages import Line as Segment

__all__ = [
    "AsrQuery",
    "AudioProcessor",
    "DefaultModelMissing",
    "DiffTracker",
    "FFmpegManager",
    "FFmpegState",
    "FrontData",
    "Line",
    "OptionWithoutEffect",
    "Segment",
    "TranscriptionEngine",
    "parse_query",
]
