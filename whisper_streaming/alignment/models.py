"""The align models of all languages that are spoken, each loaded when it is first needed."""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from whisper_streaming.alignment.words import AlignModel
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.errors import ModelLoadError

logger = logging.getLogger("whisper_streaming.alignment")

MIN_HOLD_S: Final = 0.3
MAX_HOLD_S: Final = 2.0
"""Bounds of how long the words of 2 s of speech are held where the settings do not say."""
RETRY_S: Final = 600.0
"""A model that could not be had is asked for again so much later: a network comes back."""
EXIT_PATIENCE_S: Final = 5.0
"""So long the exit of the process waits for what torch computes: see ``engine.worker``."""

_TRIAL_S: Final = 2.0
"""What is aligned at once: a few new words and their neighbours."""
_LOADED_MACHINE: Final = 3.0
"""The trial has the machine for itself; later a decoder computes, too, and other sessions."""

LoadModel = Callable[[str], AlignModel]
"""Loads the model of a language; blocking. Raises ``ModelLoadError``."""


@dataclass(frozen=True, slots=True)
class TimedModel:
    """A model that was tried.

    Attributes:
        model: Works.
        hold_s: How long the words of 2 s of speech may wait for it.
    """

    model: AlignModel
    hold_s: float

    def hold_for(self, samples: FloatArray) -> float:
        """How long the words in ``samples`` may wait: more speech takes longer, and is rarer."""
        return self.hold_s * max(1.0, len(samples) / SAMPLE_RATE / _TRIAL_S)


class AlignModels:
    """Loads in the background what a session asks for first.

    Args:
        load: Loads the model of a language.
        hold_s: How long words may be held for their times; None is by the speed of the model,
            between ``MIN_HOLD_S`` and ``MAX_HOLD_S`` for 2 s of speech.
        languages: Whose models are loaded now.
        clock: Seconds.

    Raises:
        ModelLoadError: If one of them cannot be loaded, or does not run.
    """

    def __init__(
        self,
        load: LoadModel,
        *,
        hold_s: float | None,
        languages: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._hold_s = hold_s
        self._clock = clock
        self._loaded = {language: self._load_warm(language) for language in languages}
        self._complaints: dict[str, str] = {}
        self._failed_at: dict[str, float] = {}
        self._loading: set[str] = set()
        self._lock = threading.Lock()
        self._one_by_one = threading.Lock()

    def get(self, language: str) -> TimedModel | None:
        """The model of ``language``; None while it is not there. Returns at once."""
        with self._lock:
            if language in self._loaded:
                return self._loaded[language]
            failed_at = self._failed_at.get(language)
            is_due = failed_at is None or self._clock() - failed_at > RETRY_S
            if language not in self._loading and is_due:
                self._loading.add(language)
                # Takes minutes where the model is fetched first. Words of other languages go on,
                # and the process may end meanwhile, but for torch's sake not at any moment.
                thread = threading.Thread(
                    target=self._load_now,
                    args=(language,),
                    name=f"load-align-model-{language}",
                    daemon=True,
                )
                thread.start()
                atexit.register(thread.join, EXIT_PATIENCE_S)
        return None

    def complaint(self, language: str) -> str | None:
        """Why there is no model of ``language``, fit for a client; None where nothing failed."""
        return self._complaints.get(language)

    def languages(self) -> list[str]:
        """Those that have a model now."""
        with self._lock:
            return sorted(self._loaded)

    def _load_warm(self, language: str) -> TimedModel:
        """Load a model and let it hear something: the first time takes longest.

        Raises:
            ModelLoadError: If it cannot be loaded, or does not run.
        """
        logger.info("loading the align model of %r ...", language)
        try:
            model = self._load(language)
            took_s = min(_time_to_hear(model) for _ in range(2))
        except ModelLoadError:
            raise
        except Exception as exc:  # whatever torch and the code of the model raise
            raise ModelLoadError(f"the align model of {language!r} does not run: {exc}") from exc
        hold_s = self._hold_s
        if hold_s is None:
            hold_s = min(max(_LOADED_MACHINE * took_s, MIN_HOLD_S), MAX_HOLD_S)
        if took_s > hold_s:
            logger.warning(
                "%.0f s of speech in %r are aligned in %.2f s here, but words are held for %.2f s "
                "only; most get the decoder's times (alignment.hold_s, alignment.threads)",
                _TRIAL_S,
                language,
                took_s,
                hold_s,
            )
        return TimedModel(model, hold_s)

    def _load_now(self, language: str) -> None:
        try:
            with self._one_by_one:
                timed = self._load_warm(language)
        except ModelLoadError as error:
            logger.warning("words in %r are not aligned: %s", language, error)
            with self._lock:
                self._failed_at[language] = self._clock()
                self._complaints[language] = (
                    f"The times of words in {language!r} are those of the decoder, which are less "
                    "exact: this server has no model that aligns this language."
                )
        else:
            logger.info("words in %r are aligned from now on", language)
            with self._lock:
                self._loaded[language] = timed
                self._complaints.pop(language, None)
        finally:
            with self._lock:
                self._loading.discard(language)


def _time_to_hear(model: AlignModel) -> float:
    """Seconds that it takes to hear ``_TRIAL_S`` of silence.

    Raises:
        ValueError: If the answer does not fit the letters of the model.
    """
    began = time.perf_counter()
    heard = model.hear(np.zeros(samples_of(_TRIAL_S), dtype=np.float32))
    took_s = time.perf_counter() - began
    columns = 1 + max([model.blank, *model.letters.values()])
    if heard.ndim != 2 or not len(heard) or heard.shape[1] < columns:
        raise ValueError(f"an answer of the shape {heard.shape}, for {columns} letters")
    if np.isnan(heard).any():
        raise ValueError("its answer is no number")
    return took_s
