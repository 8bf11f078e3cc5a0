"""Counts what a scheduler does, in bounded memory."""

from collections import deque
from dataclasses import dataclass
from typing import Final

RECENT_WAITS: Final = 512
"""Queue waits that the percentiles are taken over."""


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    """A snapshot.

    Attributes:
        batches: Calls of the backend that ended, failed ones included.
        requests: Windows in those calls; a window that was tried twice counts twice.
        largest_batch: Most windows in one call.
        retries: Windows that were tried again alone.
        failures: Windows given up with ``DecodeError``.
        timeouts: Windows given up with ``DecodeTimeout``.
        waiting: Requests in the queue now.
        running: Requests inside the backend now, cancelled ones included.
        lost_workers: Workers that hang in a decode now.
        decode_s: Seconds spent in the backend, all workers together.
        started: Requests that the backend was called with, without their retries.
        queue_wait_s: Seconds that those waited for the call, all together.
        queue_wait_p50_s: Median wait of the last requests from arrival to the backend's call.
        queue_wait_p95_s: 95th percentile of the same.
    """

    batches: int = 0
    requests: int = 0
    largest_batch: int = 0
    retries: int = 0
    failures: int = 0
    timeouts: int = 0
    waiting: int = 0
    running: int = 0
    lost_workers: int = 0
    decode_s: float = 0.0
    started: int = 0
    queue_wait_s: float = 0.0
    queue_wait_p50_s: float = 0.0
    queue_wait_p95_s: float = 0.0

    @property
    def mean_batch(self) -> float:
        """Windows per call of the backend; 0 before the first."""
        return self.requests / self.batches if self.batches else 0.0


class QueueWaits:
    """The waits of the last requests; of all of them number and sum.

    Attributes:
        count: How many there were.
        total_s: Their sum.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self._waits_s: deque[float] = deque(maxlen=RECENT_WAITS)

    def add(self, wait_s: float) -> None:
        self.count += 1
        self.total_s += wait_s
        self._waits_s.append(wait_s)

    def percentile(self, percent: float) -> float:
        """The smallest wait that ``percent`` percent of the waits do not exceed; 0 if none."""
        ordered = sorted(self._waits_s)
        if not ordered:
            return 0.0
        return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]
