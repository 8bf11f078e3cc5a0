"""Files that a measurement writes when it is over: checked before, because it may take an hour."""

import os
from pathlib import Path

from whisper_streaming.errors import ConfigurationError


def check_output_file(path: Path, purpose: str) -> None:
    """Refuse a path that cannot be written.

    Args:
        path: Of the file.
        purpose: What it is, for the error, such as ``"plot"``.

    Raises:
        ConfigurationError: If its folder is missing, it is a folder itself, or writing is not
            allowed.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {path.parent} for the {purpose}")
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder: the {purpose} needs the name of a file")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ConfigurationError(f"{path} may not be written")
