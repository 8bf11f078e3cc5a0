"""Records of sessions: captions, events and audio as files, written while they run."""

from pathlib import Path
from tempfile import NamedTemporaryFile

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
    _prepare(folder)
    rules = RecordRules(folder, settings.audio, segments, CaptionRules(**captions.model_dump()))
    return Recorder(rules, keep_days=settings.keep_days)


def _prepare(folder: Path) -> None:
    """Create ``folder`` if need be, and try to write there."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError as exc:
        raise RecordError(f"cannot record in {folder}: there is no folder {folder.parent}") from exc
    except FileExistsError as exc:  # also a link that leads nowhere
        raise RecordError(f"cannot record in {folder}: this is no folder") from exc
    except OSError as exc:
        raise RecordError(f"cannot record in {folder}: {exc.strerror}") from exc
    try:
        # What rights and mounts allow is only known for sure by doing it.
        with NamedTemporaryFile(dir=folder):
            pass
    except OSError as exc:
        raise RecordError(f"cannot record in {folder}: no file there ({exc.strerror})") from exc
