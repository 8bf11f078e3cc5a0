"""Calls the operator's program in a thread of its own, whatever it does there."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from queue import SimpleQueue
from typing import Final

from whisper_streaming.core.hypothesis import Words, join_words
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.live.stages import StageContext
from whisper_streaming.text_hook.rewrite import rewrite
from whisper_streaming.text_hook.stage import TextFacts, TextHookStage

_LOG_INTERVAL_S: Final = 60.0
_SHORTEST_WAIT_S: Final = 0.001

logger = logging.getLogger("whisper_streaming.text_hook")


Function = Callable[[str, TextFacts], object]


@dataclass(slots=True)
class HookStats:
    """What was done so far.

    Attributes:
        calls: Texts given to the hook.
        failures: Texts that went out unchanged because it raised an error or gave no text.
        timeouts: Because it took too long.
        bypassed: Because an earlier call has still not returned.
        is_stuck: A call has not returned in time, and still has not.
    """

    calls: int = 0
    failures: int = 0
    timeouts: int = 0
    bypassed: int = 0
    is_stuck: bool = False


@dataclass(frozen=True, slots=True)
class _Call:
    job: Future[Words]
    begun: float


class TextHook:
    """One hook for all sessions, called with one text at a time.

    Args:
        function: Gets a text and the facts, gives the text to send.
        name: For log lines.
        timeout_s: A call that takes longer is waited for no more; its text goes out unchanged.
        rules: When a segment is complete.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        function: Function,
        name: str,
        *,
        timeout_s: float,
        rules: SegmentRules,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._function = function
        self._name = name
        self._timeout_s = timeout_s
        self._rules = rules
        self._clock = clock
        self._jobs: SimpleQueue[tuple[Future[Words], Words, TextFacts] | None] = SimpleQueue()
        self._running: _Call | None = None  # set in the thread
        self._stuck: Future[Words] | None = None
        self._stats = HookStats()
        self._logged_at: float | None = None
        # A daemon: a call that never returns must not keep the server from ending.
        self._thread = threading.Thread(target=self._work, name="text-hook", daemon=True)
        self._thread.start()

    def create_stage(self, context: StageContext) -> TextHookStage:
        """For a session that begins."""
        options = context.setup.session.options
        return TextHookStage(
            self.apply,
            self._rules,
            uid=context.wishes.uid,
            language=options.language,
            is_translated=options.task == "translate",
        )

    def describe(self) -> dict[str, object]:
        """For the status page."""
        return asdict(replace(self._stats, is_stuck=self._is_stuck))

    def close(self) -> None:
        """Let the thread end."""
        self._jobs.put(None)

    async def apply(self, words: Words, facts: TextFacts) -> Words:
        """``words`` as the hook wants them; as they are if it fails, which is logged."""
        if not join_words(words).strip():
            return words
        if self._is_stuck:
            self._stats.bypassed += 1
            return words
        self._stats.calls += 1
        job = Future[Words]()
        self._jobs.put((job, words, facts))
        answer = asyncio.wrap_future(job)
        try:
            await self._wait_for(job, answer)
        finally:
            answer.cancel()  # takes what still waits out of the queue
        # The job itself: a loop that was held up knows of its answer too late.
        if not job.done() or job.cancelled():
            self._stats.timeouts += 1
            self._report(f"did not answer within {self._timeout_s:g} s", None)
        elif (error := job.exception()) is not None:
            self._stats.failures += 1
            self._report(f"failed: {type(error).__name__}", error)
        else:
            return job.result()
        return words

    async def _wait_for(self, job: Future[Words], answer: asyncio.Future[Words]) -> None:
        """Wait while calls come back: a text that waits for those of others is not late by itself.

        Otherwise nothing would be redacted when many sessions speak at once.
        """
        while not job.done() and not self._is_stuck and self._thread.is_alive():
            running = self._running
            taken_s = 0.0 if running is None else self._clock() - running.begun
            if running is not None and taken_s >= self._timeout_s:
                self._stuck = running.job
            else:
                left_s = max(self._timeout_s - taken_s, _SHORTEST_WAIT_S)
                await asyncio.wait({answer}, timeout=left_s)

    @property
    def _is_stuck(self) -> bool:
        return self._stuck is not None and not self._stuck.done()

    def _report(self, what: str, error: BaseException | None) -> None:
        now = self._clock()
        if self._logged_at is None or now - self._logged_at >= _LOG_INTERVAL_S:
            self._logged_at = now
            logger.error(
                "the text hook %s %s; the text went out unchanged", self._name, what, exc_info=error
            )

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, words, facts = job
            if not future.set_running_or_notify_cancel():
                continue
            self._running = _Call(future, self._clock())
            try:
                result: Words | BaseException = self._call(words, facts)
            except BaseException as error:  # noqa: BLE001 - also sys.exit() in the hook
                result = error
            self._running = None
            _finish(future, result)

    def _call(self, words: Words, facts: TextFacts) -> Words:
        text = self._function(join_words(words).strip(), facts)
        if not isinstance(text, str):
            raise TypeError(f"the hook gave {type(text).__name__} in the place of text")
        return rewrite(words, text)


def _finish(future: Future[Words], result: Words | BaseException) -> None:
    # Who waited may have given up, and cancelled it, just now.
    with contextlib.suppress(Exception):
        if isinstance(result, BaseException):
            # A future of asyncio takes no StopIteration.
            is_plain = isinstance(result, Exception) and not isinstance(result, StopIteration)
            future.set_exception(result if is_plain else RuntimeError(repr(result)))
        else:
            future.set_result(result)
