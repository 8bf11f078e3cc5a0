"""Slots with room for one thing, and the two of them that lie between program and session."""

import asyncio

from whisper_streaming.live_kit import FrontData
from whisper_streaming.live_kit.pipe import Pipe, Slot


async def test_a_second_thing_waits_until_the_first_is_taken() -> None:
    slot = Slot[int]()
    assert await slot.put(1)
    putting = asyncio.ensure_future(slot.put(2))
    await asyncio.sleep(0)

    assert not putting.done()
    assert await slot.take() == 1
    assert await putting
    assert await slot.take() == 2


async def test_a_taker_waits_for_a_thing() -> None:
    slot = Slot[int]()
    taking = asyncio.ensure_future(slot.take())
    await asyncio.sleep(0)

    assert not taking.done()
    assert await slot.put(1)
    assert await taking == 1


async def test_everybody_who_puts_gets_a_turn() -> None:
    slot = Slot[int]()
    async with asyncio.TaskGroup() as tasks:
        putting = [tasks.create_task(slot.put(number)) for number in range(5)]
        taken = [await slot.take() for _ in range(5)]

    assert all(each.result() for each in putting)
    assert sorted(filter(None, taken)) == [1, 2, 3, 4]


async def test_closed_it_gives_what_is_in_it_and_takes_no_more() -> None:
    slot = Slot[int]()
    await slot.put(1)
    putting = asyncio.ensure_future(slot.put(2))
    await asyncio.sleep(0)
    slot.close()
    slot.close()

    assert not await putting
    assert not await slot.put(3)
    assert [await slot.take(), await slot.take()] == [1, None]


async def test_closing_wakes_who_waits() -> None:
    slot = Slot[int]()
    taking = asyncio.ensure_future(slot.take())
    await asyncio.sleep(0)
    slot.close()

    assert await taking is None


async def test_who_gives_up_takes_and_puts_nothing() -> None:
    slot = Slot[int]()
    taking = asyncio.ensure_future(slot.take())
    await asyncio.sleep(0)
    taking.cancel()
    await slot.put(1)
    putting = asyncio.ensure_future(slot.put(2))
    await asyncio.sleep(0)
    putting.cancel()
    await asyncio.wait({taking, putting})
    slot.close()

    assert [await slot.take(), await slot.take()] == [1, None]


async def test_the_end_of_the_audio_comes_once_and_after_it() -> None:
    pipe = Pipe()
    await pipe.audio.put(b"ab")
    pipe.audio.close()

    assert [await pipe.recv(), await pipe.recv()] == [b"ab", b""]
    asking_on = asyncio.ensure_future(pipe.recv())
    await asyncio.sleep(0)
    assert not asking_on.done()
    asking_on.cancel()


async def test_a_closed_pipe_drops_audio_and_keeps_the_last_state() -> None:
    pipe = Pipe()
    last = FrontData()
    await pipe.send(last)
    pipe.close()
    await pipe.send(FrontData())

    assert await pipe.states.take() is last
    assert await pipe.states.take() is None
    assert not await pipe.audio.put(b"ab")
