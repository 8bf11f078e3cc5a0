"""Old records are removed."""

import re
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{32}\.(?:srt|vtt|jsonl|flac)")
_DAY_S: Final = 24 * 3600.0


def remove_old_records(folder: Path, keep_days: float, now: float) -> int:
    """Remove the records that were last written more than ``keep_days`` days before ``now``.

    Other files stay, and so do links. Returns how many files were removed.

    Args:
        folder: Of the records.
        keep_days: How long to keep them.
        now: Seconds since 1970.

    Raises:
        OSError: If the folder cannot be read, or a file not be removed.
    """
    removed = 0
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            try:
                if path.stat().st_mtime < now - keep_days * _DAY_S:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:  # somebody else removed it
                continue
    return removed
