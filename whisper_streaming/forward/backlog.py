"""Segments that wait to be posted: in order within a session, and bounded over all sessions."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from whisper_streaming.core.transcript import Segment
from whisper_streaming.forward.payload import FinalSegment, Post, final_segment
from whisper_streaming.live.observers import SessionFacts


class Backlog:
    """What waits, as posts for whoever asks. For one event loop.

    A session's segments are due when there are ``batch_size`` of them, when the oldest has waited
    for ``interval_s``, and when the session has ended. Of one session there is one post at a time;
    sessions get their turns in the order in which they became due.

    Args:
        batch_size: Segments of a post at the most.
        interval_s: Longest wait for others.
        max_waiting: When more wait, the oldest is dropped. What is being posted is not counted:
            it keeps its content as long as it keeps its id.
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
        # Of each waiting segment, whose it is; the oldest first, over all sessions.
        self._waiting: OrderedDict[int, Lane] = OrderedDict()
        self._due: deque[Lane] = deque()
        self._in_flight = 0
        self._is_closed = False
        self._changed = asyncio.Event()  # something may be due
        self._settled = asyncio.Event()  # nothing waits, and nothing is being posted
        self._settled.set()

    @property
    def waiting(self) -> int:
        """Segments that wait."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Segments that are being posted."""
        return self._in_flight

    def open_lane(self, session: SessionFacts) -> "Lane":
        """The place of a session's segments; it needs no end, but is due at its end."""
        return Lane(session, self)

    async def take(self) -> tuple["Lane", Post]:
        """The next post that is due; give its lane back with :meth:`settle`.

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

    def settle(self, lane: "Lane", post: Post) -> None:
        """``post`` was accepted or given up: the session's next one may go."""
        self._in_flight -= len(post.segments)
        lane.is_busy = False
        self._list_if_due(lane)
        self._look_if_settled()

    def close(self) -> None:
        """Nothing will be added; everything is due."""
        self._is_closed = True
        for lane in self._waiting.values():
            self._list_if_due(lane)

    async def wait_until_settled(self) -> None:
        """Wait until nothing waits and nothing is being posted. Cancelling is safe."""
        await self._settled.wait()

    def add(self, lane: "Lane", segment: FinalSegment) -> None:
        """``segment`` waits in ``lane`` from now on."""
        number = next(self._order)
        due_at = asyncio.get_running_loop().time() + self._interval_s
        lane.segments.append(_Waiting(number, due_at, segment))
        self._waiting[number] = lane
        self._settled.clear()
        if len(self._waiting) > self._max_waiting:
            self._drop_oldest()
        self._list_if_due(lane)

    def end(self, lane: "Lane") -> None:
        """Nothing will be added to ``lane``."""
        lane.is_ended = True
        self._list_if_due(lane)

    def _take_from(self, lane: "Lane") -> Post:
        size = min(self._batch_size, len(lane.segments))
        taken = [lane.segments.popleft() for _ in range(size)]
        for each in taken:
            del self._waiting[each.number]
        lane.is_busy = True
        lane.forget_timer()
        self._in_flight += size
        return Post(lane.session, tuple(each.segment for each in taken))

    def _list_if_due(self, lane: "Lane") -> None:
        if lane.is_busy or lane.is_listed or not lane.segments:
            return
        is_last = lane.is_ended or self._is_closed
        if is_last or lane.is_overdue or len(lane.segments) >= self._batch_size:
            lane.is_listed = True
            self._due.append(lane)
            self._changed.set()
        else:
            lane.call_when_overdue(self._list_if_due)

    def _drop_oldest(self) -> None:
        _, lane = self._waiting.popitem(last=False)
        lane.segments.popleft()
        if not lane.segments:
            lane.forget_timer()
        self._on_drop()
        self._look_if_settled()

    def _look_if_settled(self) -> None:
        if not self._waiting and not self._in_flight:
            self._settled.set()


class Lane:
    """One session's segments on their way.

    Attributes:
        session: Whose they are.
        segments: Those that wait, the oldest first.
        is_busy: A post of the session is under way.
        is_listed: The session waits for its turn.
        is_ended: No segment will be added.
        is_overdue: The oldest one has waited for others for long enough.
    """

    def __init__(self, session: SessionFacts, backlog: Backlog) -> None:
        self.session = session
        self.segments = deque[_Waiting]()
        self.is_busy = False
        self.is_listed = False
        self.is_ended = False
        self.is_overdue = False
        self._backlog = backlog
        self._numbers = count(1)
        self._timer: asyncio.TimerHandle | None = None

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

    def _become_overdue(self, look: Callable[["Lane"], None]) -> None:
        self.is_overdue = True
        look(self)


@dataclass(frozen=True, slots=True)
class _Waiting:
    number: int  # in the order over all sessions
    due_at: float  # on the event loop's clock
    segment: FinalSegment
