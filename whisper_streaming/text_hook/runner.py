"""Asks the operator's function for all sessions, whatever it does."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from typing import Final

from whisper_streaming.core.hypothesis import Words, join_words
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import TextHookError
from whisper_streaming.live.stages import StageContext
from whisper_streaming.text_hook.facts import TextFacts
from whisper_streaming.text_hook.rewrite import rewrite
from whisper_streaming.text_hook.stage import TextHookStage

_LOG_INTERVAL_S: Final = 60.0
_SHORTEST_WAIT_S: Final = 0.001

logger = logging.getLogger("whisper_streaming.text_hook")

LONGEST_TEXT: Final = 20_000
"""Characters of a text that a hook may give: a segment is a line or two."""

Ask = Callable[[str, TextFacts], str]
"""Gives the text to send; blocking. Raises ``TextHookError`` where there is none."""


def _nothing() -> None:
    pass


@dataclass(slots=True)
class HookStats:
    """What was done so far.

    Attributes:
        calls: Texts given to the hook.
        failures: Texts that went out unchanged because it raised an error or gave no text.
        timeouts: Because it took too long.
    """

    calls: int = 0
    failures: int = 0
    timeouts: int = 0


@dataclass(slots=True)
class _Call:
    job: Future[Words]
    begun: float
    is_stopped: bool = False


class _TooLate(TextHookError):
    """The call was stopped because of its time."""


class TextHook:
    """One hook for all sessions, called with one text at a time.

    Args:
        ask: Gives the text to send.
        name: For log lines.
        timeout_s: A call that takes longer is waited for no more; its text goes out unchanged.
        rules: When a segment is complete.
        prepare: Called before ``ask`` in the same thread; its time is not the hook's. Raises
            ``TextHookError`` where there is nothing to ask.
        stop: Makes a call that takes too long fail; from any thread.
        end: Called when nothing will be asked any more.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        ask: Ask,
        name: str,
        *,
        timeout_s: float,
        rules: SegmentRules,
        prepare: Callable[[], None] = _nothing,
        stop: Callable[[], None] = _nothing,
        end: Callable[[], None] = _nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._prepare = prepare
        self._stop = stop
        self._end = end
        self._name = name
        self._timeout_s = timeout_s
        self._rules = rules
        self._clock = clock
        self._jobs: SimpleQueue[tuple[Future[Words], Words, TextFacts] | None] = SimpleQueue()
        self._running: _Call | None = None
        self._lock = threading.Lock()  # no other call may be stopped than the one that is late
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
        return asdict(self._stats)

    def close(self) -> None:
        """Let the thread answer what waits, and end."""
        self._jobs.put(None)
        self._thread.join(self._timeout_s)
        self._end()

    async def apply(self, words: Words, facts: TextFacts) -> Words:
        """``words`` as the hook wants them; as they are if it fails, which is logged."""
        if not join_words(words).strip():
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
        error = _TooLate() if not job.done() or job.cancelled() else job.exception()
        if error is None:
            return job.result()
        if isinstance(error, _TooLate):
            self._stats.timeouts += 1
            self._report(f"did not answer within {self._timeout_s:g} s")
        else:
            self._stats.failures += 1
            self._report(str(error))
        return words

    async def _wait_for(self, job: Future[Words], answer: asyncio.Future[Words]) -> None:
        """Wait while calls come back: a text that waits for those of others is not late by itself.

        Otherwise nothing would be redacted when many sessions speak at once, or when one hangs.
        """
        while not job.done() and self._thread.is_alive():
            late = self._stop_if_late()
            if late is job:
                return
            await asyncio.wait({answer}, timeout=self._left_s())

    def _stop_if_late(self) -> Future[Words] | None:
        """Stop the call that is under way if it takes too long, and tell whose it is."""
        with self._lock:
            if self._running is None or self._left_s() > _SHORTEST_WAIT_S:
                return None
            self._running.is_stopped = True
            self._stop()
            return self._running.job

    def _left_s(self) -> float:
        """Until the call that is under way is late; for one that waits, as long as one may take."""
        running = self._running
        taken_s = 0.0 if running is None else self._clock() - running.begun
        return max(self._timeout_s - taken_s, _SHORTEST_WAIT_S)

    def _report(self, what: str) -> None:
        now = self._clock()
        if self._logged_at is None or now - self._logged_at >= _LOG_INTERVAL_S:
            self._logged_at = now
            logger.error("the text hook %s %s; the text went out unchanged", self._name, what)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, words, facts = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result: Words | TextHookError = self._call(future, words, facts)
            except TextHookError as error:
                result = error
            except Exception:  # the boundary: the texts of all sessions come through here
                logger.exception("! asking the text hook broke, which is a fault of this program")
                result = TextHookError("could not be asked")
            _finish(future, result)

    def _call(self, job: Future[Words], words: Words, facts: TextFacts) -> Words:
        self._prepare()
        self._running = call = _Call(job, self._clock())
        try:
            text = self._ask(join_words(words).strip(), facts)
        except TextHookError as error:
            if call.is_stopped:
                raise _TooLate from error
            raise
        finally:
            with self._lock:
                self._running = None
        if len(text) > LONGEST_TEXT:
            raise TextHookError(
                f"gave {len(text)} characters; more than {LONGEST_TEXT} are no line"
            )
        # Half a character could not be sent.
        return rewrite(words, text.encode(errors="replace").decode())


def _finish(future: Future[Words], result: Words | TextHookError) -> None:
    # Who waited may have given up, and cancelled it, just now.
    with contextlib.suppress(InvalidStateError):
        if isinstance(result, TextHookError):
            future.set_exception(result)
        else:
            future.set_result(result)
