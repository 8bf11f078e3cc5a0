"""Records of sessions: captions, events and audio as files, written while they run."""

import os
from pathlib import Path

from whisper_streaming.captions import CaptionRules
from whisper_streaming.config import CaptionSettings, RecordSettings
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import RecordError
from whisper_streaming.records.recorder import Recorder
from whisper_streaming.records.session_record import RecordRules

__all__ = ["Recorder", "create_recorder"]


def create_recorder(
    settings: RecordSettings, captions: CaptionSettings, segments: SegmentRules
) -> Recorder | None:
    """A recorder by the settings; None if they name no folder. Creates the folder.

    Raises:
        RecordError: If nothing can be written there.
    """
    if settings.dir is None:
        return None
    folder = Path(settings.dir).absolute()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError as exc:
        raise RecordError(f"cannot record in {folder}: there is no folder {folder.parent}") from exc
    except OSError as exc:
        raise RecordError(f"cannot record in {folder}: {exc.strerror}") from exc
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise RecordError(f"cannot record in {folder}: this user may not write there")
    rules = RecordRules(folder, settings.audio, segments, CaptionRules(**captions.model_dump()))
    return Recorder(rules, keep_days=settings.keep_days)
