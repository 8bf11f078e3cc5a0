"""Retries, limits and the end, in virtual time with a service in memory."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

import pytest

from tests.forward.builders import facts
from tests.live.virtual_time import in_virtual_time
from whisper_streaming.config import ForwardSettings
from whisper_streaming.core.events import UtteranceEnded, WordsCommitted
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.forward.forwarder import Forwarder
from whisper_streaming.forward.payload import Post
from whisper_streaming.forward.sender import Answer, Result
from whisper_streaming.live.input_end import Ending
from whisper_streaming.live.observers import SessionObserver

ACCEPTED = Answer(Result.ACCEPTED)
FAILED = Answer(Result.FAILED, "status 500")
REFUSED = Answer(Result.REFUSED, "status 400")


class MemorySender:
    """A service in memory: gives ``answers``, then the one that is ``usual``."""

    def __init__(
        self,
        *answers: Answer | Exception,
        usual: Answer = ACCEPTED,
        before: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.attempts: list[tuple[float, str]] = []
        self.accepted: list[Post] = []
        self.usual = usual
        self.is_closed = False
        self.most_at_once = 0
        self._now = 0
        self._answers = deque(answers)
        self._before = before

    async def send(self, post: Post) -> Answer:
        self.attempts.append((asyncio.get_running_loop().time(), post.id))
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            if self._before is not None:
                await self._before()
        finally:
            self._now -= 1
        answer = self._answers.popleft() if self._answers else self.usual
        if isinstance(answer, Exception):
            raise answer
        if answer is ACCEPTED:
            self.accepted.append(post)
        return answer

    async def close(self) -> None:
        self.is_closed = True

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.attempts]

    @property
    def texts(self) -> list[str]:
        return [each.text.strip() for post in self.accepted for each in post.segments]


def forwarder(sender: MemorySender, chance: float = 1.0, **settings: float) -> Forwarder:
    """One that is open. With ``chance`` 1 it waits for the whole time that it may."""
    chosen = ForwardSettings.model_validate({"retry_min_s": 1, "retry_max_s": 8, **settings})
    made = Forwarder(chosen, SegmentRules(), sender, shown="http://h", chance=lambda: chance)
    made.open()
    return made


def say(session: SessionObserver, *texts: str) -> None:
    """Each text becomes a segment."""
    for text in texts:
        session.receive(
            [WordsCommitted(1, (Word(f" {text}", 0.0, 0.4),)), UtteranceEnded(1, end=0.4)]
        )


@in_virtual_time
async def test_a_failing_post_is_tried_again_with_growing_waits_until_it_is_accepted() -> None:
    sender = MemorySender(*[FAILED] * 6)
    forwarding = forwarder(sender)
    say(forwarding.observe(facts("a")), "one", "two")
    await asyncio.sleep(60)

    assert [post.id for post in sender.accepted] == ["a.1-1", "a.2-2"]
    assert {post_id for _, post_id in sender.attempts[:7]} == {"a.1-1"}
    assert sender.times[:7] == [0, 1, 3, 7, 15, 23, 31]
    stats = forwarding.stats()
    assert (stats.posts, stats.forwarded, stats.failed_attempts) == (2, 2, 6)
    assert (stats.is_failing, stats.dropped, stats.refused) == (False, 0, 0)
    await forwarding.close()


@in_virtual_time
async def test_chance_shortens_a_wait_by_half_at_the_most() -> None:
    sender = MemorySender(FAILED, FAILED)
    forwarding = forwarder(sender, chance=0.0)
    say(forwarding.observe(facts()), "one")
    await asyncio.sleep(60)

    assert sender.times == [0, 0.5, 1.5]
    await forwarding.close()


@in_virtual_time
async def test_a_service_says_when_to_come_again_but_not_how_long_we_wait_at_most() -> None:
    sender = MemorySender(Answer(Result.FAILED, "", 5.0), Answer(Result.FAILED, "", 3600.0))
    forwarding = forwarder(sender)
    say(forwarding.observe(facts()), "one")
    await asyncio.sleep(60)

    assert sender.times == [0, 5, 13]
    await forwarding.close()


@in_virtual_time
async def test_a_post_that_is_refused_too_often_makes_room_for_the_next() -> None:
    sender = MemorySender(REFUSED, FAILED, REFUSED)
    forwarding = forwarder(sender, max_refusals=2, max_messages=2)
    session = forwarding.observe(facts("a"))
    say(session, "one", "two", "three")
    session.end(Ending.COMPLETE)
    await asyncio.sleep(60)

    assert [post.id for post in sender.accepted] == ["a.3-3"]
    assert forwarding.stats().refused == 2
    assert forwarding.stats().dropped == 0
    await forwarding.close()


@in_virtual_time
async def test_a_session_behind_a_failing_post_does_not_hold_up_another() -> None:
    hanging = asyncio.Event()

    class FirstHangs(MemorySender):
        async def send(self, post: Post) -> Answer:
            if post.session.id == "a":
                await hanging.wait()
            return await super().send(post)

    sender = FirstHangs()
    forwarding = forwarder(sender, connections=2)
    say(forwarding.observe(facts("a")), "one", "two")
    say(forwarding.observe(facts("b")), "three", "four")
    await asyncio.sleep(1)

    assert sender.texts == ["three", "four"]
    hanging.set()
    await forwarding.close()
    assert sender.texts == ["three", "four", "one", "two"]


class TakesNothingOf(MemorySender):
    """Fails at the posts of some sessions, as a service does that their text breaks."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names

    async def send(self, post: Post) -> Answer:
        if post.session.id in self._names:
            return FAILED
        return await super().send(post)


