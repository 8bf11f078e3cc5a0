"""What lies between a program and its session, where the server has a socket."""

import asyncio
from typing import Generic, TypeVar

from whisper_streaming.wire.whisper_live_kit_messages import FrontData

Thing = TypeVar("Thing")


class Slot(Generic[Thing]):
    """Room for one thing: who puts a second one waits until the first is taken.

    Closed, it takes no more; what is in it can still be taken.
    """

    def __init__(self) -> None:
        self._thing: Thing | None = None
        self._is_closed = False
        self._filled = asyncio.Event()
        self._freed = asyncio.Event()

    async def put(self, thing: Thing) -> bool:
        """Put it in when there is room; False if the slot was closed before. Cancel-safe."""
        while self._thing is not None and not self._is_closed:
            self._freed.clear()
            await self._freed.wait()
        if self._is_closed:
            return False
        self._thing = thing
        self._filled.set()
        return True

    async def take(self) -> Thing | None:
        """Take it out when it is there; None once the slot is closed and empty. Cancel-safe."""
        while self._thing is None and not self._is_closed:
            self._filled.clear()
            await self._filled.wait()
        thing, self._thing = self._thing, None
        self._freed.set()
        return thing

    def close(self) -> None:
        """Wake everybody who waits. Idempotent."""
        self._is_closed = True
        self._filled.set()
        self._freed.set()


class Pipe:
    """A :class:`~whisper_streaming.live.live_session.Connection` to a program in this event loop.

    Attributes:
        audio: From the program; closing it ends the audio.
        states: To the program; closed when there will be no more.
    """

    def __init__(self) -> None:
        self.audio = Slot[bytes]()
        self.states = Slot[FrontData]()
        self._told_end = False

    async def recv(self) -> bytes:
        """The next bytes; empty ones at the end of the audio. A session that asks on waits."""
        data = await self.audio.take()
        if data is not None:
            return data
        if self._told_end:
            await asyncio.get_running_loop().create_future()
        self._told_end = True
        return b""

    async def send(self, message: FrontData, /) -> None:
        """Hand a state over; waits while the program has not taken the one before."""
        await self.states.put(message)

    def close(self) -> None:
        """The session is over: drop audio, and let the program take the last state. Idempotent."""
        self.audio.close()
        self.states.close()
