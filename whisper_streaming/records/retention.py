"""Old records are removed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# A translation has its language before the ending.
_NAME: Final = re.compile(
    r"\d{8}T\d{6}Z-[0-9a-f]{32}(?:\.[A-Za-z_]{2,11})?\.(?:srt|vtt|jsonl|flac)"
)
_DAY_S: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of old records.

    Attributes:
        removed: Files that were removed.
        failure: Why some could not be, the first of them by name; None if all could.
    """

    removed: int
    failure: str | None


def remove_old_records(folder: Path, keep_days: float, now: float) -> Removal:
    """Remove the records that were last written more than ``keep_days`` days before ``now``.

    Other files stay, and so do links. One that cannot be removed does not keep the others.

    Args:
        folder: Of the records.
        keep_days: How long to keep them.
        now: Seconds since 1970.
    """
    removed, failure = 0, None
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        return Removal(0, f"{folder}: {error.strerror}")
    for path in paths:
        if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            try:
                if path.stat().st_mtime < now - keep_days * _DAY_S:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:  # somebody else removed it
                continue
            except OSError as error:
                failure = failure or f"{path.name}: {error.strerror}"
    return Removal(removed, failure)
