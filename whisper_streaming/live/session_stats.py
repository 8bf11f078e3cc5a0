"""Numbers of one session for its log line and the status page; no words."""

import math
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from whisper_streaming.core.audio import SAMPLE_RATE, seconds
from whisper_streaming.core.events import Event, WordsCommitted
from whisper_streaming.core.hypothesis import Hypothesis

_KEPT_VALUES: Final = 4096
"""Newest lags and latencies kept: bounds an endless session, and covers an hour of a usual one."""

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


class SessionStats:
    """Collects what one session costs and how late its words are."""

    def __init__(self) -> None:
        self.received_samples = 0
        self.decodes = 0
        self.failures = 0
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

    def observe(self, events: Iterable[Event], now: float) -> None:
        """Count the words among ``events`` and how long after their last sample they come."""
        for event in events:
            if isinstance(event, WordsCommitted):
                for word in event.words:
                    self._commit(round(word.end * SAMPLE_RATE), now)

    def summary(self, speech_s: float) -> str:
        """The end of a session in one line."""
        rtf = self.decode_s / self.audio_s if self.audio_s else 0.0
        return (
            f"audio={self.audio_s:.1f}s speech={speech_s:.1f}s rtf={rtf:.2f} "
            f"decodes={self.decodes} failures={self.failures} commits={self.commits} "
            f"lag_p95={_seconds_text(self._lags, 95)} "
            f"commit_latency_p50={_seconds_text(self._commit_latencies, 50)}"
        )

    def _commit(self, end_sample: int, now: float) -> None:
        self.commits += 1
        arrived = self._arrivals.time_of(end_sample)
        if arrived is not None:
            self._commit_latencies.append(now - arrived)


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
