"""The blocking client: call it with a source, or push samples into it."""

from contextlib import closing
from types import TracebackType

from whisper_streaming.client.base import ClientBase
from whisper_streaming.client.connection import Connection
from whisper_streaming.client.result import TranscriptionResult
from whisper_streaming.client.source import AudioArray, AudioInput, PushedAudio, open_source
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.errors import ClientError
from whisper_streaming.media import RawFormat


class TranscriptionClient(ClientBase):
    """Transcribes a source through a server, without an event loop.

    ``client()`` listens to the microphone, ``client("a.wav")`` reads a file or URL,
    ``client("-")`` standard input, ``client(arrays)`` a program's audio. Or push audio with
    :meth:`send` and end with :meth:`finish`. Each is one session; a client can run many, one
    after the other. See :class:`ClientBase` for the settings.
    """

    _connection: Connection | None = None
    _pushed: PushedAudio | None = None

    def __call__(
        self,
        source: AudioInput = None,
        *,
        sample_rate: int = SAMPLE_RATE,
        channels: int = 1,
        raw_format: RawFormat | None = None,
    ) -> TranscriptionResult:
        """Transcribe ``source`` to its end. Ctrl-C ends it early, with all words spoken so far.

        Args:
            source: None for the microphone, a path, a URL, ``"-"`` for standard input, a binary
                file object, an array, or an iterable of arrays (int16, or float in [-1, 1]).
            sample_rate: Rate of arrays and of raw samples, in Hz.
            channels: Channels of raw samples.
            raw_format: Standard input or the file object holds headerless samples of this type.

        Raises:
            AudioSourceError: The source cannot be used; with the result so far if it broke later.
            ServerRefused: The server is full or does not take the session.
            ServerFailed: The server reported an error.
            ConnectionLost: The server does not answer, or the connection broke.
        """
        if self._connection is not None:
            raise ClientError("a session is running: end it with finish() first")
        form = self._source_format(sample_rate, channels, raw_format)
        with closing(open_source(source, form)) as audio:
            try:
                return self._connect().stream(audio, realtime=self.realtime)
            finally:
                self.close()

    def send(self, samples: AudioArray, sample_rate: int = SAMPLE_RATE) -> None:
        """Push audio; the first call connects and waits until the server is ready.

        Args:
            samples: int16, or float in [-1, 1]; shape (n,) or (n, channels).
            sample_rate: Their rate in Hz, the same in all calls of a session.

        Raises:
            AudioSourceError: The array cannot be audio.
            ServerRefused: The server is full or does not take the session.
            ServerFailed: The server reported an error.
            ConnectionLost: The server does not answer, or the connection broke, or the session's
                time is over; :meth:`finish` gives the transcript.
        """
        pushed = self._pushed or PushedAudio(sample_rate)
        mono = pushed.receive(samples, sample_rate)
        connection = self._connection or self._connect()
        self._pushed = pushed  # not before: a first call that fails must not fix the rate
        connection.send(mono)

    def finish(self) -> TranscriptionResult:
        """End the audio that was pushed with :meth:`send`, and wait for the last words.

        Raises:
            ClientError: Nothing was sent, or it was called from a callback.
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke before they came.
        """
        connection = self._connection
        if connection is None:
            raise ClientError("there is nothing to finish: send() audio first")
        if connection.is_in_callback:
            raise ClientError("finish() was called from the callback: call stop() there")
        try:
            if self._pushed is not None:
                connection.send_chunk(self._pushed.flush())
            return connection.finish()
        finally:
            self.close()

    def stop(self) -> None:
        """Make a running ``client(...)`` stop listening; it returns when the last words came.

        For callbacks and other threads. Does nothing while no session runs.
        """
        connection = self._connection
        if connection is not None:
            connection.stop()

    def close(self) -> None:
        """Drop the running session, if any, without waiting for its last words."""
        connection, self._connection = self._connection, None
        self._pushed = None
        if connection is not None:
            connection.close()

    def __enter__(self) -> "TranscriptionClient":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _connect(self) -> Connection:
        connection = Connection(self._new_session(), self._new_listener())
        self._connection = connection
        try:
            connection.open(self._target(), self.connect_timeout_s)
        except BaseException:
            self.close()
            raise
        return connection
