"""One thread that translates text for all sessions, several texts at a time."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from whisper_streaming.errors import TranslationError
from whisper_streaming.translation.base import Translator

MAX_BATCH: Final = 8
"""Texts per call; beyond that a CPU gains nothing, and all wait for the longest."""

MAX_WAITING: Final = 256
"""Texts of all sessions that may wait; one more is refused."""

Clock = Callable[[], float]

logger = logging.getLogger("whisper_streaming.translation")


@dataclass(frozen=True, slots=True)
class TextPoolStats:
    """What was done up to now.

    Attributes:
        texts: Translated.
        batches: Calls of translators that succeeded.
        failures: Texts that failed alone.
        waiting: Texts that wait now.
        hangs: A call takes longer than any should.
    """

    texts: int
    batches: int
    failures: int
    waiting: int
    hangs: bool


@dataclass(slots=True, eq=False)
class _Job:
    translator: Translator
    text: str
    source: str
    target: str
    answer: Future[str] = field(default_factory=Future)

    @property
    def key(self) -> tuple[int, str, str]:
        """What the jobs of a batch have in common."""
        return (id(self.translator), self.source, self.target)


class TextPool:
    """Calls translators in a thread of its own, which may hang without harm to anybody else.

    Args:
        translators: Of those that support a pair of languages the first is taken.
        hang_s: A call that takes longer hangs: until it is back, nothing else is taken.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, translators: Sequence[Translator], *, hang_s: float, clock: Clock = time.monotonic
    ) -> None:
        self._translators = tuple(translators)
        self._hang_s = hang_s
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._idle_work: deque[_Job] = deque()  # done only while nothing else waits
        self._busy_since: float | None = None
        self._has_batch = False
        self._is_closed = False
        self._texts = self._batches = self._failures = 0
        if self._translators:
            # A daemon: a call that hangs must not keep the process alive.
            threading.Thread(target=self._serve, name="translate", daemon=True).start()

    @property
    def targets(self) -> tuple[str, ...]:
        """Languages that any of them writes, in alphabetical order."""
        return tuple(sorted({target for each in self._translators for target in each.targets}))

    @property
    def hangs(self) -> bool:
        """Whether a call takes longer than any should."""
        since = self._busy_since
        return since is not None and self._clock() - since > self._hang_s

    def supports(self, source: str, target: str) -> bool:
        """Whether one of the translators does."""
        return self._find(source, target) is not None

    def stats(self) -> TextPoolStats:
        """What was done up to now."""
        waiting = len(self._waiting)
        return TextPoolStats(self._texts, self._batches, self._failures, waiting, self.hangs)

    async def translate(
        self, text: str, source: str, target: str, *, when_idle: bool = False
    ) -> str:
        """The translation of ``text``. Cancelling drops it, or its result if it has begun.

        Args:
            text: Not empty.
            source: Its language.
            target: Wanted language.
            when_idle: It waits for all others, however late they come.

        Raises:
            TranslationError: If it cannot be had; in words.
        """
        translator = self._find(source, target)
        if translator is None:
            raise TranslationError(f"nothing here translates from {source!r} to {target!r}")
        job = _Job(translator, text, source, target)
        with self._changed:
            if self._is_closed or self.hangs:
                raise TranslationError("the translator does not answer")
            if len(self._waiting) + len(self._idle_work) >= MAX_WAITING:
                raise TranslationError("the translator has too much to do")
            (self._idle_work if when_idle else self._waiting).append(job)
            self._changed.notify()
        return await asyncio.wrap_future(job.answer)

    def close(self) -> None:
        """End the thread once its call returns, and free the translators. Idempotent."""
        with self._changed:
            was_closed, self._is_closed = self._is_closed, True
            for job in (*self._waiting, *self._idle_work):
                job.answer.cancel()
            self._waiting.clear()
            self._idle_work.clear()
            self._changed.notify()
            has_batch = self._has_batch
        if not was_closed and not has_batch:  # what a call uses must stay
            for translator in self._translators:
                translator.close()

    def _find(self, source: str, target: str) -> Translator | None:
        return next((each for each in self._translators if _supports(each, source, target)), None)

    # -- in the thread

    def _serve(self) -> None:
        while (batch := self._take_batch()) is not None:
            self._run(batch)

    def _take_batch(self) -> list[_Job] | None:
        """The oldest text and those that may go with it; None when closed."""
        with self._changed:
            self._has_batch = False
            while not self._waiting and not self._idle_work and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            queue = self._waiting or self._idle_work
            batch = [job for job in queue if job.key == queue[0].key][:MAX_BATCH]
            for job in batch:
                queue.remove(job)
            self._has_batch = True
        return [job for job in batch if job.answer.set_running_or_notify_cancel()]

    def _run(self, batch: Sequence[_Job]) -> None:
        if not batch:
            return
        try:
            texts = self._call(batch)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - a translator may raise anything
            if len(batch) > 1:  # one text alone tells which is to blame
                for job in batch:
                    self._run([job])
                return
            self._fail(batch[0], exc)
            return
        self._texts += len(batch)
        self._batches += 1
        for job, text in zip(batch, texts, strict=True):
            job.answer.set_result(text)

    def _call(self, batch: Sequence[_Job]) -> list[str]:
        first = batch[0]
        self._busy_since = self._clock()
        try:
            given: object = first.translator.translate(
                [job.text for job in batch], first.source, first.target
            )
        finally:
            self._busy_since = None  # before anybody is answered and asks for more
        if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
            raise TranslationError("what it gave is no list of texts")
        if len(given) != len(batch):
            raise TranslationError(f"{len(given)} translations for {len(batch)} texts")
        # Half a character could not be sent.
        return [text.encode(errors="replace").decode() for text in given]

    def _fail(self, job: _Job, cause: BaseException) -> None:
        self._failures += 1
        # Where one fails, all often do: sessions count theirs, and the first has the cause. Its own
        # words stay below: services name the text in their errors.
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        what = cause if isinstance(cause, TranslationError) else type(cause).__name__
        logger.log(level, "a text of %d characters failed: %s", len(job.text), what)
        logger.debug("it failed like this", exc_info=cause)
        failure = TranslationError("the translator failed")
        failure.__cause__ = cause
        job.answer.set_exception(failure)


def _supports(translator: Translator, source: str, target: str) -> bool:
    """What the translator says; one that fails at it supports nothing."""
    try:
        return bool(translator.supports(source, target))
    except Exception as exc:  # noqa: BLE001 - the boundary: a translator may raise anything
        logger.warning("supports(%r, %r) failed: %s", source, target, type(exc).__name__)
        return False
