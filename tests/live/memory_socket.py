"""A WebSocket without a network, and a decoder without threads."""

import asyncio

from websockets.exceptions import ConnectionClosedError

from whisper_streaming.backends.base import Backend
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.engine.base import DecodeJob
from whisper_streaming.errors import WhisperStreamingError


class MemorySocket:
    """What a client puts in is received; what is sent can be read in ``sent``.

    A client that is ``deaf`` never takes a message.
    """

    def __init__(self, *, deaf: bool = False) -> None:
        self.sent: list[str] = []
        self.closed: tuple[int, str] | None = None
        self._deaf = deaf
        self._incoming: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._gone = asyncio.Event()

    def put(self, message: str | bytes) -> None:
        self._incoming.put_nowait(message)

    def vanish(self) -> None:
        self._gone.set()

    async def recv(self) -> str | bytes:
        async with asyncio.TaskGroup() as tasks:
            message = tasks.create_task(self._incoming.get())
            gone = tasks.create_task(self._gone.wait())
            await asyncio.wait({message, gone}, return_when=asyncio.FIRST_COMPLETED)
            message.cancel()
            gone.cancel()
        if message.done() and not message.cancelled():
            return message.result()
        raise ConnectionClosedError(None, None)

    async def send(self, message: str, /) -> None:
        if self._gone.is_set():
            raise ConnectionClosedError(None, None)
        if self._deaf:
            await asyncio.Event().wait()
        self.sent.append(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self.closed is None:
            self.closed = (code, reason)
        self._gone.set()


class DirectDecoder:
    """Asks a backend in the event loop; every decode takes ``takes_s`` of its clock."""

    def __init__(self, backend: Backend, *, takes_s: float = 0.0) -> None:
        self.requests: list[DecodeRequest] = []
        self.error: WhisperStreamingError | None = None
        self._backend = backend
        self._takes_s = takes_s

    async def decode(self, job: DecodeJob) -> Hypothesis:
        request = job.take()
        self.requests.append(request)
        await asyncio.sleep(self._takes_s)
        if self.error is not None:
            raise self.error
        return self._backend.decode_batch([request])[0]
