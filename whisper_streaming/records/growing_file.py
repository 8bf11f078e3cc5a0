"""A file that can be read at every moment of its life, also after the program was killed."""

import os
from contextlib import suppress
from pathlib import Path


class GrowingFile:
    """Grows at its end, where a last part may still be replaced. For one thread.

    What could not be written waits in memory and is tried again with the next :meth:`flush`. A
    write that the disk took in part is cut back to the last whole piece. A closed file takes
    everything and keeps nothing.

    Args:
        path: A new file. Nobody else may read it.
        piece_end: What ends a piece that makes sense alone; its last byte may begin the next
            piece. Empty where each part that is appended is one.

    Raises:
        OSError: If it cannot be created.
    """

    def __init__(self, path: Path, piece_end: bytes = b"") -> None:
        self.path = path
        self._piece_end = piece_end
        # Without O_BINARY Windows would write its own line ends; elsewhere it does not exist.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._file = os.open(path, flags, 0o600)
        self._is_closed = False
        self._begin = 0  # of what waits
        self._is_cut = False  # what is written beyond there no longer counts
        self._waiting = bytearray()
        self._ends: list[int] = []  # in it, of the parts that were appended

    @property
    def size(self) -> int:
        """Bytes of the file, those that wait included."""
        return self._begin + len(self._waiting)

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return len(self._waiting)

    def append(self, content: bytes) -> None:
        """``content`` follows."""
        if not self._is_closed:
            self._waiting += content
            self._ends.append(len(self._waiting))

    def replace(self, begin: int, content: bytes) -> None:
        """``content`` stands from ``begin`` on, and nothing after it."""
        if self._is_closed:
            return
        assert 0 <= begin <= self.size
        if begin < self._begin:
            self._begin = begin
            self._is_cut = True
            self._waiting.clear()
        kept = begin - self._begin
        del self._waiting[kept:]
        self._ends = [end for end in self._ends if end <= kept]
        self.append(content)

    def flush(self) -> None:
        """Write what waits.

        Raises:
            FileNotFoundError: If the file was removed: what is written would be lost.
            OSError: If it cannot be written now.
        """
        if not self._waiting and not self._is_cut:
            return
        found = os.fstat(self._file)
        if found.st_nlink == 0:
            raise FileNotFoundError(f"{self.path.name} was removed")
        if found.st_size > self.size:
            # A rest of what stood there must not follow what takes its place, not for a moment.
            os.ftruncate(self._file, self._begin)
        self._write()
        self._is_cut = False
        self._begin = self.size
        self._waiting.clear()
        self._ends.clear()

    def patch(self, begin: int, content: bytes) -> None:
        """Change bytes in the middle, if they were written.

        Raises:
            OSError: If they cannot be.
        """
        if not self._is_closed and begin + len(content) <= self._begin:
            os.lseek(self._file, begin, os.SEEK_SET)
            os.write(self._file, content)

    def close(self) -> None:
        """Forget what still waits. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._waiting.clear()
            os.close(self._file)

    def _write(self) -> None:
        written = 0
        try:
            os.lseek(self._file, self._begin, os.SEEK_SET)
            while written < len(self._waiting):
                rest = self._waiting[written:] if written else self._waiting
                written += os.write(self._file, rest)
        except OSError:
            self._is_cut = True  # what is there now may be replaced before it is whole
            with suppress(OSError):
                os.ftruncate(self._file, self._begin + self._whole(written))
            raise

    def _whole(self, written: int) -> int:
        """How much of so many bytes of what waits are whole pieces."""
        if self._piece_end:
            return self._waiting.rfind(self._piece_end, 0, written) + 1
        return max((end for end in self._ends if end <= written), default=0)
