"""SIGTERM and Ctrl-C for a server that stops in order."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class Signals:
    """SIGTERM and Ctrl-C as something to wait for."""

    def __init__(self) -> None:
        self._arrived = asyncio.Event()

    async def wait(self) -> None:
        """Wait for the next signal."""
        await self._arrived.wait()
        self._arrived.clear()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Catch the signals; only the main thread gets any."""
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            if threading.current_thread() is threading.main_thread():
                for number in (signal.SIGTERM, signal.SIGINT):
                    # Not loop.add_signal_handler, which does not exist on Windows.
                    previous = signal.signal(
                        number, lambda *_: loop.call_soon_threadsafe(self._arrived.set)
                    )
                    stack.callback(signal.signal, number, previous)
            yield
