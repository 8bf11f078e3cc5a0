"""Samples and the sample clock. Everything inside is float32, mono, 16 kHz, in [-1, 1]."""

from typing import Final

import numpy as np
import numpy.typing as npt

SAMPLE_RATE: Final = 16_000

_LARGEST_SPARE: Final = 8  # storage over content, before memory is given back

FloatArray = npt.NDArray[np.float32]


def seconds(samples: int) -> float:
    """Length of ``samples`` samples in seconds."""
    return samples / SAMPLE_RATE


def samples_of(duration_s: float) -> int:
    """Number of whole samples nearest to ``duration_s`` seconds."""
    return round(duration_s * SAMPLE_RATE)


class AudioBuffer:
    """The retained part of a stream, addressed by the stream's sample clock.

    Sample ``n`` of the stream keeps its number for ever; ``drop_before`` forgets the oldest.
    Appending is amortised O(1): the storage grows by doubling. Written samples are never
    overwritten, so that what was read stays as it was.
    """

    def __init__(self) -> None:
        self._storage: FloatArray = np.zeros(SAMPLE_RATE, dtype=np.float32)
        self._offset = 0  # index in the storage of the first retained sample
        self._start_sample = 0
        self._length = 0

    @property
    def start_sample(self) -> int:
        """Clock position of the first retained sample."""
        return self._start_sample

    @property
    def end_sample(self) -> int:
        """Clock position after the last received sample."""
        return self._start_sample + self._length

    def append(self, samples: FloatArray) -> None:
        """Add ``samples``: float32, shape (n,), mono, 16 kHz, in [-1, 1]."""
        count = len(samples)
        if self._offset + self._length + count > len(self._storage):
            self._make_room(count)
        begin = self._offset + self._length
        self._storage[begin : begin + count] = samples
        self._length += count

    def read(self, start_sample: int, end_sample: int) -> FloatArray:
        """The samples in [``start_sample``, ``end_sample``), read-only and not copied.

        Raises:
            IndexError: If a part of the range is not retained.
        """
        if not self._start_sample <= start_sample <= end_sample <= self.end_sample:
            raise IndexError(
                f"[{start_sample}, {end_sample}) is outside the retained "
                f"[{self._start_sample}, {self.end_sample})"
            )
        begin = self._offset + start_sample - self._start_sample
        samples = self._storage[begin : begin + end_sample - start_sample]
        samples.flags.writeable = False
        return samples

    def drop_before(self, sample: int) -> None:
        """Forget what lies before clock position ``sample``."""
        count = min(sample, self.end_sample) - self._start_sample
        if count > 0:
            self._offset += count
            self._start_sample += count
            self._length -= count
            if len(self._storage) > _LARGEST_SPARE * max(self._length, SAMPLE_RATE):
                self._make_room(0)  # an endless session must not keep its largest backlog

    def _make_room(self, count: int) -> None:
        needed = self._length + count
        size = max(SAMPLE_RATE, 2 * needed)
        storage = np.empty(size, dtype=np.float32)
        storage[: self._length] = self._storage[self._offset : self._offset + self._length]
        self._storage, self._offset = storage, 0
