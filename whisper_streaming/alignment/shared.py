"""What aligns for all sessions, in one thread."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from whisper_streaming.alignment.models import EXIT_PATIENCE_S, MAX_HOLD_S, AlignModels
from whisper_streaming.alignment.stage import AlignmentStage
from whisper_streaming.alignment.words import AlignModel, align
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.hypothesis import Words
from whisper_streaming.engine.worker import Worker
from whisper_streaming.live.stages import StageContext

logger = logging.getLogger("whisper_streaming.alignment")

PATIENCE_S: Final = 30.0
"""For words that nobody waits for: one alignment takes a second where a model is large."""


class SharedAligner:
    """Aligns words in a thread of its own; of one event loop at a time.

    Args:
        models: By language.
        hold_s: How long words may be held for their times; None is what the model needs.
        backlog_s: Audio that a session may have that is not decoded.
        clock: Seconds.
    """

    def __init__(
        self,
        models: AlignModels,
        *,
        hold_s: float | None = None,
        backlog_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = models
        self._clock = clock
        self._hold_s = hold_s
        self._backlog_s = backlog_s
        self._worker: Worker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the worker's
        self._busy_since: float | None = None
        self._aligned = self._late = 0
        self._slowest_s = 0.0
        self._reported: set[str] = set()

    async def align(
        self,
        language: str,
        words: Words,
        samples: FloatArray,
        start_sample: int,
        *,
        wanted: slice,
        within_s: float | None,
    ) -> Words | None:
        """See :class:`~whisper_streaming.alignment.stage.Aligner`."""
        timed = self._models.get(language)
        if timed is None:
            return None
        limit_s = timed.hold_for(samples) if within_s is None else within_s
        try:
            async with asyncio.timeout(limit_s):
                aligned = await self._ask(
                    lambda: self._run(language, timed.model, words, samples, start_sample), limit_s
                )
        except TimeoutError:
            self._late += len(words[wanted])
            self._warn_once(
                f"words in {language!r} leave with the decoder's times: the align model is too "
                "slow for them (late_words in /status)"
            )
            return None
        if aligned is None:
            return None
        self._aligned += sum(word.is_aligned for word in aligned[wanted])
        return aligned[wanted]

    def complaint(self, language: str) -> str | None:
        """See :class:`~whisper_streaming.alignment.stage.Aligner`."""
        return self._models.complaint(language)

    def create_stage(self, context: StageContext) -> AlignmentStage | None:
        """The stage of a session; None if it translates: then what is written is not said."""
        return self._create(context, self._hold_s)

    def create_patient_stage(self, context: StageContext) -> AlignmentStage | None:
        """A stage for words that nobody waits for."""
        return self._create(context, PATIENCE_S)

    def describe(self) -> dict[str, object]:
        """For the status page."""
        return {
            "languages": self._models.languages(),
            "aligned_words": self._aligned,
            "late_words": self._late,
            "slowest_s": round(self._slowest_s, 3),
        }

    def close(self) -> None:
        """End the thread. Returns at once: a model that hangs and a download are left alone."""
        if self._worker is not None:
            self._worker.stop(exit_patience_s=EXIT_PATIENCE_S)
            self._worker = None

    def _create(self, context: StageContext, hold_s: float | None) -> AlignmentStage | None:
        options = context.setup.session.options
        if options.task == "translate":
            return None
        return AlignmentStage(
            self, language=options.language, hold_s=hold_s, backlog_s=self._backlog_s
        )

    def _ask(self, run: Callable[[], Words | None], limit_s: float) -> asyncio.Future[Words | None]:
        """Run ``run`` in the thread, unless its answer is cancelled before its turn.

        Raises:
            TimeoutError: If something hangs there. Nobody waits behind it, and nothing piles up.
        """
        since = self._busy_since
        if since is not None and self._clock() - since > max(limit_s, MAX_HOLD_S):
            raise TimeoutError
        answer: asyncio.Future[Words | None] = asyncio.get_running_loop().create_future()

        def job() -> Callable[[], None]:
            aligned = None if answer.cancelled() else run()
            return lambda: None if answer.done() else answer.set_result(aligned)

        self._worker_here().submit(job)
        return answer

    def _worker_here(self) -> Worker:
        """The thread, for the loop that runs here: a library's caller may begin another one."""
        loop = asyncio.get_running_loop()
        if self._worker is None or self._loop is not loop:
            self.close()
            self._worker, self._loop = Worker("align", loop), loop
        return self._worker

    def _run(
        self,
        language: str,
        model: AlignModel,
        words: Words,
        samples: FloatArray,
        start_sample: int,
    ) -> Words | None:
        """In the thread. Never raises: it would reach nobody."""
        began = self._busy_since = self._clock()
        try:
            return align(model, words, samples, start_sample)
        except Exception as exc:  # noqa: BLE001 - whatever torch and the code of the model raise
            self._warn_once(f"words in {language!r} cannot be aligned", exc)
            return None
        finally:
            self._busy_since = None
            self._slowest_s = max(self._slowest_s, self._clock() - began)

    def _warn_once(self, text: str, error: Exception | None = None) -> None:
        # Words come every second, and what fails once fails again.
        if text not in self._reported:
            self._reported.add(text)
            logger.warning("%s; said once", text, exc_info=error)