@in_virtual_time
async def test_posts_that_always_fail_hold_up_their_own_sessions_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = TakesNothingOf("a", "b")
    forwarding = forwarder(sender, connections=2, flush_timeout_s=0)
    for name in "abc":
        say(forwarding.observe(facts(name)), "one", "two")
    await asyncio.sleep(60)
    say(forwarding.observe(facts("d")), "three")
    await asyncio.sleep(1)

    assert [post.id for post in sender.accepted] == ["c.1-1", "c.2-2", "d.1-1"]
    assert (forwarding.stats().waiting, forwarding.stats().in_flight) == (4, 0)
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warnings[0] == "http://h did not take segments, trying again: status 500"
    assert sorted(warnings[1:]) == [
        f"http://h takes segments, but those of session {name} not, 8 attempts so far: status 500"
        for name in "ab"
    ]
    await forwarding.close()


@in_virtual_time
async def test_an_outage_costs_few_attempts_however_many_sessions_wait() -> None:
    """Else those of thousands of sessions would keep the event loop from live captions."""
    sender = MemorySender(usual=FAILED)
    forwarding = forwarder(sender, connections=4)
    for number in range(1000):
        say(forwarding.observe(facts(str(number))), "one")
    await asyncio.sleep(60)

    assert 4 * 59 <= len(sender.attempts) <= 4 * 61
    sender.usual = ACCEPTED
    await asyncio.sleep(9)  # the longest wait of a post, and the pause
    assert len(sender.accepted) == 1000
    await forwarding.close()


@in_virtual_time
async def test_no_more_posts_than_connections_are_under_way() -> None:
    sender = MemorySender(before=lambda: asyncio.sleep(1))
    forwarding = forwarder(sender, connections=3)
    for name in "abcdefg":
        say(forwarding.observe(facts(name)), "one")
    await asyncio.sleep(10)

    assert sender.most_at_once == 3
    assert len(sender.accepted) == 7
    await forwarding.close()


@in_virtual_time
async def test_memory_is_bounded_and_what_is_dropped_is_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = MemorySender(usual=FAILED)
    forwarding = forwarder(sender, max_pending=10, connections=1)
    session = forwarding.observe(facts("a"))
    say(session, "first")
    await asyncio.sleep(0.5)
    caplog.clear()
    say(session, *map(str, range(1000)))

    stats = forwarding.stats()
    assert (stats.waiting, stats.in_flight, stats.dropped) == (10, 0, 991)
    assert caplog.messages == [
        "more than 10 segments wait for http://h, so the oldest are dropped: 1 so far"
    ]
    sender.usual = ACCEPTED
    await asyncio.sleep(10)
    assert sender.texts == [*map(str, range(990, 1000))]
    assert sender.accepted[0].id == "a.992-992"
    await forwarding.close()


@in_virtual_time
async def test_an_outage_is_one_warning_and_its_end_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    forwarding = forwarder(MemorySender(*[FAILED] * 5))
    say(forwarding.observe(facts()), "one")
    await asyncio.sleep(60)
    await forwarding.close()

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "http://h did not take segments, trying again: status 500"),
        ("INFO", "http://h takes segments again, 0 wait"),
    ]


@in_virtual_time
async def test_a_fault_of_ours_in_one_post_is_tried_again_and_ends_no_other() -> None:
    sender = MemorySender(RuntimeError("a bug"))
    forwarding = forwarder(sender, connections=1)
    say(forwarding.observe(facts("a")), "one")
    say(forwarding.observe(facts("b")), "two")
    await asyncio.sleep(60)

    assert sender.texts == ["two", "one"]
    await forwarding.close()


@in_virtual_time
async def test_the_end_sends_what_waits_without_the_wait_between_attempts() -> None:
    sender = MemorySender(FAILED, FAILED, FAILED)
    forwarding = forwarder(sender, retry_min_s=100, retry_max_s=100, max_messages=5)
    session = forwarding.observe(facts("a"))
    say(session, "one", "two")
    session.end(Ending.COMPLETE)
    await asyncio.sleep(1)
    say(forwarding.observe(facts("b")), "three")
    await forwarding.close()

    assert sorted(sender.texts) == ["one", "three", "two"]
    assert asyncio.get_running_loop().time() < 2
    assert sender.is_closed


@in_virtual_time
async def test_the_end_waits_no_longer_than_it_may() -> None:
    sender = MemorySender(before=asyncio.Event().wait)
    forwarding = forwarder(sender, flush_timeout_s=3)
    say(forwarding.observe(facts()), "one", "two")
    await forwarding.close()

    assert asyncio.get_running_loop().time() == 3
    assert sender.accepted == []
    assert sender.is_closed


@in_virtual_time
async def test_an_end_that_waits_can_be_cut_short() -> None:
    sender = MemorySender(before=asyncio.Event().wait)
    forwarding = forwarder(sender, flush_timeout_s=300)
    say(forwarding.observe(facts()), "one")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(forwarding.close())
        await asyncio.sleep(1)
        forwarding.give_up()

    assert asyncio.get_running_loop().time() == 1


@in_virtual_time
async def test_an_end_that_was_given_up_before_it_began_does_not_wait() -> None:
    sender = MemorySender(before=asyncio.Event().wait)
    forwarding = forwarder(sender, flush_timeout_s=300)
    say(forwarding.observe(facts()), "one")
    forwarding.give_up()
    await forwarding.close()

    assert asyncio.get_running_loop().time() == 0


@in_virtual_time
async def test_little_is_kept_of_a_long_name_of_a_session() -> None:
    sender = MemorySender()
    forwarding = forwarder(sender)
    say(forwarding.observe(facts(uid="u" * 1_000_000)), "one")
    await forwarding.close()

    assert sender.accepted[0].session.uid == "u" * 200
