"""The audio of a session on disk, for as long as the session lasts."""

import contextlib
import os
import tempfile
import threading
from typing import Final

import numpy as np

from whisper_streaming.core.audio import FloatArray

_SCALE: Final = 32767.0
_BYTES: Final = 2  # of a sample


class Recording:
    """16-bit samples in a file without a name: it is gone with the program, however that ends.

    :meth:`append` is for the event loop; the rest blocks, in any thread.

    Args:
        max_samples: More is not kept, and the recording is not whole then.

    Attributes:
        samples: How many were given.
        waiting: How many of them are in memory.

    Raises:
        OSError: If there is no place for temporary files.
    """

    def __init__(self, max_samples: int) -> None:
        self._max_samples = max_samples
        self._file = tempfile.TemporaryFile(prefix="whisper-streaming-")  # noqa: SIM115 - close()
        self._lock = threading.Lock()  # of the file
        self._waiting: list[FloatArray] = []
        self._written = 0
        self.samples = 0
        self.waiting = 0

    @property
    def is_whole(self) -> bool:
        """Whether everything is kept."""
        return self.samples <= self._max_samples

    def append(self, samples: FloatArray) -> None:
        """Take the next samples, to be written later: float32, shape (n,), in [-1, 1]."""
        self.samples += len(samples)
        if self.is_whole:
            self._waiting.append(samples)
            self.waiting += len(samples)

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: If it cannot be written.
            ValueError: If the recording is closed.
        """
        waiting, self._waiting = self._waiting, []
        with self._lock:
            for samples in waiting:
                self.waiting -= len(samples)
                whole = np.rint(np.clip(samples, -1.0, 1.0) * _SCALE).astype("<i2")
                self._file.write(whole.tobytes())
                self._written += len(whole)
            self._file.flush()

    def read(self, start: int, end: int) -> FloatArray:
        """Samples ``start`` to ``end`` of what was written, as float32; fewer at the end.

        Raises:
            OSError: If they cannot be read.
            ValueError: If the recording is closed.
        """
        with self._lock:
            end = min(end, self._written)
            self._file.seek(start * _BYTES)
            content = self._file.read(max(0, end - start) * _BYTES)
            self._file.seek(0, os.SEEK_END)
        return np.frombuffer(content, "<i2").astype(np.float32) / np.float32(_SCALE)

    def close(self) -> None:
        """Forget everything. Idempotent."""
        self._waiting = []
        with self._lock, contextlib.suppress(OSError):  # of what was not written: nobody wants it
            self._file.close()
