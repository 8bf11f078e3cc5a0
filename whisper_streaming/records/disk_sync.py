"""Makes sure now and then that what was written is on the disk, and outlives a power cut."""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

SYNC_S: Final = 5.0
"""What a power cut may cost. Linux alone would take half a minute."""

_WORK_PER_SYNC: Final = 9.0
"""A disk that takes long to sync has so many times as long to take new records."""


class DiskSync:
    """Files that were written to, until they were synced. For one thread.

    Args:
        folder: Where they are.
        clock: Seconds on a steady clock.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._written = set[Path]()
        self._due_at = 0.0
        self._earliest = 0.0  # for the sake of a slow disk

    @property
    def wait_s(self) -> float | None:
        """Seconds until :meth:`sync` is due, 0 if it is; None if nothing was written."""
        return max(0.0, self._due_at - self._clock()) if self._written else None

    def note(self, paths: Iterable[Path]) -> None:
        """These were written to."""
        if not self._written:
            self._due_at = max(self._clock() + SYNC_S, self._earliest)
        self._written.update(paths)

    def sync(self) -> None:
        """Sync all that was written. Files that were removed are no loss.

        Raises:
            OSError: If some of it could not be synced; what could be is.
        """
        begun = self._clock()
        paths, self._written = self._written, set()
        failure: OSError | None = None
        for path in sorted(paths):
            try:
                _sync_file(path)
            except OSError as error:
                failure = error
        _sync_names(self._folder)
        ended = self._clock()
        self._earliest = ended + _WORK_PER_SYNC * (ended - begun)
        if failure is not None:
            raise failure


def _sync_file(path: Path) -> None:
    with suppress(FileNotFoundError):
        # To be written to, which Windows wants for it.
        file = os.open(path, os.O_RDWR)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _sync_names(folder: Path) -> None:
    """Sync which files there are; not every system can."""
    with suppress(OSError):
        names = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(names)
        finally:
            os.close(names)
