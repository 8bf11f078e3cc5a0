"""The audio of a session on disk, for as long as the session lasts."""

import contextlib
import os
import tempfile
import threading
from typing import IO, Final

import numpy as np

from whisper_streaming.core.audio import FloatArray

_SCALE: Final = 32767.0
_BYTES: Final = 2  # of a sample


class Recording:
    """16-bit samples in a file without a name: it is gone with the program, however that ends.

    :meth:`append` is for the event loop; the rest blocks, in any thread. There is no file before
    something is to be written, so that a short session, or a full disk, costs nothing.

    Args:
        max_samples: More is not kept, and the recording is not whole then.

    Attributes:
        samples: How many were given.
        waiting: How many of them are in memory.
    """

    def __init__(self, max_samples: int) -> None:
        self._max_samples = max_samples
        self._lock = threading.Lock()  # of the file; held as long as the disk takes
        self._file: IO[bytes] | None = None
        self._written = 0
        self._fault: OSError | None = None  # a recording with a hole is none
        self._is_closed = False
        self._waiting_lock = threading.Lock()  # never held for long
        self._waiting: list[FloatArray] = []
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
            with self._waiting_lock:
                self._waiting.append(samples)
                self.waiting += len(samples)

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: If it, or something before it, cannot be written.
            ValueError: If the recording is closed.
        """
        # Taken within the lock of the file: two threads must not change the order.
        with self._lock:
            if self._fault is not None:
                raise self._fault
            with self._waiting_lock:
                waiting, self._waiting, self.waiting = self._waiting, [], 0
            try:
                file = self._open_file()
                for samples in waiting:
                    whole = np.rint(np.clip(samples, -1.0, 1.0) * _SCALE).astype("<i2")
                    file.write(whole.tobytes())
                    self._written += len(whole)
                file.flush()
            except OSError as error:
                self._fault = error
                raise

    def read(self, start: int, end: int) -> FloatArray:
        """Samples ``start`` to ``end`` of what was written, as float32; fewer at the end.

        Raises:
            OSError: If they cannot be read.
            ValueError: If the recording is closed.
        """
        with self._lock:
            file = self._open_file()
            end = min(end, self._written)
            file.seek(start * _BYTES)
            content = file.read(max(0, end - start) * _BYTES)
            file.seek(0, os.SEEK_END)
        return np.frombuffer(content, "<i2").astype(np.float32) / np.float32(_SCALE)

    def close(self) -> None:
        """Forget everything. Idempotent."""
        with self._waiting_lock:
            self._waiting, self.waiting = [], 0
        with self._lock, contextlib.suppress(OSError):  # of what was not written: nobody wants it
            self._is_closed = True
            if self._file is not None:
                self._file.close()

    def _open_file(self) -> IO[bytes]:
        if self._is_closed:
            raise ValueError("the recording is closed")
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="whisper-streaming-")  # noqa: SIM115 - close()
        return self._file
