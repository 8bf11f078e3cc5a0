"""A WebSocket server that does what a test says, over a real socket."""

import asyncio
import json
import queue
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray

END = b"END_OF_AUDIO"

Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One client as the script sees it, and a record of what it sent."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.headers = socket.request.headers if socket.request else {}
        self.options: dict[str, object] = {}
        self.pieces: list[FloatArray] = []
        self.has_ended = False
        self.arrivals: list[tuple[float, int]] = []

    @property
    def samples(self) -> FloatArray:
        return np.concatenate([np.zeros(0, np.float32), *self.pieces])

    @property
    def duration_s(self) -> float:
        return sum(len(piece) for piece in self.pieces) / SAMPLE_RATE

    async def say(self, **fields: object) -> None:
        await self.socket.send(json.dumps({"uid": self.options.get("uid"), **fields}))

    async def take_options(self) -> None:
        self.options = json.loads(await self.socket.recv())

    async def accept(self, **extra: object) -> None:
        """Take the options and say READY as our server does."""
        await self.take_options()
        fields = {"engine": "scripted", "model": "demo", **extra}
        await self.say(message="SERVER_READY", backend="faster_whisper", **fields)

    async def accept_stock(self) -> None:
        """Take the options and say READY as WhisperLive does."""
        await self.take_options()
        await self.say(message="SERVER_READY", backend="faster_whisper")

    async def hear(self, duration_s: float = float("inf")) -> None:
        """Receive until there is that much audio in all, or the end."""
        while not self.has_ended and self.duration_s < duration_s:
            message = await self.socket.recv()
            if message in (END, END.decode()):
                self.has_ended = True
            else:
                assert isinstance(message, bytes)
                self.pieces.append(np.frombuffer(message, dtype="<f4"))
                self.arrivals.append((asyncio.get_running_loop().time(), len(message) // 4))

    async def segments(self, *segments: dict[str, object]) -> None:
        await self.say(segments=list(segments))

    async def summarise(self, *, gap: int = 0) -> None:
        received = len(self.samples)
        await self.say(
            message="SESSION_SUMMARY",
            received=received,
            decoded=received - gap,
            silence=0,
            gap=gap,
            decode_s=0.5,
        )


def segment(start: float, end: float, text: str, **extra: object) -> dict[str, object]:
    """A completed segment with numeric times."""
    return {"start": start, "end": end, "text": text, "completed": True, **extra}


def partial(start: float, end: float, text: str, **extra: object) -> dict[str, object]:
    return segment(start, end, text, **extra) | {"completed": False}


def stock_segment(
    start: float, end: float, text: str, *, completed: bool = True
) -> dict[str, object]:
    """A segment as WhisperLive writes it: times are strings."""
    return {"start": f"{start:.3f}", "end": f"{end:.3f}", "text": text, "completed": completed}


@dataclass
class ScriptedServer:
    """A running server; ``peers`` are the clients so far, ``failures`` what scripts raised."""

    port: int = 0
    peers: list[Peer] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    @property
    def peer(self) -> Peer:
        assert len(self.peers) == 1, f"{len(self.peers)} clients came"
        return self.peers[0]


async def friendly(peer: Peer) -> None:
    """A whole session with our server: one partial, two captions, all accounted for."""
    await peer.accept()
    await peer.hear(0.1)
    await peer.segments(partial(0.0, 0.5, " Hello wor", committed_text=" Hello"))
    await peer.hear()
    await peer.segments(segment(0.0, 1.0, " Hello world."))
    await peer.segments(segment(0.0, 1.0, " Hello world."), segment(1.0, 2.0, " Good bye."))
    await peer.summarise()


Refuse = Callable[[ServerConnection, Request], Response | None]


@contextmanager
def running(
    script: Script,
    *,
    process_request: Refuse | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> Iterator[ScriptedServer]:
    """Serve ``script`` on a free port of this machine until the block ends."""
    record = ScriptedServer()
    started: queue.Queue[Callable[[], object]] = queue.Queue()

    async def handle(socket: ServerConnection) -> None:
        peer = Peer(socket)
        record.peers.append(peer)
        try:
            await script(peer)
        except ConnectionClosed:
            pass  # the client left, as some tests want
        except Exception as exc:
            record.failures.append(exc)
            raise

    async def serve_until_stopped() -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        async with serve(
            handle,
            "127.0.0.1",
            0,
            process_request=process_request,
            ssl=ssl_context,
            # A script that ends before it has read everything cannot see the client's close.
            close_timeout=1.0,
        ) as server:
            record.port = server.sockets[0].getsockname()[1]
            started.put(lambda: loop.call_soon_threadsafe(stopped.set))
            await stopped.wait()

    thread = threading.Thread(
        target=lambda: asyncio.run(serve_until_stopped()), name="scripted-server"
    )
    thread.start()
    stop = started.get(timeout=60)
    try:
        yield record
    finally:
        stop()
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert record.failures == []
