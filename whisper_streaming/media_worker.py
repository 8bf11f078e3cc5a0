"""A process that decodes streams for the server: requests on stdin, answers on stdout.

It ends when its input does, so it never outlives the server. What it may use is limited before
the first byte of a client comes.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from whisper_streaming.media_frames import Answer, Frame, FrameReader, Request
from whisper_streaming.media_memory import Turns
from whisper_streaming.media_stream import StreamDecoder, StreamLimits

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

MODULE: Final = __name__

_READ_BYTES: Final = 65_536
# The decoders need under 256 kB; the usual 8 MB for each thread would count as used memory.
_THREAD_STACK_BYTES: Final = 2**20
_LIBRARIES_BYTES: Final = 2**28  # mapped code and reserved addresses, which are no used memory
_MAX_OPEN_FILES: Final = 32


class DecoderProcess:
    """All streams of this process.

    Args:
        limits: Of each stream.
        output: File descriptor for the answers.
    """

    def __init__(self, limits: StreamLimits, output: int) -> None:
        self._limits = limits
        self._output = output
        self._lock = threading.Lock()
        self._turns = Turns()
        self._streams: dict[int, StreamDecoder | _NoDecoder] = {}

    def serve(self, source: int) -> None:
        """Obey the requests from the file descriptor ``source`` until it ends."""
        reader = FrameReader()
        while data := os.read(source, _READ_BYTES):
            for frame in reader.push(data):
                self._obey(frame)

    def _obey(self, frame: Frame) -> None:
        if frame.kind == Request.OPEN:
            self._streams[frame.stream] = self._open(frame.stream, frame.content.decode())
        elif frame.kind == Request.CLOSE:
            self._streams.pop(frame.stream).ask(Request.CLOSE)
        else:
            self._streams[frame.stream].ask(Request(frame.kind), frame.content)

    def _open(self, number: int, audio_format: str) -> "StreamDecoder | _NoDecoder":
        def send(kind: Answer, content: bytes) -> None:
            self._write(Frame(kind, number, content).encode())

        try:
            with self._turns.for_nobody():
                return StreamDecoder(audio_format, self._limits, send, self._turns)
        except RuntimeError as exc:
            return _NoDecoder(send, str(exc))

    def _write(self, data: bytes) -> None:
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._output, data) :]
            except BrokenPipeError:  # the server is gone
                os._exit(0)


class _NoDecoder:
    """A stream for which there was no memory when it began; the others go on."""

    def __init__(self, send: Callable[[Answer, bytes], None], reason: str) -> None:
        self._send = send
        self._reason = reason

    def ask(self, request: Request, content: bytes = b"") -> None:
        if request is not Request.CLOSE:
            self._send(Answer.BROKEN, self._reason.encode())


def main() -> None:
    """Serve. The first argument is the memory limit in MB, the second the limits as JSON."""
    # A service manager's stop reaches all processes of the server at once, but sessions still get
    # their last words. The end of the input, or a kill, ends this process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    limit_process(int(sys.argv[1]) * 2**20)
    threading.stack_size(_THREAD_STACK_BYTES)
    DecoderProcess(StreamLimits(**json.loads(sys.argv[2])), _reserve_output()).serve(0)
    os._exit(0)  # without waiting for threads inside the library


def limit_process(memory_bytes: int) -> None:
    """Limit memory, files and core dumps of this process, as far as the system can."""
    if resource is None:
        return
    for kind, amount in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_AS, memory_bytes + _LIBRARIES_BYTES),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),  # it would hold what people said
    ):
        _, hard = resource.getrlimit(kind)
        allowed = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        try:
            resource.setrlimit(kind, (allowed, allowed))
        except (ValueError, OSError):
            continue  # not every system has every limit


def _reserve_output() -> int:
    """The pipe for answers; what anything prints goes to the log instead of between them."""
    output = os.dup(1)
    os.dup2(2, 1)
    return output


if __name__ == "__main__":
    main()
