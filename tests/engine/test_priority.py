"""Threads of libraries get a lower priority; a thread that Python does not list stands for one."""

import _thread
import os
import sys
import threading
from collections.abc import Callable

import pytest

from whisper_streaming.engine.priority import (
    NICENESS,
    lower_priority_of_new_threads,
    native_threads,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority")


class Sleeper:
    """A thread that does nothing until it is let go, unknown to ``threading``."""

    def __init__(self) -> None:
        self.number = 0
        self._gate = threading.Lock()
        self._gate.acquire()
        begun = threading.Semaphore(0)
        _thread.start_new_thread(self._sleep, (begun.release,))
        begun.acquire()

    def __enter__(self) -> "Sleeper":
        return self

    def __exit__(self, *error: object) -> None:
        self._gate.release()

    @property
    def niceness(self) -> int:
        return os.getpriority(os.PRIO_PROCESS, self.number)

    def _sleep(self, begin: Callable[[], None]) -> None:
        self.number = threading.get_native_id()
        begin()
        with self._gate:
            pass


def test_only_threads_that_libraries_started_since_then_are_lowered() -> None:
    usual = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    gate = threading.Event()
    python = threading.Thread(target=gate.wait)
    with Sleeper() as earlier:
        before = native_threads()
        with Sleeper() as later:
            python.start()
            try:
                assert {earlier.number, later.number, python.native_id} <= native_threads()

                assert lower_priority_of_new_threads(before) == 1

                assert later.niceness == usual + NICENESS
                assert earlier.niceness == usual
                assert python.native_id is not None
                assert os.getpriority(os.PRIO_PROCESS, python.native_id) == usual
            finally:
                gate.set()
                python.join()
