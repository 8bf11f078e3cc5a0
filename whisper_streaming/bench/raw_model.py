"""CTranslate2 without anything of ours around it: the calls of one batch of live windows."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer

from whisper_streaming.bench.recordings import Recording
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.errors import BenchmarkError, ModelLoadError

_HOP_SAMPLES: Final = 160
_STEP_S: Final = 0.7  # between the windows of a batch, so that no two are equal
_LEAST_CALLS: Final = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """How the cores are shared out: ``workers`` calls side by side, each on ``threads``."""

    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.workers} x {self.threads}"


@dataclass(frozen=True, slots=True)
class TickTokens:
    """What the decoder has to do in one update.

    Attributes:
        context: Earlier text in front of the window, computed in one pass.
        prefix: Committed words inside the window, a step each.
        new: What is heard after them, a step each; one more step finds the end.
    """

    context: int
    prefix: int
    new: int


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds for each window, with all workers busy.

    Attributes:
        encode: Processor time of ``encode``.
        generate: Processor time of ``generate``.
        align: Processor time of ``align``.
        elapsed: Wall clock divided by all windows of all workers, as it would have been on an idle
            machine if this one was not: processor time that was not used is not counted.
    """

    encode: float
    generate: float
    align: float
    elapsed: float

    @property
    def processor(self) -> float:
        return self.encode + self.generate + self.align


@dataclass(frozen=True, slots=True)
class _Batch:
    mel: FloatArray
    prompts: list[list[int]]
    start: list[int]
    prefix: list[int]
    max_length: int
    frames: list[int]


class RawModel:
    """A model in CTranslate2, called as the faster_whisper backend calls it."""

    def __init__(self, folder: Path, layout: Layout, device: str, compute_type: str) -> None:
        """Load it.

        Raises:
            ModelLoadError: If the folder holds no usable model, or the device cannot run it.
        """
        try:
            self._model = ctranslate2.models.Whisper(
                str(folder),
                device=device,
                compute_type=compute_type,
                inter_threads=layout.workers,
                intra_threads=layout.threads,
            )
        except (RuntimeError, ValueError) as exc:
            raise ModelLoadError(f"{folder} cannot be loaded on {device}: {exc}") from exc
        self._layout = layout
        self._tokens = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer = Tokenizer(
            self._tokens, self._model.is_multilingual, task="transcribe", language="en"
        )
        self._features = FeatureExtractor(feature_size=self._model.n_mels)

    def measure(
        self,
        speech: Recording,
        window_s: float,
        batch: int,
        tokens: TickTokens,
        *,
        seconds: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> StageTimes:
        """Decode full windows of ``window_s`` for ``seconds`` on all workers, twice at least.

        Raises:
            BenchmarkError: If CTranslate2 fails.
        """
        job = self._batch(speech, window_s, batch, tokens)
        try:
            self._run(job, clock)  # the first call allocates
            processor_began, began = time.process_time(), clock()
            until = began + seconds
            with ThreadPoolExecutor(self._layout.workers, "limit") as workers:
                loops = [
                    workers.submit(self._loop, job, until, clock)
                    for _ in range(self._layout.workers)
                ]
                calls = [call for loop in loops for call in loop.result()]
        except (RuntimeError, ValueError) as exc:
            raise BenchmarkError(f"a batch of {batch} windows of {window_s:g} s: {exc}") from exc
        processor_s, elapsed_s = time.process_time() - processor_began, clock() - began
        windows = len(calls) * batch
        if self._model.device == "cpu":
            elapsed_s = min(elapsed_s, processor_s / (self._layout.workers * self._layout.threads))
        stages = np.sum(calls, axis=0)
        encode, generate, align = stages / stages.sum() * processor_s / windows
        return StageTimes(float(encode), float(generate), float(align), elapsed_s / windows)

    def _loop(
        self, job: _Batch, until: float, clock: Callable[[], float]
    ) -> list[tuple[float, float, float]]:
        calls: list[tuple[float, float, float]] = []
        while len(calls) < _LEAST_CALLS or clock() < until:
            calls.append(self._run(job, clock))
        return calls

    def _run(self, job: _Batch, clock: Callable[[], float]) -> tuple[float, float, float]:
        """Seconds of the three calls, by the wall clock."""
        began = clock()
        encoded = self._model.encode(ctranslate2.StorageView.from_array(job.mel))
        encoded_at = clock()
        results = self._model.generate(
            encoded,
            job.prompts,
            beam_size=1,
            max_length=job.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=False,
            suppress_tokens=[self._tokenizer.eot],  # as many steps as asked for, always
        )
        generated_at = clock()
        # The last step stands for the end of text.
        texts = [result.sequences_ids[0][:-1] for result in results]
        texts = [[token for token in text if token < self._tokenizer.eot] for text in texts]
        self._model.align(encoded, job.start, texts, job.frames)
        return encoded_at - began, generated_at - encoded_at, clock() - generated_at

    def _batch(self, speech: Recording, window_s: float, batch: int, tokens: TickTokens) -> _Batch:
        said = self._tokens.encode(" " + speech.text, add_special_tokens=False).ids
        start = self._tokenizer.sot_sequence
        context = list(islice(cycle(said), tokens.context))
        prefix = list(islice(cycle(said), tokens.prefix))
        prompt = [
            *([self._tokenizer.sot_prev, *context] if context else []),
            *start,
            self._tokenizer.no_timestamps,
            *prefix,
        ]
        steps = tokens.new + 1
        return _Batch(
            mel=np.stack([self._mel(speech.samples, row, window_s) for row in range(batch)]),
            prompts=[prompt] * batch,
            start=start,
            prefix=prefix,
            # The room that CTranslate2 gives is half of it, or what the prompt leaves.
            max_length=max(2 * (len(prefix) + steps), len(prompt) + steps),
            frames=[round(window_s * SAMPLE_RATE) // _HOP_SAMPLES] * batch,
        )

    def _mel(self, samples: FloatArray, row: int, window_s: float) -> FloatArray:
        length = samples_of(window_s)
        shifted = np.roll(samples, -samples_of(row * _STEP_S))
        window = np.resize(shifted, length)
        features: FloatArray = self._features(window)
        return np.ascontiguousarray(features[:, : length // _HOP_SAMPLES], dtype=np.float32)


def layouts_of(cores: int) -> Sequence[Layout]:
    """Ways to share ``cores`` out: one thread a worker, then twice as many, up to all for one."""
    threads = [2**power for power in range(cores.bit_length()) if 2**power < cores]
    return [Layout(cores // each, each) for each in threads] + [Layout(1, cores)]
