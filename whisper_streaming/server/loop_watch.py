"""How late the event loop is: what a message would have waited that arrived at any time."""

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

INTERVAL_S: Final = 0.05
KEPT_SAMPLES: Final = 12_000
"""Ten minutes of them, 48 kB."""
RECENT_SAMPLES: Final = 200
"""Ten seconds of them."""


@dataclass(frozen=True, slots=True)
class LoopStats:
    """A snapshot over the newest ``KEPT_SAMPLES`` samples.

    Attributes:
        samples: How many there are.
        stall_p50_s: Median lateness of the event loop; its clock alone makes it up to 1 ms.
        stall_p99_s: 99th percentile of the same.
        stall_max_s: The worst.
        stall_recent_s: The worst of the newest ``RECENT_SAMPLES``.
    """

    samples: int = 0
    stall_p50_s: float = 0.0
    stall_p99_s: float = 0.0
    stall_max_s: float = 0.0
    stall_recent_s: float = 0.0


class LoopWatch:
    """Samples the lateness of the running event loop while it is open."""

    def __init__(self) -> None:
        self._stalls_s = array("f")
        self._next = 0  # where the next sample goes once all places are taken
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to sample. Call it in the event loop."""
        loop = asyncio.get_running_loop()
        self._wait(loop, loop.time() + INTERVAL_S)

    def close(self) -> None:
        """Stop sampling. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stats(self) -> LoopStats:
        """The distribution of the newest samples."""
        if not self._stalls_s:
            return LoopStats()
        # Values that occurred, and not from below: a bound that holds for 99 % of the samples.
        p50, p99, worst = np.percentile(self._stalls_s, (50, 99, 100), method="higher").tolist()
        recent = max(self._newest(RECENT_SAMPLES))
        return LoopStats(len(self._stalls_s), *(round(s, 5) for s in (p50, p99, worst, recent)))

    def _wait(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._timer = loop.call_at(due, self._sample, loop, due)

    def _sample(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        # One long stall is one wait for each moment in it, not a single late sample. No more of
        # them than are kept: a machine that slept for a night was not busy.
        for _ in range(KEPT_SAMPLES):
            if due > now:
                break
            self._keep(now - due)
            due += INTERVAL_S
        self._wait(loop, max(due, now))

    def _newest(self, count: int) -> Sequence[float]:
        """The newest ``count`` samples at the most."""
        end = self._next  # 0 as long as nothing was overwritten
        newest = self._stalls_s[max(0, end - count) : end]
        return newest + self._stalls_s[-(count - len(newest)) :] if len(newest) < count else newest

    def _keep(self, stall_s: float) -> None:
        if len(self._stalls_s) < KEPT_SAMPLES:
            self._stalls_s.append(stall_s)
        else:
            self._stalls_s[self._next] = stall_s
            self._next = (self._next + 1) % KEPT_SAMPLES
