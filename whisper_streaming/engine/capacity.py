"""How many live sessions this machine carries: estimated at the start, corrected while it runs."""

from collections.abc import Callable
from typing import Final

from whisper_streaming.engine.calibration import Calibration
from whisper_streaming.engine.live_load import UPDATE_INTERVAL_S
from whisper_streaming.engine.scheduler_stats import SchedulerStats

SESSION_CPU_S: Final = 0.0042
"""Processor time that a session costs per second of audio outside the decoder. Measured: 0.42 ms
for a message of 0.1 s, from the socket to the voice activity detection."""
BATCH_FILL: Final = 0.85
"""Share of the largest batch that a busy server fills, because what waits in one bucket goes
together. In simulations on the audio clock 32 to 64 sessions filled 0.7 to 0.95 of it."""
SPEECH_SHARE: Final = 0.8
"""Somebody who speaks on, with 0.7 s between sentences, asks for so many of the windows that a
monologue without a pause would ask for. Simulated as above."""
DELIVERY_S: Final = 0.2
"""What a word waits for apart from decodes and intervals: the rest of its message, the queue."""
OVERLOAD_WAIT_S: Final = 2 * UPDATE_INTERVAL_S
"""With waits so long before a decode begins, sessions are updated too rarely to be live."""

_RECENT_BATCHES: Final = 100
"""Calls of the backend that are worth a correction."""
_MAX_SPEED: Final = 4.0


def estimate_sessions(
    calibration: Calibration, max_batch: int, cores: int, *, speed: float = 1.0
) -> int:
    """Sessions of people who speak on whose words are final within 2 s (p95); at least 1.

    A word waits up to an update interval for its first decode and one for the second, which must
    agree, and then for that call. So the interval may be ``UPDATE_INTERVAL_S`` less half of the
    call and of ``DELIVERY_S``. In a second ``n`` sessions ask for ``n * SPEECH_SHARE / interval``
    windows, and the workers decode ``rate`` windows, less what the rest of the sessions takes off
    the cores::

        n * SPEECH_SHARE / interval = rate * (1 - n * SESSION_CPU_S / cores)

    Args:
        calibration: Of the model that the sessions use.
        max_batch: Largest batch of the backend.
        cores: Processor cores that decoding and everything else share.
        speed: How much faster decodes are than in the calibration.
    """
    largest = max(1, int(max_batch * BATCH_FILL))
    carried = 1
    for batch in {min(size, largest) for size in calibration.batches}:
        call_s = calibration.call_s(batch) / speed
        interval_s = UPDATE_INTERVAL_S - (call_s + DELIVERY_S) / 2
        if call_s <= interval_s:
            rate = calibration.workers * batch / call_s
            per_session = SPEECH_SHARE / interval_s + rate * SESSION_CPU_S / cores
            carried = max(carried, int(rate / per_session))
    return carried


class Capacity:
    """What the machine carries, as far as it is known by now.

    Args:
        calibration: Of the default model.
        max_batch: Largest batch of the backend.
        cores: Processor cores that decoding and everything else share.
        stats: What the scheduler has done up to now.
    """

    def __init__(
        self,
        calibration: Calibration,
        max_batch: int,
        cores: int,
        stats: Callable[[], SchedulerStats],
    ) -> None:
        self.calibration = calibration
        self._max_batch = max_batch
        self._cores = cores
        self._stats = stats
        self._counted = SchedulerStats()
        self._speed = 1.0

    @property
    def sessions(self) -> int:
        """Sessions of people who speak on that are carried live; at least 1.

        Never below the estimate of the start, because a loaded machine decodes slower than the
        quiet one that was measured, and that is in the estimate. Above it where the real
        decodes turn out faster: something else had slowed the measurement down.
        """
        self._update_speed()
        return estimate_sessions(self.calibration, self._max_batch, self._cores, speed=self._speed)

    @property
    def is_overloaded(self) -> bool:
        """Whether sessions wait too long for their decodes now."""
        stats = self._stats()
        return stats.waiting > 0 and stats.queue_wait_p95_s > OVERLOAD_WAIT_S

    def _update_speed(self) -> None:
        stats = self._stats()
        batches = stats.batches - self._counted.batches
        took_s = stats.decode_s - self._counted.decode_s
        if batches < _RECENT_BATCHES or took_s <= 0:
            return
        mean_batch = (stats.requests - self._counted.requests) / batches
        expected_s = batches * self.calibration.call_s(mean_batch)
        self._speed = min(max(1.0, expected_s / took_s), _MAX_SPEED)
        self._counted = stats
