"""What a session needs of its peer and of the peer's protocol."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, TypeVar

from whisper_streaming.core.events import Event
from whisper_streaming.errors import MessageTooLarge, SlowConsumer
from whisper_streaming.wire.base import Command

Message = TypeVar("Message")
_Sent = TypeVar("_Sent", contravariant=True)


class Connection(Protocol[_Sent]):
    """What a session needs of its peer; ``ConnectionClosed`` says that it is gone."""

    async def recv(self) -> str | bytes: ...

    async def send(self, message: _Sent, /) -> None: ...


class Socket(Connection[str], Protocol):
    """A WebSocket."""

    async def close(self, code: int = 1000, reason: str = "") -> None: ...


class SessionCodec(Protocol[Message]):
    """What a session needs of a :class:`~whisper_streaming.wire.base.ServerCodec`."""

    def receive(self, message: str | bytes) -> list[Command]: ...

    def encode(self, events: Sequence[Event], lag_s: float = 0.0) -> list[Message]: ...


def check_size(message: str | bytes, max_bytes: int) -> None:
    """Refuse a message that is too large, in words; the library would cut the connection.

    Raises:
        MessageTooLarge: If it has more than ``max_bytes`` bytes, or characters.
    """
    if len(message) > max_bytes:
        raise MessageTooLarge(len(message), max_bytes)


async def send(socket: Connection[Message], message: Message, timeout_s: float | None) -> None:
    """Send ``message``.

    Raises:
        SlowConsumer: If the peer takes nothing for ``timeout_s``.
        ConnectionClosed: If it is gone.
    """
    try:
        async with asyncio.timeout(timeout_s):
            await socket.send(message)
    except TimeoutError as exc:
        raise SlowConsumer(f"the client took no message for {timeout_s:g} s") from exc
