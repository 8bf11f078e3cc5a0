"""One WebSocket to a server for the blocking client: a thread reads, the caller sends."""

import logging
import struct
import threading
from collections.abc import Callable
from typing import Final

import websocket

from whisper_streaming.client.base import Listener
from whisper_streaming.client.conversation import ClientSession, Phase
from whisper_streaming.client.interrupts import InterruptShield
from whisper_streaming.client.result import TranscriptionResult
from whisper_streaming.client.source import AudioSource, Pacer
from whisper_streaming.client.target import Target
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import AudioSourceError, ClientError, ConnectionLost

# A server that takes nothing at all for that long is gone. A vanished machine is noticed
# earlier, by the TCP keep-alive that websocket-client turns on.
IO_TIMEOUT_S: Final = 60.0

# After a failed send the server's last message may still be on its way to the reader.
_LAST_MESSAGE_TIMEOUT_S: Final = 5.0
_PIECE_S: Final = 0.5

logger = logging.getLogger("whisper_streaming.client")


class Connection:
    """A session over a socket. Send from one thread; callbacks run in the reading thread.

    Args:
        session: The protocol's state, shared by both threads under one lock.
        listener: Who is told about updates.
    """

    def __init__(self, session: ClientSession, listener: Listener) -> None:
        self._session = session
        self._listener = listener
        self._changed = threading.Condition()
        self._is_stopped = False
        self._socket: websocket.WebSocket | None = None
        self._reader: threading.Thread | None = None
        self._shield = InterruptShield()

    @property
    def is_in_callback(self) -> bool:
        """Whether the caller runs inside of a callback, where waiting would wait for itself."""
        return threading.current_thread() is self._reader

    def open(self, target: Target, connect_timeout_s: float) -> None:
        """Connect and wait until the server takes the session.

        Raises:
            ServerRefused: It does not take it.
            ConnectionLost: It does not answer.
        """
        self._socket = _connect(target, connect_timeout_s)
        self._socket.settimeout(IO_TIMEOUT_S)
        self._reader = threading.Thread(
            target=self._read, args=(self._socket,), name="whisper-streaming-reader", daemon=True
        )
        self._reader.start()
        self._send(self._session.opening_message(), websocket.ABNF.OPCODE_TEXT)
        self._wait_until(lambda: self._session.phase is not Phase.OPENING)
        self._session.raise_for_error()

    def stream(self, source: AudioSource, *, realtime: bool) -> TranscriptionResult:
        """Send ``source`` to its end, until Ctrl-C or :meth:`stop`, and wait for the last words.

        Raises:
            AudioSourceError: The source broke; what it gave before is transcribed.
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke.
        """
        # A stock server throws audio away that comes faster than it decodes.
        is_paced = not source.is_live and (realtime or self._session.is_stock_server)
        with self._shield.installed():
            was_interrupted = False
            try:
                self._send_chunks(source, Pacer() if is_paced else None)
            except KeyboardInterrupt:
                was_interrupted = True
                logger.info("interrupted: waiting for the last words")
            except AudioSourceError as exc:
                exc.result = self.finish()
                raise
            source.close()
            try:
                return self.finish()
            except KeyboardInterrupt:
                if was_interrupted:
                    raise  # the second Ctrl-C means it
                return self.finish()

    def send(self, samples: FloatArray) -> None:
        """Send samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].

        Raises:
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke, or the server ended the session.
        """
        for message in self._session.audio_messages(samples):
            self._session.raise_for_error()
            if not self._session.takes_audio:
                lost = ConnectionLost("the server ended the session: its time is over")
                lost.result = self._session.result()
                raise lost
            self._send(message, websocket.ABNF.OPCODE_BINARY)
        self._session.raise_for_error()

    def send_chunk(self, samples: FloatArray) -> None:
        """Send samples of a source; the rest is left out once the session is over."""
        for message in self._session.audio_messages(samples):
            if self._must_stop_sending():
                return
            self._send(message, websocket.ABNF.OPCODE_BINARY)

    def stop(self) -> None:
        """Make :meth:`stream` stop sending; for other threads and callbacks."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def finish(self) -> TranscriptionResult:
        """Tell the end of the audio and wait for the last words.

        Raises:
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke before they came.
        """
        session = self._session
        # Can be entered again after Ctrl-C: each message is made and sent as one step.
        with self._shield.held():
            with self._changed:
                message = session.settling_message() if session.needs_settling else None
            self._send(message, websocket.ABNF.OPCODE_BINARY)
        self._wait_until(lambda: session.phase is not Phase.SETTLING)
        with self._shield.held():
            with self._changed:
                message = session.ending_message() if session.needs_ending else None
            self._send(message, websocket.ABNF.OPCODE_BINARY)
        self._wait_until(lambda: session.phase is Phase.CLOSED)
        self.close()
        session.raise_for_error()
        return session.result()

    def close(self) -> None:
        """Drop the connection. Idempotent."""
        if self._socket is None:
            return
        self._socket.abort()  # type: ignore[no-untyped-call]  # the library has no type there
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(timeout=_LAST_MESSAGE_TIMEOUT_S)
        self._socket.shutdown()  # type: ignore[no-untyped-call]  # the library has no type there
        self._socket = None

    def _send_chunks(self, source: AudioSource, pacer: Pacer | None) -> None:
        for chunk in source:
            delay_s = pacer.delay_s(len(chunk)) if pacer is not None else 0.0
            with self._changed:
                self._changed.wait_for(self._must_stop_sending, timeout=delay_s)
                if self._must_stop_sending():
                    return
            self.send_chunk(chunk)

    def _must_stop_sending(self) -> bool:
        return self._is_stopped or not self._session.takes_audio

    def _send(self, message: str | bytes | None, opcode: int) -> None:
        """Send one message; a failure ends the session, with the server's own word if it comes."""
        if message is None or self._socket is None or self._session.phase is Phase.CLOSED:
            return
        try:
            with self._shield.held():
                self._socket.send(message, opcode)
        except (websocket.WebSocketException, OSError) as exc:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._session.phase is Phase.CLOSED, timeout=_LAST_MESSAGE_TIMEOUT_S
                )
                self._session.fail(
                    ConnectionLost(f"the server takes no audio any more ({exc}): is it running?")
                )

    def _wait_until(self, is_reached: Callable[[], bool]) -> None:
        with self._changed:
            while not is_reached():
                remaining_s = self._session.remaining_s()
                if remaining_s is not None and remaining_s <= 0:
                    self._session.receive_timeout()
                else:
                    # In pieces: Ctrl-C does not end a wait on Windows, nor where the system gives
                    # the signal to another thread.
                    self._changed.wait(min(remaining_s or _PIECE_S, _PIECE_S))

    def _read(self, socket: websocket.WebSocket) -> None:
        try:
            self._read_messages(socket)
        except BaseException as exc:
            # Such as sys.exit() in a callback: it ends this thread and not the program, which
            # would go on sending and never hear of anything again.
            with self._changed:
                self._session.fail(
                    ClientError(f"a callback raised {exc!r}: call stop() there to end a session")
                )
                self._changed.notify_all()
            if not isinstance(exc, SystemExit):
                raise

    def _read_messages(self, socket: websocket.WebSocket) -> None:
        while True:
            try:
                opcode, payload = socket.recv_data()
            except websocket.WebSocketTimeoutException:
                continue  # nobody spoke for a while; the waits have their own patience
            except (websocket.WebSocketException, OSError, ValueError) as exc:
                self._receive_close(None, str(exc))
                return
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self._receive_close(*_parse_close(payload))
                return
            is_text = opcode == websocket.ABNF.OPCODE_TEXT
            self._receive(payload.decode("utf-8") if is_text else payload)

    def _receive(self, message: str | bytes) -> None:
        with self._changed:
            update = self._session.receive(message)
            notices = self._session.take_notices()
            self._changed.notify_all()
        self._listener.receive_notices(notices)
        if update is not None:
            self._listener.receive_update(update)

    def _receive_close(self, code: int | None, reason: str) -> None:
        with self._changed:
            self._session.receive_close(code, reason)
            self._changed.notify_all()


def _connect(target: Target, timeout_s: float) -> websocket.WebSocket:
    context = target.ssl_context()
    try:
        return websocket.create_connection(
            target.url,
            timeout=timeout_s,
            header=target.headers(),
            sslopt={"context": context} if context is not None else None,
            suppress_origin=True,  # an Origin is a browser's; servers check it against a list
        )
    except websocket.WebSocketBadStatusException as exc:
        body = exc.resp_body or b""
        raise target.refused(exc.status_code, body.decode("utf-8", "replace")) from exc
    except (websocket.WebSocketException, OSError, ValueError) as exc:
        raise target.unreachable(exc) from exc


def _parse_close(payload: bytes) -> tuple[int, str]:
    if len(payload) < 2:
        return 1005, ""
    (code,) = struct.unpack("!H", payload[:2])
    return code, payload[2:].decode("utf-8", "replace")
