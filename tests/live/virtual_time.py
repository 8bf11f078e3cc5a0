"""An event loop whose clock jumps: waiting for ten minutes takes no time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: what it should have waited for is added to the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("the test waits for something that nobody will do")
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """No real clock, so no threads and no sockets either."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def pass_time(self, duration_s: float) -> None:
        """Let time go by while the loop stands still."""
        self._jumping.now += duration_s


def run_virtual(main: Coroutine[None, None, T]) -> T:
    """Run ``main`` to its end in virtual time, in asyncio's debug mode."""
    with asyncio.Runner(debug=True, loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def in_virtual_time(scenario: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """A test that is a coroutine and runs as by :func:`run_virtual`."""

    @wraps(scenario)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(scenario(*args, **kwargs))

    return test
