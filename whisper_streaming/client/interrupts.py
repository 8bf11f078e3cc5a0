"""Ctrl-C that never cuts a message in two."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class InterruptShield:
    """Holds Ctrl-C back while a message is being sent.

    A KeyboardInterrupt between the two halves of a WebSocket frame would break the connection,
    and with it the last words. A second Ctrl-C is never held back.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._is_pending = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take the place of Python's own Ctrl-C handler.

        Does nothing outside of the main thread, or where the program has a handler of its own.
        """
        if not (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            yield
            return
        signal.signal(signal.SIGINT, self._receive_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let Ctrl-C wait until the outermost block is done."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._is_pending and self._depth == 0:
            self._is_pending = False
            raise KeyboardInterrupt

    def _receive_signal(self, signal_number: int, frame: FrameType | None) -> None:
        if self._depth == 0 or self._is_pending:
            signal.default_int_handler(signal_number, frame)
        self._is_pending = True
