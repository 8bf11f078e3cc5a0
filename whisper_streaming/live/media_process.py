"""One process that decodes containers, as the server sees it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from whisper_streaming.errors import AudioDecoderError
from whisper_streaming.media_frames import Frame, FrameReader, Request

logger = logging.getLogger("whisper_streaming.media")


class Channel:
    """A stream as its process knows it."""

    def __init__(self, process: "DecoderProcess", number: int) -> None:
        self.number = number
        self._process = process
        self._answer: asyncio.Future[Frame] | None = None

    def send(self, request: Request, content: bytes = b"") -> None:
        self._process.write(Frame(request, self.number, content))

    async def ask(self, request: Request, content: bytes, timeout_s: float) -> Frame:
        """Send and wait for the answer.

        Raises:
            AudioDecoderError: If the process ended, or gives no answer in time.
        """
        if not self._process.is_alive:
            raise AudioDecoderError("the decoder process ended")
        self._answer = asyncio.get_running_loop().create_future()
        self.send(request, content)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._answer
        except TimeoutError as exc:
            # It may be stuck in one stream and still serve the others, but takes no more.
            self._process.is_retired = True
            raise AudioDecoderError(f"no answer from the decoder within {timeout_s:g} s") from exc

    def deliver(self, answer: Frame | AudioDecoderError) -> None:
        if self._answer is None or self._answer.done():
            return
        if isinstance(answer, Frame):
            self._answer.set_result(answer)
        else:
            self._answer.set_exception(answer)

    def close(self) -> None:
        self._process.remove(self)


class DecoderProcess(asyncio.SubprocessProtocol):
    """One decoder process, from its start to its end.

    Args:
        forget: Called when it ended; the second argument says whether it did so by itself.
        linger_s: It is ended after so long without a stream.

    Attributes:
        streams: By number.
        is_retired: It takes no new streams.
        has_ended: Set at its end.
    """

    def __init__(self, forget: Callable[["DecoderProcess", bool], None], linger_s: float) -> None:
        self.streams: dict[int, Channel] = {}
        self.is_retired = False
        self.has_ended = asyncio.Event()
        self._forget = forget
        self._linger_s = linger_s
        self._start: asyncio.Task[None] | None = None
        self._refusal: OSError | None = None  # of the system to start it
        self._transport: asyncio.SubprocessTransport | None = None
        self._is_killed = False  # by us
        self._reader = FrameReader()
        self._idle: asyncio.TimerHandle | None = None

    @property
    def is_alive(self) -> bool:
        return self._transport is not None and not self._is_killed and not self.has_ended.is_set()

    @property
    def pid(self) -> int:
        return self._transport.get_pid() if self._transport is not None else 0

    async def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it if nobody did yet.

        Raises:
            OSError: If the system does not.
        """
        if self._start is None:
            self._start = asyncio.get_running_loop().create_task(self._spawn(command, environment))
        # A session that leaves must not cancel what others wait for; and asyncio leaves pipes open
        # when it is interrupted here.
        await asyncio.shield(self._start)
        if self._refusal is not None:
            raise self._refusal

    async def _spawn(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                *command,
                stderr=None,
                env=environment,
                start_new_session=True,  # out of reach of a terminal's Ctrl-C
            )
        except OSError as exc:
            self._refusal = exc
            self._end()
            return
        except BaseException:  # the event loop ends
            self._end()
            raise
        logger.info("decoder process %d started", self.pid)
        if not self.streams:  # they all left meanwhile
            self._rest()

    def add(self, channel: Channel) -> None:
        self.streams[channel.number] = channel
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def remove(self, channel: Channel) -> None:
        """A stream ended; the last one begins the wait for another, or the end."""
        if self.streams.pop(channel.number, None) is None or not self.is_alive:
            return
        self.write(Frame(Request.CLOSE, channel.number))
        if not self.streams:
            self._rest()

    def _rest(self) -> None:
        """Without a stream: wait for another, or end."""
        if self.is_retired:
            self.kill()
        else:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._linger_s, self.kill)

    def retire(self) -> None:
        """Take no new streams, and end with the last one."""
        self.is_retired = True
        if not self.streams:
            self.kill()

    def write(self, frame: Frame) -> None:
        # Not awaited: a stream has one request under way, so little can pile up here.
        if self.is_alive and self._transport is not None:
            stdin = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
            stdin.write(frame.encode())

    def kill(self) -> None:
        """End it at once; its streams get an error. Idempotent."""
        self._is_killed = True
        self._forget(self, False)
        if self._idle is not None:
            self._idle.cancel()
        if self._transport is not None:
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()
        self._fail_streams()

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: uvloop's transports are of classes of their own.
        self._transport = cast(asyncio.SubprocessTransport, transport)
        if self._is_killed:
            self._transport.kill()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        try:
            for frame in self._reader.push(data):
                channel = self.streams.get(frame.stream)
                if channel is not None:
                    channel.deliver(frame)
        except ValueError:
            logger.exception("decoder process %d sends nonsense and is ended", self.pid)
            self.kill()

    def connection_lost(self, exc: Exception | None) -> None:
        assert self._transport is not None
        self._transport.close()
        if not self._is_killed:
            logger.warning(
                "decoder process %d ended by itself (status %s), and with it %d streams",
                self.pid,
                self._transport.get_returncode(),
                len(self.streams),
            )
        self._end()

    def _end(self) -> None:
        self.has_ended.set()
        if self._idle is not None:
            self._idle.cancel()
        self._forget(self, not self._is_killed)
        self._fail_streams()

    def _fail_streams(self) -> None:
        for channel in self.streams.values():
            channel.deliver(AudioDecoderError("the decoder process ended"))
