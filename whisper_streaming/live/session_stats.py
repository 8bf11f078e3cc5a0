"""Numbers of one session for its log line and the status page; no words."""

import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from whisper_streaming.core.audio import SAMPLE_RATE, seconds
from whisper_streaming.core.events import Event, WordsCommitted
from whisper_streaming.core.hypothesis import Hypothesis

_KEPT_VALUES: Final = 4096
"""Newest lags and latencies kept: bounds an endless session, and covers an hour of a usual one."""

RECENT_S: Final = 60.0
"""Words of so long are in the latencies of all sessions."""

_ARRIVAL_STEP_S: Final = 0.02
_KEPT_ARRIVALS: Final = 65_536
"""Arrivals kept for words to come: 20 minutes, which is more than may wait to be decoded."""
_FORGOTTEN_AT_ONCE: Final = 1024


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; NaN of nothing."""
    if not values:
        return math.nan
    rank = math.ceil(percent / 100 * len(values))
    return sorted(values)[max(rank, 1) - 1]


@dataclass(frozen=True, slots=True)
class LatencyStats:
    """How late words became final, from the arrival of their last sample.

    Attributes:
        words: How many there were.
        p50_s: Median; None without words.
        p95_s: 95th percentile; None without words.
    """

    words: int
    p50_s: float | None
    p95_s: float | None


class RecentLatencies:
    """How late the final words of all sessions were in the last ``RECENT_S`` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # When a word became final, and how late that was. When full, the oldest is forgotten.
        self._latencies = deque[tuple[float, float]](maxlen=_KEPT_VALUES)

    def add(self, latency_s: float) -> None:
        """A word became final now."""
        self._latencies.append((self._clock(), latency_s))

    def stats(self) -> LatencyStats:
        """The distribution now."""
        begin = self._clock() - RECENT_S
        while self._latencies and self._latencies[0][0] < begin:
            self._latencies.popleft()
        latencies = sorted(latency for _, latency in self._latencies)
        if not latencies:
            return LatencyStats(0, None, None)
        p50_s, p95_s = (round(percentile(latencies, percent), 4) for percent in (50, 95))
        return LatencyStats(len(latencies), p50_s, p95_s)


class SessionStats:
    """Collects what one session costs and how late its words are.

    Args:
        shared: Gets the latency of each word, too.
    """

    def __init__(self, shared: RecentLatencies | None = None) -> None:
        self._shared = shared
        self.received_samples = 0
        self.decodes = 0
        self.failures = 0
        self.holes = 0
        self.missing_samples = 0
        self.decode_s = 0.0
        self.commits = 0
        self._lags = deque[float](maxlen=_KEPT_VALUES)
        self._commit_latencies = deque[float](maxlen=_KEPT_VALUES)
        self._arrivals = _Arrivals()

    @property
    def audio_s(self) -> float:
        """Seconds of audio received."""
        return seconds(self.received_samples)

    def receive(self, samples: int, now: float) -> None:
        """``samples`` more samples arrived at ``now``."""
        self.received_samples += samples
        self._arrivals.add(self.received_samples, now)

    def decode(self, hypothesis: Hypothesis, lag_s: float) -> None:
        """A decode ended while ``lag_s`` seconds of audio waited."""
        self.decodes += 1
        self.decode_s += hypothesis.decode_s
        self._lags.append(lag_s)

    def fail(self) -> None:
        """A decode failed for good."""
        self.failures += 1

    def miss(self, samples: int) -> None:
        """So many samples were missing in what the client sent; silence takes their place."""
        self.holes += 1
        self.missing_samples += samples

    def observe(self, events: Iterable[Event], now: float) -> None:
        """Count the words among ``events`` and how long after their last sample they come."""
        for event in events:
            if isinstance(event, WordsCommitted):
                for word in event.words:
                    self._commit(round(word.end * SAMPLE_RATE), now)

    def summary(self, speech_s: float) -> str:
        """The end of a session in one line."""
        rtf = self.decode_s / self.audio_s if self.audio_s else 0.0
        missing = f" missing={seconds(self.missing_samples):.1f}s" if self.holes else ""
        return (
            f"audio={self.audio_s:.1f}s{missing} speech={speech_s:.1f}s rtf={rtf:.2f} "
            f"decodes={self.decodes} failures={self.failures} commits={self.commits} "
            f"lag_p95={_seconds_text(self._lags, 95)} "
            f"commit_latency_p50={_seconds_text(self._commit_latencies, 50)}"
        )

    def _commit(self, end_sample: int, now: float) -> None:
        self.commits += 1
        arrived = self._arrivals.time_of(end_sample)
        if arrived is not None:
            self._commit_latencies.append(now - arrived)
            if self._shared is not None:
                self._shared.add(now - arrived)


class _Arrivals:
    """When the newest samples arrived: 16 bytes for each message.

    In silence nobody asks, so this is what an endless quiet session keeps: 1 MB at the most.
    """

    def __init__(self) -> None:
        # Samples received by then, and when.
        self._samples = array("q")
        self._times = array("d")
        self._first = 0  # those before it are forgotten
        self._newest_began = -math.inf

    def add(self, samples: int, now: float) -> None:
        # A flood of tiny messages must not leave an entry for each of them.
        if now - self._newest_began < _ARRIVAL_STEP_S and len(self._times) > self._first:
            self._samples[-1], self._times[-1] = samples, now
            return
        self._newest_began = now
        self._samples.append(samples)
        self._times.append(now)
        self._first = max(self._first, len(self._times) - _KEPT_ARRIVALS)
        if self._first >= _FORGOTTEN_AT_ONCE:
            del self._samples[: self._first], self._times[: self._first]
            self._first = 0

    def time_of(self, sample: int) -> float | None:
        """When ``sample`` arrived, or the newest one did; None before the first.

        Words are committed in order, so what came before it will not be asked for again.
        """
        last = len(self._times) - 1
        while self._first < last and self._samples[self._first] < sample:
            self._first += 1
        return self._times[self._first] if last >= 0 else None


def _seconds_text(values: Sequence[float], percent: float) -> str:
    return f"{percentile(values, percent):.1f}s" if values else "none"
