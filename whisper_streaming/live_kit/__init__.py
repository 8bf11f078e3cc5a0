"""WhisperLiveKit's library API: what a program imports in place of ``whisperlivekit``."""

from whisper_streaming.wire.diff_tracker import DiffTracker
from whisper_streaming.wire.whisper_live_kit_messages import FrontData
from whisper_streaming.wire.whisper_live_kit_messages import Line as Segment

__all__ = ["DiffTracker", "FrontData", "Segment"]
