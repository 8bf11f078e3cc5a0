"""How much memory each stream of a decoder process holds.

A few bytes can claim a lot: the libraries reserve what a header says before it comes. All streams
of a process share its memory, and the system does not say who holds what. So they take turns, and
what the process grows by in a turn belongs to the stream.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

PATIENCE_S: Final = 10.0
"""A turn takes a fraction of a second: 10 s of audio, as a rule 50 ms."""

_STATM: Final = "/proc/{}/statm"
_DATA_FIELD: Final = 5  # pages of data and stacks, see proc(5)


def used_memory(pid: int | None = None) -> int:
    """Bytes that ``RLIMIT_DATA`` counts, of this process or another; 0 if nobody can say."""
    try:
        file = os.open(_STATM.format(pid or "self"), os.O_RDONLY)
    except OSError:
        return 0
    try:
        return int(os.read(file, 200).split()[_DATA_FIELD]) * os.sysconf("SC_PAGE_SIZE")
    finally:
        os.close(file)


class Turns:
    """Lets the streams of a process run one at a time.

    Where one of them hangs, the others go on after a while: from then on they run side by side,
    and nobody's memory is counted.
    """

    def __init__(
        self, patience_s: float = PATIENCE_S, measure: Callable[[], int] = used_memory
    ) -> None:
        self.measure = measure
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._is_stuck = False

    def take(self) -> bool:
        """Wait for a turn; False if there are none any more."""
        if self._is_stuck:
            return False
        if self._lock.acquire(timeout=self._patience_s):
            return True
        self._is_stuck = True
        return False

    def give_back(self) -> None:
        """End the turn that :meth:`take` gave."""
        self._lock.release()

    @contextmanager
    def for_nobody(self) -> Iterator[None]:
        """A turn for what belongs to no stream, such as the stack of a new thread."""
        has_turn = self.take()
        try:
            yield
        finally:
            if has_turn:
                self.give_back()


class MemoryAccount:
    """What one stream holds. All calls come from its thread."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._held = 0
        self._before: int | None = None  # memory of the process at the start of the turn, if any

    @property
    def held(self) -> int:
        """Bytes, as far as they are known."""
        growth = 0 if self._before is None else self._turns.measure() - self._before
        return max(0, self._held + growth)  # what is freed in a turn may have been another's

    def begin_turn(self) -> None:
        """The stream wants to run."""
        if self._turns.take():
            self._before = self._turns.measure()

    def end_turn(self) -> None:
        """The stream waits, or is over. Idempotent."""
        if self._before is not None:
            self._held, self._before = self.held, None
            self._turns.give_back()
