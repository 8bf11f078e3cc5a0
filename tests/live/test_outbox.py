"""What a slow client gets: every final, and the newest partial."""

import asyncio

import pytest

from whisper_streaming.core.events import Event, PartialUpdated, UtteranceEnded, WordsCommitted
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.errors import SlowConsumer
from whisper_streaming.live.outbox import Outbox


def partial(text: str, utterance_id: int = 1) -> PartialUpdated:
    return PartialUpdated(utterance_id, (Word(text, 0.0, 0.1),))


def committed(text: str, utterance_id: int = 1) -> WordsCommitted:
    return WordsCommitted(utterance_id, (Word(text, 0.0, 0.1),))


async def test_the_newest_partial_replaces_the_older_one_and_finals_are_kept() -> None:
    outbox = Outbox(10)
    outbox.put([partial("a"), committed("b")])
    outbox.put([committed("c"), partial("d")])

    assert await outbox.take() == [committed("b"), committed("c"), partial("d")]


async def test_an_utterance_that_ended_takes_no_later_partial_along() -> None:
    outbox = Outbox(10)
    ended = UtteranceEnded(1, 1.0)
    outbox.put([partial("a"), committed("a"), ended, partial("b", 2)])

    assert await outbox.take() == [committed("a"), ended, partial("b", 2)]


async def test_taken_partials_are_not_taken_back() -> None:
    outbox = Outbox(10)
    outbox.put([partial("a")])
    assert await outbox.take() == [partial("a")]
    outbox.put([partial("b")])

    assert await outbox.take() == [partial("b")]


async def test_take_waits_until_something_comes() -> None:
    outbox = Outbox(10)
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    outbox.put([committed("a")])

    assert await taking == [committed("a")]


async def test_a_closed_outbox_gives_what_is_left_and_then_nothing() -> None:
    outbox = Outbox(10)
    outbox.put([committed("a")])
    outbox.close()

    assert await outbox.take() == [committed("a")]
    assert await outbox.take() == []


async def test_a_cancelled_take_loses_nothing() -> None:
    outbox = Outbox(10)
    taking = asyncio.create_task(outbox.take())
    await asyncio.sleep(0)
    outbox.put([committed("a")])
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking

    assert await outbox.take() == [committed("a")]


async def test_a_full_outbox_is_a_slow_consumer() -> None:
    outbox = Outbox(3)
    events: list[Event] = [committed("a"), committed("b"), partial("c")]
    outbox.put(events)
    outbox.put([partial("d")])
    assert len(outbox) == 3

    with pytest.raises(SlowConsumer):
        outbox.put([committed("e")])
