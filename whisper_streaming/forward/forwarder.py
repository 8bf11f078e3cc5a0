"""Posts completed segments, beside the sessions and at the service's own pace."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from whisper_streaming.config import ForwardSettings
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.forward.backlog import Backlog, Trial
from whisper_streaming.forward.payload import Post
from whisper_streaming.forward.sender import Answer, Result
from whisper_streaming.live.observers import SegmentFeed, SessionFacts, SessionObserver

_DROP_LOG_INTERVAL_S: Final = 10.0
_HURRIED_RETRY_S: Final = 0.25
"""Wait after a failed post while the server stops: there is no time for more."""
_MAX_DOUBLINGS: Final = 32
_OUTAGE_PAUSE_S: Final = 1.0
"""Of a connection after a failed attempt, while the service takes nothing from anybody."""
_STUCK_ATTEMPTS: Final = 8
"""So often one post fails, while others are taken, before the log says so, and again after it."""
_MAX_UID: Final = 200
"""Characters that are kept of a client's name for its session; it may send a megabyte."""

logger = logging.getLogger("whisper_streaming.forward")


class Sender(Protocol):
    """What posts."""

    async def send(self, post: Post) -> Answer:
        """One attempt; raises nothing but cancellation, after which the post may have arrived."""
        ...

    async def close(self) -> None:
        """Nothing will be sent any more."""
        ...


@dataclass(slots=True)
class ForwardingStats:
    """What was done so far. Segments unless it says otherwise.

    Attributes:
        is_failing: The newest attempt failed or was refused.
        posts: Posts that were accepted.
        forwarded: Segments in them.
        waiting: Those that wait, for others, for their turn or for the next attempt.
        in_flight: Those in posts that are under way.
        failed_attempts: Attempts that failed or were refused.
        dropped: Lost because too many waited.
        refused: Lost because the service refused them too often.
    """

    is_failing: bool = False
    posts: int = 0
    forwarded: int = 0
    waiting: int = 0
    in_flight: int = 0
    failed_attempts: int = 0
    dropped: int = 0
    refused: int = 0


