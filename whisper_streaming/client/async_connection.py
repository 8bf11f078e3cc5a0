"""One WebSocket to a server for the asyncio client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from whisper_streaming.client.base import Listener
from whisper_streaming.client.conversation import ClientSession, Phase
from whisper_streaming.client.result import TranscriptionResult, TranscriptUpdate
from whisper_streaming.client.target import Target
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import ClientError, ConnectionLost

# Generous, because a server that is behind reads our pongs late.
_PING_TIMEOUT_S: Final = 60.0
_CLOSE_TIMEOUT_S: Final = 5.0
_MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024


class AsyncConnection:
    """A session over a socket, as an async context manager: entering connects.

    Args:
        session: The protocol's state.
        listener: Who is told about updates; called in the event loop.
        target: Where the server is.
        connect_timeout_s: How long to wait for the connection.
    """

    def __init__(
        self, session: ClientSession, listener: Listener, target: Target, connect_timeout_s: float
    ) -> None:
        self.session = session
        self._listener = listener
        self._target = target
        self._connect_timeout_s = connect_timeout_s
        self._changed = asyncio.Event()
        self._version = 0
        self._is_stopped = False
        self._socket: ClientConnection | None = None
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> "AsyncConnection":
        """Connect and wait until the server takes the session.

        Raises:
            ServerRefused: It does not take it.
            ConnectionLost: It does not answer.
        """
        self._socket = await self._connect()
        async with AsyncExitStack() as cleanup:
            tasks = asyncio.TaskGroup()
            await tasks.__aenter__()
            # Not entered by the stack: the group would wrap the session's errors in another one.
            cleanup.push_async_callback(tasks.__aexit__, None, None, None)
            cleanup.push_async_callback(self._close, self._socket)
            tasks.create_task(self._read(self._socket), name="whisper-streaming-read")
            await self._send(self.session.opening_message())
            await self._wait_until(lambda: self.session.phase is not Phase.OPENING)
            self.session.raise_for_error()
            self._exit = cleanup.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop the connection."""
        await self._exit.aclose()

    async def send(self, samples: FloatArray) -> None:
        """Send samples; waits while the server takes none.

        A cancelled call may have sent a part of them, in whole messages.

        Raises:
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke, or the server ended the session.
        """
        for message in self.session.audio_messages(samples):
            self.session.raise_for_error()
            if not self.session.takes_audio:
                lost = ConnectionLost("the server ended the session: its time is over")
                lost.result = self.session.result()
                raise lost
            await self._send(message)
        self.session.raise_for_error()

    async def send_chunk(self, samples: FloatArray) -> None:
        """Send samples of a source; the rest is left out once the session is over."""
        for message in self.session.audio_messages(samples):
            if self._must_stop_sending():
                return
            await self._send(message)

    async def may_send_after(self, delay_s: float) -> bool:
        """Wait until the next audio is due; false if none is wanted any more."""
        try:
            async with asyncio.timeout(delay_s):
                await self._wait_until(self._must_stop_sending)
        except TimeoutError:
            return not self._must_stop_sending()
        return False

    def stop(self) -> None:
        """Make :meth:`may_send_after` say no."""
        self._is_stopped = True
        self._changed.set()

    async def finish(self) -> TranscriptionResult:
        """Tell the end of the audio and wait for the last words.

        Raises:
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke before they came.
        """
        session = self.session
        if session.needs_settling:
            await self._send(session.settling_message())
        await self._wait_until(lambda: session.phase is not Phase.SETTLING)
        if session.needs_ending:
            await self._send(session.ending_message())
        await self._wait_until(lambda: session.phase is Phase.CLOSED)
        session.raise_for_error()
        return session.result()

    async def updates(self) -> AsyncIterator[TranscriptUpdate]:
        """Every new state of the transcript until the session ends.

        A slow reader misses states, never words: each state holds the whole transcript.

        Raises:
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke.
        """
        seen = 0
        while True:
            await self._wait_until(
                lambda seen=seen: self._version > seen or self.session.phase is Phase.CLOSED  # type: ignore[misc]
            )
            if self._version == seen:
                self.session.raise_for_error()
                return
            seen = self._version
            yield self.session.update()

    def _must_stop_sending(self) -> bool:
        return self._is_stopped or not self.session.takes_audio

    async def _connect(self) -> ClientConnection:
        target = self._target
        try:
            return await connect(
                target.url,
                additional_headers=target.headers(),
                ssl=target.ssl_context(),
                proxy=None if target.is_loopback else True,
                compression=None,  # float samples do not get smaller
                open_timeout=self._connect_timeout_s,
                close_timeout=_CLOSE_TIMEOUT_S,
                ping_timeout=_PING_TIMEOUT_S,
                max_size=_MAX_MESSAGE_BYTES,
            )
        except InvalidStatus as exc:
            body = bytes(exc.response.body or b"").decode("utf-8", "replace")
            raise target.refused(exc.response.status_code, body) from exc
        except (WebSocketException, OSError, ValueError) as exc:  # a name too long is the last
            raise target.unreachable(exc) from exc

    async def _send(self, message: str | bytes) -> None:
        if self._socket is None:
            raise ClientError("the connection is not open")
        try:
            await self._socket.send(message)
        except ConnectionClosed as exc:
            # The reader sees the same close; what the server said before it counts more.
            await self._wait_until(lambda: self.session.phase is Phase.CLOSED)
            self.session.fail(ConnectionLost(f"the connection broke ({exc})"))

    async def _wait_until(self, is_reached: Callable[[], bool]) -> None:
        while not is_reached():
            self._changed.clear()
            try:
                async with asyncio.timeout(self.session.remaining_s()):
                    await self._changed.wait()
            except TimeoutError:
                if self.session.remaining_s() == 0:
                    self.session.receive_timeout()
                    self._changed.set()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                self._receive(message)
            self.session.receive_close(socket.close_code, socket.close_reason or "")
        except ConnectionClosed as exc:
            code = exc.rcvd.code if exc.rcvd is not None else None
            self.session.receive_close(code, exc.rcvd.reason if exc.rcvd is not None else str(exc))
        finally:
            self._changed.set()

    def _receive(self, message: str | bytes) -> None:
        update = self.session.receive(message)
        notices = self.session.take_notices()
        if update is not None:
            self._version += 1
        self._changed.set()
        self._listener.receive_notices(notices)
        if update is not None:
            self._listener.receive_update(update)

    async def _close(self, socket: ClientConnection) -> None:
        if self.session.phase is not Phase.CLOSED:
            self.session.fail(ClientError("the session was closed before it was finished"))
        await socket.close()
