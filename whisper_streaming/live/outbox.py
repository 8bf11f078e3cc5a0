"""What waits to be sent to one client, or for a stage on the way there."""

import asyncio
from collections.abc import Iterable

from whisper_streaming.core.events import Event, PartialUpdated
from whisper_streaming.errors import SlowConsumer


class Outbox:
    """Events in order; the newest partial replaces the older one, everything else is kept.

    Args:
        max_pending: How many events may be kept. A client that leaves more unread is too slow
            and loses its connection, because words are never dropped. None for no bound.
    """

    def __init__(self, max_pending: int | None) -> None:
        self._max_pending = max_pending
        self._kept: list[Event] = []
        self._has_partial = False
        self._is_closed = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._kept)

    def put(self, events: Iterable[Event]) -> None:
        """Add events.

        Raises:
            SlowConsumer: If more than ``max_pending`` wait.
        """
        for event in events:
            if isinstance(event, PartialUpdated):
                self._drop_partial()
                self._has_partial = True
            self._kept.append(event)
        if self._max_pending is not None and len(self._kept) > self._max_pending:
            raise SlowConsumer(f"{len(self._kept)} messages wait and none is being read")
        if self._kept:
            self._changed.set()

    def close(self) -> None:
        """Nothing will be added; what waits can still be taken."""
        self._is_closed = True
        self._changed.set()

    async def take(self) -> list[Event]:
        """Everything that waits, as soon as something does; empty once closed and drained.

        Cancelling is safe: the next call returns the same events.
        """
        while not self._kept and not self._is_closed:
            self._changed.clear()
            await self._changed.wait()
        taken, self._kept = self._kept, []
        self._has_partial = False
        return taken

    def _drop_partial(self) -> None:
        # A partial that words were committed after is stale too: its place is the end.
        if self._has_partial:
            self._kept = [event for event in self._kept if not isinstance(event, PartialUpdated)]