class Forwarder:
    """Forwards until :meth:`close`. Sessions only put segments into its backlog, and never wait.

    Every segment is in one post, which is tried until the service accepts it, so it arrives at
    least once, with the same id each time, and in the order of its session; unless it is dropped,
    refused too often, or still waits when the server has stopped. All three are logged.

    Args:
        settings: How often, how long, how many.
        rules: When a segment is completed.
        sender: Makes the attempts; closed with the forwarder.
        shown: The service, for log lines.
        chance: A random number in [0, 1), which spreads attempts.
    """

    def __init__(
        self,
        settings: ForwardSettings,
        rules: SegmentRules,
        sender: Sender,
        *,
        shown: str = "the service",
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._sender = sender
        self._shown = shown
        self._chance = chance
        self._backlog = Backlog(
            settings.max_messages, settings.interval_s, settings.max_pending, self._count_drop
        )
        self._flush_s = settings.flush_timeout_s
        self._flush: asyncio.Timeout | None = None
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None
        self._stats = ForwardingStats()
        self._drops_logged_at: float | None = None
        self._is_outage_told = False
        self._failures_in_a_row = 0  # over all sessions

    def open(self) -> None:
        """Begin to post. Call it in the event loop."""
        self._task = asyncio.get_running_loop().create_task(self._work(), name="forward")

    def observe(self, session: SessionFacts) -> SessionObserver:
        """What forwards the segments of ``session``."""
        lane = self._backlog.open_lane(replace(session, uid=session.uid[:_MAX_UID]))
        return SegmentFeed(session.language, self._rules, lane.add, lane.end)

    def stats(self) -> ForwardingStats:
        """What was done so far."""
        return replace(
            self._stats, waiting=self._backlog.waiting, in_flight=self._backlog.in_flight
        )

    async def close(self) -> None:
        """Post what waits, for ``flush_timeout_s`` at the most, and stop.

        Call it once, when no session is left.
        """
        assert self._task is not None, "it was never opened"
        self._is_closing = True
        self._backlog.close()
        try:
            async with asyncio.timeout(self._flush_s) as self._flush:
                try:
                    await self._backlog.wait_until_settled()
                finally:
                    self._flush = None
        except TimeoutError:
            lost = self._backlog.waiting + self._backlog.in_flight
            logger.warning("%d segments were not forwarded before the server stopped", lost)
        self._task.cancel()
        await asyncio.wait({self._task})
        await self._sender.close()

    def give_up(self) -> None:
        """Let :meth:`close` wait for nothing, also if it waits already."""
        self._flush_s = 0.0
        if self._flush is not None and not self._flush.expired():
            self._flush.reschedule(asyncio.get_running_loop().time())

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._settings.connections):
                tasks.create_task(self._post_all(), name=f"forward {number}")

    async def _post_all(self) -> None:
        while True:
            lane, trial = await self._backlog.take()
            answer = await self._try(trial.post)
            if answer.result is Result.ACCEPTED:
                self._count_success(trial.post)
            else:
                self._count_failure(trial, answer)
                if trial.refusals < self._settings.max_refusals:
                    # Waits without a connection, which others can use meanwhile.
                    self._backlog.postpone(lane, self._delay_s(trial, answer))
                    await self._spare_the_loop()
                    continue
                self._give_up(trial, answer)
            self._backlog.settle(lane)

    async def _spare_the_loop(self) -> None:
        """Wait if the service seems to be down, or thousands of sessions would try all the time."""
        if self._failures_in_a_row >= self._settings.connections and not self._is_closing:
            await asyncio.sleep(_OUTAGE_PAUSE_S)

    async def _try(self, post: Post) -> Answer:
        try:
            return await self._sender.send(post)
        except Exception as exc:  # the boundary: one post never ends all others
            logger.exception("! a post broke, which is a fault of this program")
            return Answer(Result.FAILED, type(exc).__name__)

    def _delay_s(self, trial: Trial, answer: Answer) -> float:
        """The wait before the next attempt: longer each time, by chance, and not while we stop."""
        if self._is_closing:
            return _HURRIED_RETRY_S
        longest = self._settings.retry_max_s
        doubled = self._settings.retry_min_s * 2.0 ** min(trial.failures - 1, _MAX_DOUBLINGS)
        # Between half and all of it, so that those who failed together do not come together.
        delay_s = min(doubled, longest) * (1 + self._chance()) / 2
        return max(delay_s, min(answer.retry_after_s or 0.0, longest))

    def _count_success(self, post: Post) -> None:
        self._stats.posts += 1
        self._stats.forwarded += len(post.segments)
        self._stats.is_failing = False
        self._failures_in_a_row = 0
        if self._is_outage_told:
            self._is_outage_told = False
            logger.info("%s takes segments again, %d wait", self._shown, self._backlog.waiting)

    def _count_failure(self, trial: Trial, answer: Answer) -> None:
        trial.failures += 1
        trial.refusals += answer.result is Result.REFUSED
        self._failures_in_a_row += 1
        self._stats.failed_attempts += 1
        self._stats.is_failing = True
        # One line for a service that is down, not one for each attempt.
        if not self._is_outage_told and trial.failures == 1:
            self._is_outage_told = True
            logger.warning("%s did not take segments, trying again: %s", self._shown, answer.detail)
        elif not self._is_outage_told and trial.failures % _STUCK_ATTEMPTS == 0:
            logger.warning(
                "%s takes segments, but those of session %s not, %d attempts so far: %s",
                self._shown, trial.post.session.id, trial.failures, answer.detail,
            )  # fmt: skip
        else:
            logger.debug("post %s failed: %s", trial.post.id, answer.detail)

    def _give_up(self, trial: Trial, answer: Answer) -> None:
        size = len(trial.post.segments)
        self._stats.refused += size
        logger.error(
            "%s refused %d segments %d times, so they are dropped: %s",
            self._shown, size, trial.refusals, answer.detail,
        )  # fmt: skip

    def _count_drop(self) -> None:
        self._stats.dropped += 1
        now = asyncio.get_running_loop().time()
        due = self._drops_logged_at is None or now - self._drops_logged_at >= _DROP_LOG_INTERVAL_S
        if due:
            self._drops_logged_at = now
            logger.warning(
                "more than %d segments wait for %s, so the oldest are dropped: %d so far",
                self._settings.max_pending, self._shown, self._stats.dropped,
            )  # fmt: skip
