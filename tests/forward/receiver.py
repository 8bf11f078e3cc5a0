"""A real HTTP service on a free port that answers as it is told, and checks what it gets."""

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 20.0

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[bool]]
"""Answers one request; whether it was accepted."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def texts(self) -> list[str]:
        return [segment["text"] for segment in self.content["segments"]]


def status(code: int, headers: str = "", body: bytes = b"{}") -> Behaviour:
    """Answer with a status."""

    async def answer(writer: asyncio.StreamWriter) -> bool:
        head = f"HTTP/1.1 {code} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return 200 <= code < 300

    return answer


def when(gate: asyncio.Event) -> Behaviour:
    """Accept once ``gate`` is open; a hanging service where it never is."""

    async def answer(writer: asyncio.StreamWriter) -> bool:
        await gate.wait()
        return await status(200)(writer)

    return answer


async def hang_up(writer: asyncio.StreamWriter) -> bool:
    """Close the connection without an answer, as a service that dies does."""
    writer.close()
    return False


async def hang_up_after_accepting(writer: asyncio.StreamWriter) -> bool:
    """The post was taken, and its sender never hears of it."""
    writer.close()
    return True


async def break_off_after_the_status(writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    return True


ACCEPT = status(200)


class Receiver:
    """Takes posts. ``behaviours`` answer the first ones, in order; the rest is accepted.

    Attributes:
        requests: All that came.
        accepted: Those that the service took, doubles included.
    """

    def __init__(self, *behaviours: Behaviour) -> None:
        self.requests: list[Received] = []
        self.accepted: list[Received] = []
        self.port = 0
        self._behaviours = deque(behaviours)
        self._arrived = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/captions"

    @property
    def segments(self) -> dict[str, str]:
        """The texts of all segments by id, in the order in which they came first."""
        found: dict[str, str] = {}
        for request in self.accepted:
            for segment in request.content["segments"]:
                assert found.setdefault(segment["id"], segment["text"]) == segment["text"]
        return found

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is looked at after each request."""
        async with asyncio.timeout(TIMEOUT_S), self._arrived:
            await self._arrived.wait_for(condition)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while not writer.is_closing():
                await self._take(await _read(reader), writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _take(self, request: Received, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        await self._tell()
        behaviour = self._behaviours.popleft() if self._behaviours else ACCEPT
        if await behaviour(writer):
            self.accepted.append(request)
            await self._tell()

    async def _tell(self) -> None:
        async with self._arrived:
            self._arrived.notify_all()


@asynccontextmanager
async def receiving(*behaviours: Behaviour) -> AsyncIterator[Receiver]:
    """A running receiver."""
    receiver = Receiver(*behaviours)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()


def is_signed(request: Received, secret: str) -> bool:
    """What a service does: look at the signature, with nothing of ours."""
    timestamp = request.headers["x-whisper-streaming-timestamp"]
    signed = timestamp.encode() + b"." + request.body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    given = request.headers["x-whisper-streaming-signature"]
    return hmac.compare_digest(given, f"sha256={expected}")


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    assert method == "POST"
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Received(path, headers, await reader.readexactly(int(headers["content-length"])))
