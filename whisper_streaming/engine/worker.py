"""One thread that runs blocking calls one after the other for an event loop."""

import atexit
import contextlib
import queue
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable

Job = Callable[[], Callable[[], None]]
"""Runs in the thread and returns what the loop shall call then. Must not raise."""


class Worker:
    """A daemon thread: a call that hangs in it keeps neither the loop nor the process alive.

    ``ThreadPoolExecutor`` is no alternative, because the interpreter joins its threads at exit and
    would wait for a hung model for ever.
    """

    def __init__(self, name: str, loop: AbstractEventLoop) -> None:
        self.name = name
        self._loop = loop
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Run ``job`` in the thread after those submitted before, then its outcome in the loop."""
        self._jobs.put(job)

    def stop(self, *, exit_patience_s: float = 0.0) -> None:
        """End the thread once its jobs are done. Returns at once.

        Args:
            exit_patience_s: How long the interpreter waits for the thread before it exits. One that
                comes back from C++ code, such as torch's, when it is gone aborts the process.
        """
        self._jobs.put(None)
        if exit_patience_s:
            atexit.register(self._thread.join, exit_patience_s)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            deliver = job()
            # A hung call may come back when the loop is gone; nobody waits for it any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(deliver)
