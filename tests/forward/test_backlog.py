"""When segments are due, whose turn it is, and what is dropped; in virtual time."""

import asyncio

from tests.forward.builders import facts, segment
from tests.live.virtual_time import in_virtual_time
from whisper_streaming.forward.backlog import Backlog, Lane


def backlog(batch_size: int = 1, interval_s: float = 5.0, max_waiting: int = 100) -> "Dropping":
    return Dropping(batch_size, interval_s, max_waiting)


class Dropping(Backlog):
    """Counts what it drops."""

    def __init__(self, batch_size: int, interval_s: float, max_waiting: int) -> None:
        super().__init__(batch_size, interval_s, max_waiting, self._count)
        self.dropped = 0

    def _count(self) -> None:
        self.dropped += 1

    def lane(self, name: str) -> Lane:
        return self.open_lane(facts(name))

    async def take_texts(self) -> str:
        """The next post, as session and texts, and as if it were accepted at once."""
        lane, post = await self.take()
        self.settle(lane, post)
        return f"{post.id} {' '.join(each.text.strip() for each in post.segments)}"


def say(lane: Lane, *texts: str) -> None:
    for text in texts:
        lane.add(segment(text), "en")


@in_virtual_time
async def test_a_post_is_due_when_enough_segments_wait() -> None:
    waiting = backlog(batch_size=2)
    lane = waiting.lane("a")
    say(lane, "1", "2", "3", "4", "5")

    assert await waiting.take_texts() == "a.1-2 1 2"
    assert await waiting.take_texts() == "a.3-4 3 4"
    assert asyncio.get_running_loop().time() == 0
    assert waiting.waiting == 1


@in_virtual_time
async def test_fewer_are_due_when_the_oldest_has_waited_for_the_interval() -> None:
    waiting = backlog(batch_size=3, interval_s=5.0)
    lane = waiting.lane("a")
    say(lane, "1")
    await asyncio.sleep(3)
    say(lane, "2")

    assert await waiting.take_texts() == "a.1-2 1 2"
    assert asyncio.get_running_loop().time() == 5
    await asyncio.sleep(1)
    say(lane, "3")
    assert await waiting.take_texts() == "a.3-3 3"
    assert asyncio.get_running_loop().time() == 11


@in_virtual_time
async def test_the_interval_counts_from_the_arrival_also_behind_a_slow_post() -> None:
    waiting = backlog(batch_size=2, interval_s=5.0)
    lane = waiting.lane("a")
    say(lane, "1", "2")
    taken = await waiting.take()
    say(lane, "3")
    await asyncio.sleep(100)
    waiting.settle(*taken)

    assert await waiting.take_texts() == "a.3-3 3"
    assert asyncio.get_running_loop().time() == 100


@in_virtual_time
async def test_the_end_of_a_session_makes_its_rest_due() -> None:
    waiting = backlog(batch_size=10)
    lane = waiting.lane("a")
    say(lane, "1")
    lane.end()

    assert await waiting.take_texts() == "a.1-1 1"
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_of_a_session_there_is_one_post_at_a_time_and_others_go_on() -> None:
    waiting = backlog()
    a, b = waiting.lane("a"), waiting.lane("b")
    say(a, "1", "2")
    say(b, "3", "4")
    first = await waiting.take()
    second = await waiting.take()

    assert [post.id for _, post in (first, second)] == ["a.1-1", "b.1-1"]
    assert waiting.in_flight == waiting.waiting == 2
    waiting.settle(*second)
    assert await waiting.take_texts() == "b.2-2 4"
    waiting.settle(*first)
    assert await waiting.take_texts() == "a.2-2 2"


@in_virtual_time
async def test_who_became_due_first_is_first() -> None:
    waiting = backlog()
    a, b = waiting.lane("a"), waiting.lane("b")
    say(a, "1", "2", "3")
    say(b, "4")

    order = [await waiting.take_texts() for _ in range(4)]

    assert order == ["a.1-1 1", "b.1-1 4", "a.2-2 2", "a.3-3 3"]


@in_virtual_time
async def test_when_too_many_wait_the_oldest_of_all_is_dropped_and_leaves_a_hole() -> None:
    waiting = backlog(max_waiting=3)
    a, b = waiting.lane("a"), waiting.lane("b")
    say(a, "1")
    under_way = await waiting.take()
    say(a, "2", "3")
    say(b, "4", "5")

    assert (waiting.dropped, waiting.waiting, waiting.in_flight) == (1, 3, 1)
    waiting.settle(*under_way)
    order = [await waiting.take_texts() for _ in range(3)]
    assert order == ["b.1-1 4", "a.3-3 3", "b.2-2 5"]


@in_virtual_time
async def test_a_session_whose_segments_were_all_dropped_has_no_turn() -> None:
    waiting = backlog(max_waiting=1)
    a, b = waiting.lane("a"), waiting.lane("b")
    say(a, "1")
    say(b, "2")

    assert await waiting.take_texts() == "b.1-1 2"
    assert waiting.dropped == 1
    say(a, "3")
    assert await waiting.take_texts() == "a.2-2 3"


@in_virtual_time
async def test_what_comes_after_a_drop_waits_its_own_interval() -> None:
    waiting = backlog(batch_size=2, interval_s=5.0, max_waiting=1)
    a, b = waiting.lane("a"), waiting.lane("b")
    say(a, "1")
    say(b, "2")
    await asyncio.sleep(4)
    say(a, "3")

    assert await waiting.take_texts() == "a.2-2 3"
    assert asyncio.get_running_loop().time() == 9


@in_virtual_time
async def test_closing_makes_everything_due_and_settled_is_when_all_is_done() -> None:
    waiting = backlog(batch_size=2)
    await waiting.wait_until_settled()
    say(waiting.lane("a"), "1")
    say(waiting.lane("b"), "2")
    waiting.close()

    assert await waiting.take_texts() == "a.1-1 1"
    taken = await waiting.take()
    settled = asyncio.ensure_future(waiting.wait_until_settled())
    await asyncio.sleep(1)
    assert not settled.done()
    waiting.settle(*taken)
    await settled
    assert asyncio.get_running_loop().time() == 1


@in_virtual_time
async def test_a_take_that_is_cancelled_takes_nothing() -> None:
    waiting = backlog()
    taking = asyncio.ensure_future(waiting.take())
    await asyncio.sleep(0)
    say(waiting.lane("a"), "1")
    taking.cancel()
    await asyncio.sleep(0)

    assert await waiting.take_texts() == "a.1-1 1"
