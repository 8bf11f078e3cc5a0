"""Segments that wait to be posted: in order within a session, and bounded over all sessions."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, islice
from typing import Final

from whisper_streaming.core.transcript import Segment
from whisper_streaming.forward.payload import FinalSegment, Post, final_segment
from whisper_streaming.live.observers import SessionFacts


class Backlog:
    """What waits, as posts for whoever asks. For one event loop.

    A session's segments are due when there are ``batch_size`` of them, when the oldest has waited
    for ``interval_s``, and when the session has ended. Of one session there is one post at a time;
    sessions get their turns in the order in which they became due. A post that failed waits for its
    next attempt in its session's lane, so that it holds up nobody else.

    Args:
        batch_size: Segments of a post at the most.
        interval_s: Longest wait for others.
        max_waiting: When more wait, the oldest is dropped, and with it the others of a post that
            was tried: it keeps its content as long as it keeps its id. What is being posted is not
            counted.
        on_drop: Called once for each dropped segment.
    """

    def __init__(
        self, batch_size: int, interval_s: float, max_waiting: int, on_drop: Callable[[], None]
    ) -> None:
        self._batch_size: Final = batch_size
        self._interval_s: Final = interval_s
        self._max_waiting: Final = max_waiting
        self._on_drop = on_drop
        self._order = count()
        # Of each segment, whose it is; the oldest first, over all sessions.
        self._lanes: OrderedDict[int, Lane] = OrderedDict()
        self._due: deque[Lane] = deque()
        self._in_flight = 0
        self._is_closed = False
        self._changed = asyncio.Event()  # something may be due
        self._settled = asyncio.Event()  # nothing waits, and nothing is being posted
        self._settled.set()

    @property
    def waiting(self) -> int:
        """Segments that wait: for others, for their turn, or for the next attempt."""
        return len(self._lanes) - self._in_flight

    @property
    def in_flight(self) -> int:
        """Segments that are being posted now."""
        return self._in_flight

    def open_lane(self, session: SessionFacts) -> "Lane":
        """The place of a session's segments; it needs no end, but is due at its end."""
        return Lane(session, self)

    async def take(self) -> tuple["Lane", "Trial"]:
        """The next post that is due; give it back with :meth:`settle` or :meth:`postpone`.

        Cancelling is safe: the next call returns the same post.
        """
        while True:
            while self._due:
                lane = self._due.popleft()
                lane.is_listed = False
                # Some of its segments may have been dropped meanwhile.
                if lane.segments:
                    return lane, self._take_from(lane)
            self._changed.clear()
            await self._changed.wait()

    def settle(self, lane: "Lane") -> None:
        """The post of ``lane`` was accepted or given up: the session's next one may go."""
        self._in_flight -= lane.begun
        lane.is_busy = False
        self._remove_begun(lane)
        self._list_if_due(lane)
        self._look_if_settled()

    def postpone(self, lane: "Lane", delay_s: float) -> None:
        """The post of ``lane`` failed: the same one is due again after ``delay_s``."""
        self._in_flight -= lane.begun
        lane.is_busy = False
        lane.pause(delay_s, self._list_if_due)
        self._drop_what_is_too_much()

    def close(self) -> None:
        """Nothing will be added; everything is due, also what waits for its next attempt."""
        self._is_closed = True
        for lane in self._lanes.values():
            lane.end_pause()
            self._list_if_due(lane)

    async def wait_until_settled(self) -> None:
        """Wait until nothing waits and nothing is being posted. Cancelling is safe."""
        await self._settled.wait()

    def add(self, lane: "Lane", segment: FinalSegment) -> None:
        """``segment`` waits in ``lane`` from now on."""
        number = next(self._order)
        due_at = asyncio.get_running_loop().time() + self._interval_s
        lane.segments.append(_Waiting(number, due_at, segment))
        self._lanes[number] = lane
        self._settled.clear()
        self._drop_what_is_too_much()
        self._list_if_due(lane)

    def end(self, lane: "Lane") -> None:
        """Nothing will be added to ``lane``."""
        lane.is_ended = True
        self._list_if_due(lane)

    def _take_from(self, lane: "Lane") -> "Trial":
        if lane.trial is None:
            first = tuple(each.segment for each in islice(lane.segments, self._batch_size))
            lane.trial = Trial(Post(lane.session, first))
        lane.is_busy = True
        lane.forget_timer()
        self._in_flight += lane.begun
        return lane.trial

    def _list_if_due(self, lane: "Lane") -> None:
        if lane.is_busy or lane.is_pausing or lane.is_listed or not lane.segments:
            return
        is_last = lane.is_ended or self._is_closed
        is_full = len(lane.segments) >= self._batch_size
        if lane.begun or is_last or lane.is_overdue or is_full:
            lane.is_listed = True
            self._due.append(lane)
            self._changed.set()
        else:
            lane.call_when_overdue(self._list_if_due)

    def _drop_what_is_too_much(self) -> None:
        while self.waiting > self._max_waiting:
            lane = next(
                lane for number, lane in self._lanes.items() if not lane.is_in_flight(number)
            )
            self._drop_oldest(lane)
        self._look_if_settled()

    def _drop_oldest(self, lane: "Lane") -> None:
        """Drop the oldest segment of ``lane`` that waits."""
        if lane.begun and not lane.is_busy:
            for _ in range(self._remove_begun(lane)):
                self._on_drop()
        else:
            oldest = lane.segments[lane.begun]
            del lane.segments[lane.begun], self._lanes[oldest.number]
            self._on_drop()
        if not lane.segments:
            lane.forget_timer()
        self._list_if_due(lane)

    def _remove_begun(self, lane: "Lane") -> int:
        """Forget the post of ``lane`` that was begun; returns how many segments it had."""
        removed = lane.begun
        for _ in range(removed):
            del self._lanes[lane.segments.popleft().number]
        lane.trial = None
        lane.end_pause()
        return removed

    def _look_if_settled(self) -> None:
        if not self._lanes:
            self._settled.set()


