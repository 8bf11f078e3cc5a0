"""Loads models, and finds out how many threads a worker should have."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from whisper_streaming.backends.model_store import ResolvedModel
from whisper_streaming.backends.thread_choice import WindowTimes, choose_threads
from whisper_streaming.backends.whisper_model import Device, WhisperModel
from whisper_streaming.config import BackendSettings
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Word
from whisper_streaming.errors import DecodeError, ModelLoadError

# Files that are loaded again in a moment, to try another number of threads. Models in larger
# ones take about a second for a window on all threads of most CPUs: its latency counts.
_RELOADED_BYTES: Final = 600 * 2**20
_WINDOW_S: Final = 5.0
_PREFIX: Final = (" the", " cat", " sat", " on", " the", " mat") * 2
_TRIES: Final = 2
_SLOW_WINDOW_S: Final = 0.5  # worth no second try
_FAST_ENOUGH_S: Final = 0.1
"""One thread that decodes a window so soon leaves no latency to be won by more of them."""

logger = logging.getLogger("whisper_streaming.backend")


def can_try_threads(folders: Sequence[Path]) -> bool:
    """Whether the models in ``folders`` are small enough to be loaded more than once."""
    return sum(map(_file_bytes, folders)) < _RELOADED_BYTES


def load_models(
    models: Sequence[ResolvedModel], device: Device, settings: BackendSettings
) -> tuple[Device, list[WhisperModel]]:
    """Load ``models`` on ``device``, on a CPU with the threads per worker that prove best.

    The largest model decides. Settings that name the workers win, and so does ``device`` where
    there is nothing to choose or the models are too large to be loaded twice.

    Raises:
        ModelLoadError: If one of them cannot be loaded, or the largest does not decode.
    """
    folders = [model.path for model in models]
    cores = device.workers * device.threads_per_worker
    if device.name != "cpu" or settings.workers or cores == 1 or not can_try_threads(folders):
        return device, _load(models, device)
    largest = max(range(len(models)), key=lambda index: _file_bytes(folders[index]))
    try:
        threads, loaded = _try_threads(models, largest, device, cores)
    except DecodeError as exc:
        raise ModelLoadError(f"the model {models[largest].name} does not decode: {exc}") from exc
    return _with_threads(device, cores, threads), loaded


def _try_threads(
    models: Sequence[ResolvedModel], largest: int, device: Device, cores: int
) -> tuple[int, list[WhisperModel]]:
    """The best number of threads per worker for ``models[largest]``, and the models with it."""
    loaded = {1: _load(models, _with_threads(device, cores, 1))}
    first = _time(lambda: _decode(loaded[1][largest]))
    if first.processor_s <= _FAST_ENOUGH_S:
        return 1, loaded[1]
    logger.info("trying how many threads decode a window of %s best ...", models[largest].name)

    def measure(threads: int) -> WindowTimes:
        for worse in sorted(loaded)[:-1]:
            del loaded[worse]
        if threads not in loaded:
            loaded[threads] = _load(models, _with_threads(device, cores, threads))
        model, workers = loaded[threads][largest], cores // threads
        alone_s = first.clock_s if threads == 1 else _time(lambda: _decode(model)).clock_s
        if workers == 1:
            return WindowTimes(alone_s, alone_s)
        with ThreadPoolExecutor(workers, "try-threads") as pool:
            together = _time(lambda: list(pool.map(_decode, [model] * workers)))
        return WindowTimes(alone_s, together.clock_s)

    best = choose_threads(cores, measure)
    return best, loaded[best]


def _file_bytes(folder: Path) -> int:
    return (folder / "model.bin").stat().st_size


def _with_threads(device: Device, cores: int, threads: int) -> Device:
    return replace(device, workers=cores // threads, threads_per_worker=threads)


def _load(models: Sequence[ResolvedModel], device: Device) -> list[WhisperModel]:
    return [WhisperModel(model.name, model.path, device, model.notice) for model in models]


def _decode(model: WhisperModel) -> None:
    """Decode faint noise, with words in front as in the middle of an utterance."""
    noise = np.random.default_rng(0).normal(0, 1e-3, round(_WINDOW_S * SAMPLE_RATE))
    request = DecodeRequest(
        samples=noise.astype(np.float32),
        start_sample=0,
        options=DecodeOptions(language="en" if "en" in model.info.languages else None),
        prefix=tuple(Word(text, 0.0, 0.5) for text in _PREFIX),
        max_new_tokens=8,
    )
    model.decode_batch([request], beam_size=1)


@dataclass(frozen=True, slots=True)
class _Times:
    """Of the fastest call; the first one is slower than those that follow.

    Attributes:
        clock_s: Seconds that went by.
        processor_s: What this process computed in them; other programs, which may be busy just
            now, do not count.
    """

    clock_s: float
    processor_s: float


def _time(call: Callable[[], object]) -> _Times:
    times: list[_Times] = []
    while len(times) < _TRIES and not (times and times[-1].clock_s > _SLOW_WINDOW_S):
        clock_s, processor_s = time.perf_counter(), time.process_time()
        call()
        times.append(_Times(time.perf_counter() - clock_s, time.process_time() - processor_s))
    return _Times(min(each.clock_s for each in times), min(each.processor_s for each in times))
