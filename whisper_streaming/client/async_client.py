"""The client for asyncio programs."""

from collections.abc import AsyncIterable, AsyncIterator
from types import TracebackType

from whisper_streaming.client.async_connection import AsyncConnection
from whisper_streaming.client.async_source import ArrayReader, AsyncReader, ThreadReader
from whisper_streaming.client.base import ClientBase
from whisper_streaming.client.result import TranscriptionResult, TranscriptUpdate
from whisper_streaming.client.source import AudioArray, AudioInput, Pacer, PushedAudio
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.errors import AudioSourceError, ClientError
from whisper_streaming.media import RawFormat

AsyncAudioInput = AudioInput | AsyncIterable[AudioArray]


class AsyncTranscriptionClient(ClientBase):
    """Transcribes through a server, in an event loop. See :class:`ClientBase` for the settings.

    ``await client.transcribe("a.wav")`` is one whole session. ``async with client:`` opens one
    to push audio into with :meth:`send` and :meth:`finish`; ``async for update in client``
    gives every state of its transcript, in another task or after a send.
    """

    _connection: AsyncConnection | None = None
    _pushed: PushedAudio | None = None

    async def __aenter__(self) -> "AsyncTranscriptionClient":
        """Open a session.

        Raises:
            ServerRefused: The server is full or does not take the session.
            ConnectionLost: The server does not answer.
        """
        await self._open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop the session; what :meth:`finish` did not wait for is lost."""
        await self._close()

    async def __aiter__(self) -> AsyncIterator[TranscriptUpdate]:
        async for update in self._running().updates():
            yield update

    async def transcribe(
        self,
        source: AsyncAudioInput = None,
        *,
        sample_rate: int = SAMPLE_RATE,
        channels: int = 1,
        raw_format: RawFormat | None = None,
    ) -> TranscriptionResult:
        """Transcribe ``source`` to its end or until :meth:`stop`.

        Uses the session of ``async with``, once; without it, one of its own.

        Args:
            source: As in ``TranscriptionClient``; also an async iterable of arrays.
            sample_rate: Rate of arrays and of raw samples, in Hz.
            channels: Channels of raw samples.
            raw_format: Standard input or the file object holds headerless samples of this type.

        Raises:
            AudioSourceError: The source cannot be used; with the result so far if it broke later.
            ServerRefused: The server is full or does not take the session.
            ServerFailed: The server reported an error.
            ConnectionLost: The server does not answer, or the connection broke.
        """
        form = self._source_format(sample_rate, channels, raw_format)
        if isinstance(source, AsyncIterable):
            return await self._transcribe(ArrayReader(source, form))
        async with ThreadReader(source, form) as reader:
            return await self._transcribe(reader)

    async def send(self, samples: AudioArray, sample_rate: int = SAMPLE_RATE) -> None:
        """Push audio into the session of ``async with``; waits while the server takes none.

        Args:
            samples: int16, or float in [-1, 1]; shape (n,) or (n, channels).
            sample_rate: Their rate in Hz, the same in all calls of a session.

        Raises:
            AudioSourceError: The array cannot be audio.
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke, or the session's time is over;
                :meth:`finish` gives the transcript.
        """
        connection = self._running()
        pushed = self._pushed or PushedAudio(sample_rate)
        mono = pushed.receive(samples, sample_rate)
        self._pushed = pushed  # not before: a first call that fails must not fix the rate
        await connection.send(mono)

    async def finish(self) -> TranscriptionResult:
        """End the audio that was pushed with :meth:`send`, and wait for the last words.

        Raises:
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke before they came.
        """
        connection = self._running()
        pushed, self._pushed = self._pushed, None
        if pushed is not None:
            await connection.send_chunk(pushed.flush())
        return await connection.finish()

    def stop(self) -> None:
        """Make a running :meth:`transcribe` stop listening; it returns with the last words."""
        if self._connection is not None:
            self._connection.stop()

    async def _transcribe(self, reader: AsyncReader) -> TranscriptionResult:
        is_own_session = self._connection is None
        connection = self._connection or await self._open()
        try:
            await self._send_chunks(reader, connection)
            return await connection.finish()
        except AudioSourceError as exc:
            exc.result = await connection.finish()
            raise
        finally:
            if is_own_session:
                await self._close()

    async def _send_chunks(self, reader: AsyncReader, connection: AsyncConnection) -> None:
        # A stock server throws audio away that comes faster than it decodes.
        is_paced = self.realtime or connection.session.is_stock_server
        pacer = Pacer() if is_paced and not reader.is_live else None
        while (chunk := await reader.read()) is not None:
            delay_s = pacer.delay_s(len(chunk)) if pacer is not None else 0.0
            if not await connection.may_send_after(delay_s):
                return
            await connection.send_chunk(chunk)

    async def _open(self) -> AsyncConnection:
        if self._connection is not None:
            raise ClientError("a session is running: leave its async with first")
        connection = AsyncConnection(
            self._new_session(), self._new_listener(), self._target(), self.connect_timeout_s
        )
        await connection.__aenter__()
        self._connection = connection
        return connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._pushed = None
        if connection is not None:
            await connection.__aexit__(None, None, None)

    def _running(self) -> AsyncConnection:
        if self._connection is None:
            raise ClientError("no session is running: open one with async with")
        return self._connection
