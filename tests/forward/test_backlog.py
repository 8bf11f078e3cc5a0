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
        lane, trial = await self.take()
        self.settle(lane)
        texts = [each.text.strip() for each in trial.post.segments]
        return f"{trial.post.id} {' '.join(texts)}"


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
    await waiting.take()
    say(lane, "3")
    await asyncio.sleep(100)
    waiting.settle(lane)

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
    begun = [await waiting.take() for _ in range(2)]

    assert [trial.post.id for _, trial in begun] == ["a.1-1", "b.1-1"]
    assert waiting.in_flight == waiting.waiting == 2
    waiting.settle(b)
    assert await waiting.take_texts() == "b.2-2 4"
    waiting.settle(a)
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
    await waiting.take()
    say(a, "2", "3")
    say(b, "4", "5")

    assert (waiting.dropped, waiting.waiting, waiting.in_flight) == (1, 3, 1)
    waiting.settle(a)
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
    lane, _ = await waiting.take()
    settled = asyncio.ensure_future(waiting.wait_until_settled())
    await asyncio.sleep(1)
    assert not settled.done()
    waiting.settle(lane)
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


@in_virtual_time
async def test_a_post_that_failed_comes_again_as_it_was_and_meanwhile_others_go() -> None:
    waiting = backlog(batch_size=2)
    a, b = waiting.lane("a"), waiting.lane("b")
    say(a, "1", "2")
    _, first = await waiting.take()
    say(a, "3", "4")
    say(b, "5", "6")
    waiting.postpone(a, 10.0)

    assert (waiting.waiting, waiting.in_flight) == (6, 0)
    assert await waiting.take_texts() == "b.1-2 5 6"
    assert asyncio.get_running_loop().time() == 0
    lane, again = await waiting.take()
    assert asyncio.get_running_loop().time() == 10
    assert lane is a
    assert again is first
    waiting.settle(a)
    assert await waiting.take_texts() == "a.3-4 3 4"


@in_virtual_time
async def test_a_post_that_waits_for_its_next_attempt_is_dropped_as_a_whole() -> None:
    """It cannot go with less than it had, because the service may have it under its id."""
    waiting = backlog(batch_size=2, max_waiting=3)
    a, b = waiting.lane("a"), waiting.lane("b")
    say(a, "1", "2")
    await waiting.take()
    waiting.postpone(a, 10.0)
    say(b, "3")
    say(a, "4", "5")

    assert (waiting.dropped, waiting.waiting) == (2, 3)
    assert await waiting.take_texts() == "a.3-4 4 5"
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_a_post_that_fails_when_the_room_is_taken_is_dropped_as_the_oldest() -> None:
    waiting = backlog(max_waiting=2)
    a, b = waiting.lane("a"), waiting.lane("b")
    say(a, "1")
    await waiting.take()
    say(b, "2", "3")
    assert waiting.dropped == 0
    waiting.postpone(a, 10.0)

    assert (waiting.dropped, waiting.waiting) == (1, 2)
    assert [await waiting.take_texts() for _ in range(2)] == ["b.1-1 2", "b.2-2 3"]
    await waiting.wait_until_settled()
    say(a, "4")
    assert await waiting.take_texts() == "a.2-2 4"
    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_closing_ends_the_wait_for_the_next_attempt() -> None:
    waiting = backlog()
    lane = waiting.lane("a")
    say(lane, "1")
    await waiting.take()
    waiting.postpone(lane, 1000.0)
    waiting.close()

    assert await waiting.take_texts() == "a.1-1 1"
    assert asyncio.get_running_loop().time() == 0
