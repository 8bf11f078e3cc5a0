"""Numbers of one session for its log line and the status page; no words."""

import math
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
        # (samples received by then, when)
        self._arrivals = deque[tuple[int, float]](maxlen=_KEPT_ARRIVALS)
        self._newest_arrival_began = -math.inf

    @property
    def audio_s(self) -> float:
        """Seconds of audio received."""
        return seconds(self.received_samples)

    def receive(self, samples: int, now: float) -> None:
        """``samples`` more samples arrived at ``now``."""
        self.received_samples += samples
        # A flood of tiny messages must not leave an entry for each of them.
        if now - self._newest_arrival_began < _ARRIVAL_STEP_S and self._arrivals:
            self._arrivals.pop()
        else:
            self._newest_arrival_began = now
        self._arrivals.append((self.received_samples, now))

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
        # Words are committed in order, so arrivals before this word are not asked for again.
        while len(self._arrivals) > 1 and self._arrivals[0][0] < end_sample:
            self._arrivals.popleft()
        if self._arrivals:
            self._commit_latencies.append(now - self._arrivals[0][1])


def _seconds_text(values: Sequence[float], percent: float) -> str:
    return f"{percentile(values, percent):.1f}s" if values else "none"
