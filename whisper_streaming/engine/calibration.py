"""Measures how long a loaded model decodes on this machine, as live sessions would ask for it."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from whisper_streaming.backends.base import Backend, BackendInfo, ModelInfo
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Words, join_words
from whisper_streaming.engine.live_load import UPDATE_INTERVAL_S, LiveWindow, live_windows

_BATCHES: Final = (4, 16, 8, 2, 32)
"""Batch sizes, the most telling first: time may be over before the last."""
_REPEATED: Final = 2
"""So many of the first calls are made again, and the better time counts: the first time is cold."""
_NEW_AUDIO_S: Final = 1.0
_NEW_TOKENS: Final = 8
_STEP_S: Final = 0.13  # between the windows of a batch, so that no two are equal
_PROMPT_CHARACTERS: Final = 200
_CLOCK_RESOLUTION_S: Final = 1e-6
"""A call that takes no time at all still takes so long, so that ratios exist."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """A recording to measure with.

    Attributes:
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
        words: What is said in it, with times.
    """

    samples: FloatArray
    words: Words


@dataclass(frozen=True, slots=True)
class Calibration:
    """Decode times of one model on this machine, with all workers busy.

    Attributes:
        model: Name of the model.
        windows: What live sessions ask for, the most frequent first.
        decode_s: Seconds of one call, above 0, by bucket and batch size, on a machine that does
            nothing else. The most frequent bucket was measured with a batch of one at least;
            what is missing would have taken too long.
        workers: Calls side by side.
    """

    model: str
    windows: tuple[LiveWindow, ...]
    decode_s: Mapping[float, Mapping[int, float]]
    workers: int

    @property
    def rtf(self) -> float:
        """Decode seconds per second of one live session's speech; above 1 captions come late."""
        return self.call_s(1) / UPDATE_INTERVAL_S

    @property
    def batches(self) -> tuple[int, ...]:
        """Batch sizes that were measured, ascending."""
        return tuple(sorted(self.decode_s[self.windows[0].bucket_s]))

    def call_s(self, batch: float) -> float:
        """Seconds of a call with ``batch`` windows, in the mean over the live windows.

        Between measured sizes on a line, beyond them in proportion. A mean batch may be a fraction.
        """
        main = self.windows[0].bucket_s
        alone_s = self.decode_s[main][1]
        mean_s = sum(
            # Not measured: at least in proportion to its length, since attention grows faster.
            window.share
            * self.decode_s.get(window.bucket_s, {}).get(1, alone_s * window.bucket_s / main)
            for window in self.windows
        )
        return mean_s * self._on_the_line(batch) / alone_s

    def _on_the_line(self, batch: float) -> float:
        """Seconds of a call with ``batch`` windows of the most frequent bucket."""
        times = self.decode_s[self.windows[0].bucket_s]
        sizes = self.batches
        if batch >= sizes[-1]:
            return times[sizes[-1]] * batch / sizes[-1]
        below, above = next(
            (a, b) for a, b in itertools.pairwise((*sizes, sizes[-1])) if a <= batch < b
        )
        return times[below] + (times[above] - times[below]) * (batch - below) / (above - below)


def calibrate(
    backend: Backend,
    model: ModelInfo,
    speech: Speech,
    *,
    budget_s: float,
    clock: Clock = time.perf_counter,
) -> Calibration:
    """Decode windows of ``speech`` on all workers and take the time. Blocking.

    One window is decoded whatever it takes. A call after that is only made if it is expected to
    end within ``budget_s``.

    Raises:
        DecodeError: If the model does not decode.
    """
    windows = live_windows(model.profile)
    measured: dict[tuple[float, int], float] = {}
    began = clock()
    numbers = itertools.count()
    with ThreadPoolExecutor(backend.info.workers, "calibrate") as workers:
        for window, batch in _cells(windows, backend.info.max_batch):
            cell = (window.bucket_s, batch)
            if measured and clock() - began + _expected_s(measured, cell) > budget_s:
                continue
            calls = [
                [_tick(speech, model, window, next(numbers)) for _ in range(batch)]
                for _ in range(backend.info.workers)
            ]
            stopwatch = _Stopwatch(backend.info, clock)
            list(workers.map(backend.decode_batch, calls))
            took_s = max(stopwatch.read(), _CLOCK_RESOLUTION_S)
            measured[cell] = min(took_s, measured.get(cell, took_s))
    buckets = {bucket for bucket, _ in measured}
    decode_s = {
        bucket: {size: took for (of, size), took in sorted(measured.items()) if of == bucket}
        for bucket in sorted(buckets)
    }
    return Calibration(model.name, windows, decode_s, backend.info.workers)


class _Stopwatch:
    """Takes the time of a call, if possible as on a machine that does nothing else.

    What else runs at the start is no measure of what will run later: a server that was started
    together with ten other programs would refuse clients for ever.
    """

    def __init__(self, backend: BackendInfo, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._started, self._processor_started = clock(), time.process_time()

    def read(self) -> float:
        took_s = self._clock() - self._started
        if not self._backend.is_processor_bound:
            return took_s
        processor_s = time.process_time() - self._processor_started
        busy = self._backend.workers * self._backend.threads_per_worker
        return min(took_s, processor_s / busy)


def _cells(windows: Sequence[LiveWindow], max_batch: int) -> list[tuple[LiveWindow, int]]:
    """What to measure, in the order of what it tells."""
    main, *others = windows
    batches = [(main, batch) for batch in _BATCHES if batch <= max_batch]
    cells = [(main, 1), *batches[:1], *((other, 1) for other in others), *batches[1:]]
    return [*cells, *cells[:_REPEATED]]


def _expected_s(measured: Mapping[tuple[float, int], float], cell: tuple[float, int]) -> float:
    if cell in measured:
        return measured[cell]
    (bucket, batch), took_s = next(iter(measured.items()))
    return took_s * cell[0] / bucket * cell[1] / batch


def _tick(speech: Speech, model: ModelInfo, window: LiveWindow, number: int) -> DecodeRequest:
    """An update in the middle of speech: all words but those of the last second are committed."""
    length = samples_of(window.window_s)
    # Other audio for each: a decoder may remember what it has heard.
    start = samples_of(number * _STEP_S) % max(1, len(speech.samples) - length)
    start_s, end_s = start / SAMPLE_RATE, (start + length) / SAMPLE_RATE
    return DecodeRequest(
        samples=speech.samples[start : start + length],
        start_sample=start,
        options=DecodeOptions(
            language="en" if "en" in model.languages else model.languages[0], model=model.name
        ),
        prefix=tuple(
            word
            for word in speech.words
            if word.start >= start_s and word.end <= end_s - _NEW_AUDIO_S
        ),
        # The same for all, because windows of one batch need prompts of one length.
        prompt=join_words(speech.words)[-_PROMPT_CHARACTERS:],
        is_last=window.is_last,
        max_new_tokens=_NEW_TOKENS,
    )
