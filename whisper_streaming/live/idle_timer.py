"""Notices that nothing is received."""

import asyncio
from collections.abc import Callable


class IdleTimer:
    """Calls ``flush`` once nothing was received for ``idle_s``.

    One timer for many messages: a timeout of its own for each costs as much as the message.
    """

    def __init__(self, idle_s: float, flush: Callable[[], None]) -> None:
        self._idle_s = idle_s
        self._flush = flush
        self._due: float | None = None  # None while nothing is waited for
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The wait for a message begins."""
        loop = asyncio.get_running_loop()
        self._due = loop.time() + self._idle_s
        if self._timer is None:
            self._timer = loop.call_at(self._due, self._look, loop)

    def end(self) -> None:
        """The wait is over."""
        self._due = None

    def close(self) -> None:
        """Never flush again."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > loop.time():
            self._timer = loop.call_at(self._due, self._look, loop)
        else:
            self._due = None
            self._flush()
