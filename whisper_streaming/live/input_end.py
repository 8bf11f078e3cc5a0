"""How a session's input ended, and how long what was heard may take after that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum

from whisper_streaming.errors import WhisperStreamingError


class Ending(Enum):
    """Why a session took no more audio."""

    COMPLETE = "complete"  # the client said that its audio ends
    OVERTIME = "overtime"  # its time was over
    STOPPED = "stopped"  # the server stops
    FAILED = "failed"
    GONE = "gone"  # the client left without a word


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a session ended; ``error`` is set exactly when it failed."""

    ending: Ending
    error: WhisperStreamingError | None = None


class InputEnd:
    """The outcome as far as it is known, and the time limit that belongs to it.

    Attributes:
        outcome: None while input is taken.
    """

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self._give_up_at: float | None = None
        self._cut: Ending | None = None
        self._timeout: asyncio.Timeout | None = None

    def limit(self, ending: Ending, give_up_at: float) -> None:
        """Allow the rest no more time than until ``give_up_at``; the first call counts."""
        if self._give_up_at is None:
            self._give_up_at, self._cut = give_up_at, ending
            if self._timeout is not None:
                self._timeout.reschedule(give_up_at)

    @asynccontextmanager
    async def patience(self) -> AsyncIterator[None]:
        """A timeout that :meth:`limit` sets, before or while it runs."""
        async with asyncio.timeout_at(self._give_up_at) as self._timeout:
            try:
                yield
            finally:
                self._timeout = None

    def give_up(self) -> None:
        """The rest took too long, so an input that was complete is not any more."""
        if self._cut is not None and (self.outcome is None or self.outcome.error is None):
            self.outcome = Outcome(self._cut)
