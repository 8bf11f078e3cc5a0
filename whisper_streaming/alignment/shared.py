"""What aligns for all sessions: one thread, and a model for each language that is spoken."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from whisper_streaming.alignment.stage import AlignmentStage
from whisper_streaming.alignment.words import AlignModel, align
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.hypothesis import Words
from whisper_streaming.errors import ModelLoadError
from whisper_streaming.live.stages import StageContext

logger = logging.getLogger("whisper_streaming.alignment")

PATIENCE_S: Final = 30.0
"""For words that nobody waits for: one alignment takes a second where a model is large."""

_TRIAL_S: Final = 2.0
"""What is aligned at once: a few new words and their neighbours."""

LoadModel = Callable[[str], AlignModel]
"""Loads the model of a language; blocking. Raises ``ModelLoadError``."""


class SharedAligner:
    """Aligns words in a thread of its own, with models that are loaded when they are needed.

    Args:
        load: Loads the model of a language.
        hold_s: How long words may be held for their times.
        backlog_s: Audio that a session may have that is not decoded.
        languages: Whose models are loaded now.

    Raises:
        ModelLoadError: If one of them cannot be loaded.
    """

    def __init__(
        self,
        load: LoadModel,
        *,
        hold_s: float,
        backlog_s: float = 0.0,
        languages: Sequence[str] = (),
    ) -> None:
        self._load = load
        self._hold_s = hold_s
        self._backlog_s = backlog_s
        self._models = {language: self._load_warm(language) for language in languages}
        self._complaints: dict[str, str] = {}
        self._loading: set[str] = set()
        self._aligned = self._late = 0
        self._slowest_s = 0.0
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "align")
        self._one_by_one = threading.Lock()

    async def align(
        self,
        language: str,
        words: Words,
        samples: FloatArray,
        start_sample: int,
        *,
        within_s: float,
    ) -> Words | None:
        """See :class:`~whisper_streaming.alignment.stage.Aligner`. Call it in one event loop."""
        model = self._model(language)
        if model is None:
            return None
        # At most one for each session waits: what is given up before it begins is never run.
        job = self._thread.submit(self._run, model, words, samples, start_sample)
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            self._late += len(words)
            return None

    def complaint(self, language: str) -> str | None:
        """See :class:`~whisper_streaming.alignment.stage.Aligner`."""
        return self._complaints.get(language)

    def create_stage(self, context: StageContext) -> AlignmentStage | None:
        """The stage of a session; None if it translates: then what is written is not said."""
        return self._create(context, self._hold_s)

    def create_patient_stage(self, context: StageContext) -> AlignmentStage | None:
        """A stage for words that nobody waits for."""
        return self._create(context, PATIENCE_S)

    def describe(self) -> dict[str, object]:
        """For the status page."""
        with self._lock:
            languages = sorted(self._models)
        return {
            "languages": languages,
            "aligned_words": self._aligned,
            "late_words": self._late,
            "slowest_s": round(self._slowest_s, 3),
        }

    def close(self) -> None:
        """End the thread. What is being fetched is not waited for."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _create(self, context: StageContext, hold_s: float) -> AlignmentStage | None:
        options = context.setup.session.options
        if options.task == "translate":
            return None
        return AlignmentStage(
            self, language=options.language, hold_s=hold_s, backlog_s=self._backlog_s
        )

    def _model(self, language: str) -> AlignModel | None:
        with self._lock:
            if language in self._models:
                return self._models[language]
            if language not in self._loading and language not in self._complaints:
                self._loading.add(language)
                # Takes minutes where the model is fetched first. Words of other languages go on,
                # and the process may end meanwhile.
                threading.Thread(
                    target=self._load_now,
                    args=(language,),
                    name=f"load-align-model-{language}",
                    daemon=True,
                ).start()
        return None

    def _load_warm(self, language: str) -> AlignModel:
        """Load a model and let it hear something: the first time takes longest.

        Raises:
            ModelLoadError: If it cannot be loaded, or does not run.
        """
        model = self._load(language)
        try:
            took_s = min(_time_to_hear(model) for _ in range(2))
        except RuntimeError as exc:
            raise ModelLoadError(f"the align model of {language!r} does not run: {exc}") from exc
        if took_s > self._hold_s:
            logger.warning(
                "%.0f s of speech in %r are aligned in %.2f s here, but words are held for %.2f s "
                "only; most get the decoder's times (alignment.hold_s, alignment.threads)",
                _TRIAL_S,
                language,
                took_s,
                self._hold_s,
            )
        return model

    def _load_now(self, language: str) -> None:
        try:
            with self._one_by_one:
                model = self._load_warm(language)
        except ModelLoadError as error:
            logger.warning("words in %r are not aligned: %s", language, error)
            with self._lock:
                self._complaints[language] = (
                    f"The times of words in {language!r} are those of the decoder, which are less "
                    "exact: this server has no model that aligns this language."
                )
        else:
            logger.info("words in %r are aligned from now on", language)
            with self._lock:
                self._models[language] = model
        finally:
            with self._lock:
                self._loading.discard(language)

    def _run(
        self, model: AlignModel, words: Words, samples: FloatArray, start_sample: int
    ) -> Words | None:
        began = time.perf_counter()
        try:
            aligned = align(model, words, samples, start_sample)
        # Of torch, and of arrays of another shape than promised.
        except (RuntimeError, ValueError, IndexError):
            logger.exception("%d words could not be aligned", len(words))
            return None
        self._slowest_s = max(self._slowest_s, time.perf_counter() - began)
        self._aligned += sum(word.is_aligned for word in aligned)
        return aligned


def _time_to_hear(model: AlignModel) -> float:
    began = time.perf_counter()
    model.hear(np.zeros(samples_of(_TRIAL_S), dtype=np.float32))
    return time.perf_counter() - began
