"""Embeds the stretches of all sessions in one thread, many at a time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.diarization.embedder import Embedder
from whisper_streaming.engine.worker import Worker
from whisper_streaming.errors import BackendError

MAX_STRETCHES_PER_RUN: Final = 16
"""About 0.1 s of work of the embedded network: bounds the wait for the next run."""
_EXIT_PATIENCE_S: Final = 5.0
"""So long the exit of the process waits for a run of pyannote: see ``engine.worker``."""


@dataclass(frozen=True, slots=True)
class EmbedderStats:
    """A snapshot.

    Attributes:
        stretches: How many were embedded.
        runs: In how many runs.
        failures: Questions that failed.
    """

    stretches: int = 0
    runs: int = 0
    failures: int = 0


@dataclass(slots=True, eq=False)
class _Question:
    """Stretches, and who waits for their embeddings."""

    stretches: Sequence[FloatArray]
    answer: asyncio.Future[FloatArray]


class EmbedderThread:
    """One embedder for all sessions; of one event loop at a time. Its thread begins with the first
    question.

    Sessions bound how many questions they have here, so no queue grows without bound.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._waiting: list[_Question] = []
        self._worker: Worker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # of those who ask
        self._is_busy = False
        self._is_open = True
        self._stats = EmbedderStats()

    def stats(self) -> EmbedderStats:
        """What was done up to now."""
        return self._stats

    def ask(self, stretches: Sequence[FloatArray]) -> asyncio.Future[FloatArray]:
        """The embeddings of ``stretches`` as :meth:`Embedder.embed` gives them, later.

        A question whose answer is cancelled before its turn is not worked on. The answer is a
        ``BackendError`` if the embedder fails or is closed.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[FloatArray] = loop.create_future()
        if not self._is_open:
            answer.set_exception(BackendError("the embedder is closed"))
            return answer
        if self._loop is not loop:
            self._move_to(loop)
        self._waiting.append(_Question(stretches, answer))
        if not self._is_busy:
            self._is_busy = True
            # Not at once but in this turn of the loop: what other sessions ask in it joins.
            loop.call_soon(self._start)
        return answer

    def close(self) -> None:
        """End the thread; who still waits gets a ``BackendError``. Returns at once. Idempotent."""
        self._is_open = False
        for question in self._waiting:
            if not question.answer.done():
                question.answer.set_exception(BackendError("the embedder was closed"))
        self._waiting.clear()
        if self._worker is not None:
            self._worker.stop(exit_patience_s=_EXIT_PATIENCE_S)
            self._worker = None

    def _start(self) -> None:
        questions = self._take_questions()
        if not questions:
            self._is_busy = False
            return

        def job() -> Callable[[], None]:
            answers = _embed(self._embedder, [question.stretches for question in questions])
            return lambda: self._deliver(questions, answers)

        if self._worker is None:
            self._worker = Worker("speakers", asyncio.get_running_loop())
        self._worker.submit(job)

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """A library's caller begins another loop; what went on in the last one ended with it."""
        if self._worker is not None:
            self._worker.stop()
        self._worker, self._loop = None, loop
        self._waiting.clear()
        self._is_busy = False

    def _take_questions(self) -> list[_Question]:
        """Remove the oldest questions from the queue, as many as make one run."""
        self._waiting = [each for each in self._waiting if not each.answer.done()]
        taken = size = 0
        for question in self._waiting:
            size += len(question.stretches)
            if taken and size > MAX_STRETCHES_PER_RUN:
                break
            taken += 1
        questions, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return questions

    def _deliver(
        self, questions: Sequence[_Question], answers: Sequence[FloatArray | BackendError]
    ) -> None:
        """Tell the sessions; runs in the loop."""
        failures = sum(isinstance(answer, BackendError) for answer in answers)
        stats = self._stats
        self._stats = EmbedderStats(
            stats.stretches + sum(len(question.stretches) for question in questions),
            stats.runs + 1,
            stats.failures + failures,
        )
        for question, answer in zip(questions, answers, strict=True):
            if question.answer.done():
                continue
            if isinstance(answer, BackendError):
                question.answer.set_exception(answer)
            else:
                question.answer.set_result(answer)
        self._start()


def _embed(
    embedder: Embedder, questions: Sequence[Sequence[FloatArray]]
) -> list[FloatArray | BackendError]:
    """The answer to each question, in the thread. Never raises: it would reach nobody."""
    try:
        rows = embedder.embed([stretch for question in questions for stretch in question])
        if not np.isfinite(rows).all():  # it would stay in a voice for the rest of the session
            raise BackendError("the embedder gives vectors that are no numbers")
    except Exception as exc:  # noqa: BLE001 - any failure is one of the stretches; the stage logs it
        if len(questions) > 1:  # each alone, so that a bad one fails alone
            return [answer for question in questions for answer in _embed(embedder, [question])]
        error = BackendError(f"the embedding of {len(questions[0])} stretches failed")
        error.__cause__ = exc
        return [error]
    answers: list[FloatArray | BackendError] = []
    begin = 0
    for question in questions:
        answers.append(rows[begin : begin + len(question)])
        begin += len(question)
    return answers
