"""Where modules of the operator's are found: a text hook, a translator."""

import sys
from pathlib import Path


def look_in_this_folder() -> None:
    """Let modules be imported from the working directory, too; installed ones go first.

    Python looks there only where it is run with ``-m`` or without a script.
    """
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