@dataclass(slots=True)
class Trial:
    """A post that was begun, and how it went so far.

    Attributes:
        post: The same at every attempt.
        failures: Attempts in vain, refusals included.
        refusals: Attempts that the service refused.
    """

    post: Post
    failures: int = 0
    refusals: int = 0


class Lane:
    """One session's segments on their way.

    Attributes:
        session: Whose they are.
        segments: All that are not settled, the oldest first; those of ``trial`` come first.
        trial: The post that was begun; None if there is none.
        is_busy: It is under way.
        is_listed: The session waits for its turn.
        is_ended: No segment will be added.
        is_overdue: The oldest one has waited for others for long enough.
    """

    def __init__(self, session: SessionFacts, backlog: Backlog) -> None:
        self.session = session
        self.segments = deque[_Waiting]()
        self.trial: Trial | None = None
        self.is_busy = False
        self.is_listed = False
        self.is_ended = False
        self.is_overdue = False
        self._backlog = backlog
        self._numbers = count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None

    @property
    def begun(self) -> int:
        """Segments of the post that was begun."""
        return 0 if self.trial is None else len(self.trial.post.segments)

    @property
    def is_pausing(self) -> bool:
        """The post that was begun waits for its next attempt."""
        return self._pause is not None

    def is_in_flight(self, number: int) -> bool:
        """Whether the segment of that number in the order over all sessions is being posted."""
        return self.is_busy and number <= self.segments[self.begun - 1].number

    def add(self, segment: Segment, language: str | None) -> None:
        """A segment of the session is final."""
        self._backlog.add(self, final_segment(next(self._numbers), segment, language))

    def end(self) -> None:
        """The session has ended."""
        self._backlog.end(self)

    def call_when_overdue(self, look: Callable[["Lane"], None]) -> None:
        """Become overdue, and call ``look``, when it is time, unless that was arranged before."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self.segments[0].due_at, self._become_overdue, look)

    def forget_timer(self) -> None:
        """What waited is taken; what comes next waits anew."""
        self.is_overdue = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause(self, delay_s: float, look: Callable[["Lane"], None]) -> None:
        """Let the post that was begun wait, then call ``look``."""
        self._pause = asyncio.get_running_loop().call_later(delay_s, self._resume, look)

    def end_pause(self) -> None:
        """The post that was begun need not wait any longer. Idempotent."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _resume(self, look: Callable[["Lane"], None]) -> None:
        self._pause = None
        look(self)

    def _become_overdue(self, look: Callable[["Lane"], None]) -> None:
        self.is_overdue = True
        look(self)


@dataclass(frozen=True, slots=True)
class _Waiting:
    number: int  # in the order over all sessions
    due_at: float  # on the event loop's clock
    segment: FinalSegment
