"""Decodes containers (WebM, Ogg, MP4, ...) for all sessions in a few processes of their own.

The libraries that decode are large and written in C, and read what strangers send. So they run
where a crash or an overflow ends a few sessions and not the server, with limits on memory.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np

from whisper_streaming.config import MediaSettings
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import AudioDecoderError, UnsupportedAudio
from whisper_streaming.live.media_process import Channel, DecoderProcess
from whisper_streaming.media_frames import MISSING, UNREADABLE_MP4, Answer, Request
from whisper_streaming.media_memory import used_memory
from whisper_streaming.wire.container import BEGINNINGS, AudioFormat, detect_format

WORKER_MODULE: Final = "whisper_streaming.media_worker"

FEED_BYTES: Final = 2**18
"""More bytes at once are sent piece by piece, each with a timeout of its own."""

_START_ATTEMPTS: Final = 3
_CLOSE_TIMEOUT_S: Final = 5.0
_PASSED_VARIABLES: Final = (
    "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TEMP",
)  # fmt: skip

logger = logging.getLogger("whisper_streaming.media")


@dataclass(frozen=True, slots=True)
class MediaStats:
    """A snapshot.

    Attributes:
        processes: Decoder processes that run.
        streams: Streams that they decode.
        started: Processes started up to now.
        lost: Those that ended by themselves.
    """

    processes: int = 0
    streams: int = 0
    started: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """A hole in the stream: so many samples that bytes were lost or damaged of; 0 if unknown."""

    samples: int


class MediaPool:
    """The decoder processes of one event loop. They start when they are needed.

    A stream goes to the process with the fewest; a new one is started as long as every process
    has one and the settings allow it. A process without streams ends after a while.
    """

    def __init__(self, settings: MediaSettings) -> None:
        self._settings = settings
        self._processes: list[DecoderProcess] = []
        self._ending = set[DecoderProcess]()  # killed, and not known to be gone
        self._numbers = count(1)
        self._is_open = True
        self._started = 0
        self._lost = 0

    def open_stream(self) -> "MediaStream":
        """For a new session; costs nothing before its first bytes."""
        return MediaStream(self, self._settings.timeout_s)

    def stats(self) -> MediaStats:
        """What there is now."""
        return MediaStats(
            processes=len(self._processes),
            streams=sum(len(process.streams) for process in self._processes),
            started=self._started,
            lost=self._lost,
        )

    async def close(self) -> None:
        """End all processes; who still decodes gets an ``AudioDecoderError``. Idempotent."""
        self._is_open = False
        for process in [*self._processes, *self._ending]:
            process.kill()
            try:
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await process.has_ended.wait()
            except TimeoutError:
                logger.warning("decoder process %d did not end", process.pid)

    async def attach(self) -> Channel:
        """A new stream in the process that has the fewest.

        Raises:
            AudioDecoderError: If none can be started.
        """
        for _ in range(_START_ATTEMPTS):
            process = self._choose()
            channel = Channel(process, next(self._numbers))
            process.add(channel)
            try:
                await process.start(self._command(), _environment())
            except OSError as exc:
                raise AudioDecoderError(f"no decoder process can be started: {exc}") from exc
            except asyncio.CancelledError:
                channel.close()
                raise
            # Another session that was waiting for the same start may have been cancelled.
            if process.is_alive:
                return channel
        raise AudioDecoderError("decoder processes end at their start")

    def _forget(self, process: DecoderProcess, is_loss: bool) -> None:
        if process.has_ended.is_set():
            self._ending.discard(process)
        else:
            self._ending.add(process)
        if process in self._processes:
            self._processes.remove(process)
            self._lost += is_loss

    def _choose(self) -> DecoderProcess:
        if not self._is_open:
            raise AudioDecoderError("the decoder processes were closed")
        self._retire_large()
        usable = [process for process in self._processes if not process.is_retired]
        emptiest = min(usable, key=lambda process: len(process.streams), default=None)
        if emptiest is None or (emptiest.streams and len(usable) < self._settings.processes):
            emptiest = DecoderProcess(self._forget, self._settings.linger_s)
            self._processes.append(emptiest)
            self._started += 1
        return emptiest

    def _retire_large(self) -> None:
        """Free what the libraries do not give back after a stream that they could not decode."""
        limit = self._settings.memory_mb * 2**20 // 2
        for process in list(self._processes):
            if process.is_alive and not process.is_retired and used_memory(process.pid) > limit:
                logger.info("decoder process %d has grown and takes no new streams", process.pid)
                process.retire()

    def _command(self) -> list[str]:
        settings = self._settings
        limits = {
            "cpu_per_s": settings.cpu_per_s,
            "min_bytes_per_s": settings.min_bytes_per_s,
            "max_bytes_without_audio": settings.max_bytes_without_audio,
            "max_memory_bytes": settings.stream_memory_mb * 2**20,
        }
        # -P: the working directory is no place to import from.
        python = [sys.executable, "-P", "-m", WORKER_MODULE]
        return [*python, str(settings.memory_mb), json.dumps(limits)]


class MediaStream:
    """One session's stream of container bytes. Its process is chosen when the first come."""

    def __init__(self, pool: MediaPool, timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._head = b""  # too few bytes to tell the format
        self._format = AudioFormat.UNKNOWN
        self._channel: Channel | None = None
        self._samples = 0

    async def decode(self, data: bytes) -> AsyncIterator[FloatArray | Missing]:
        """Decode the next bytes; all that can be decoded by now has come when it ends.

        After a cancelled call, or an error, the stream can only be closed.

        Yields:
            float32, shape (n,), mono, 16 kHz, in [-1, 1]; at most about 10 s, never empty. Or
            what is missing at this place, at most 30 s.

        Raises:
            UnsupportedAudio: If this is no audio that can be decoded.
            AudioDecoderError: If the process ended or hangs, or none can be started.
        """
        if self._channel is not None and detect_format(data) in BEGINNINGS:
            # A recorder that was started again; what the one before left unfinished is over.
            async for samples in self._end_part():
                yield samples
        if self._channel is None:
            data = self._head + data
            audio_format = detect_format(data)
            if audio_format is None:
                self._head = data
                return
            await self._begin(audio_format)
        for begin in range(0, len(data), FEED_BYTES):
            async for samples in self._ask(Request.FEED, data[begin : begin + FEED_BYTES]):
                yield samples

    async def finish(self) -> AsyncIterator[FloatArray | Missing]:
        """Decode the rest; no bytes follow. Idempotent.

        Yields:
            As :meth:`decode`.

        Raises:
            UnsupportedAudio: If nothing in all the bytes could be decoded.
            AudioDecoderError: If the process ended or hangs.
        """
        if self._channel is None and not self._head:
            return
        async for samples in self._end_part():
            yield samples
        self._head = b""
        if self._samples == 0:
            raise UnsupportedAudio(_describe_nothing(self._format))

    def close(self) -> None:
        """Free what the stream holds. Idempotent."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    async def _begin(self, audio_format: AudioFormat) -> None:
        if audio_format is AudioFormat.UNKNOWN:
            names = ", ".join(sorted(set(AudioFormat) - {AudioFormat.UNKNOWN}))
            raise UnsupportedAudio(f"the audio is in none of the known formats: {names}")
        self._head, self._format = b"", audio_format
        self._channel = await self._pool.attach()
        self._channel.send(Request.OPEN, audio_format.encode())

    async def _end_part(self) -> AsyncIterator[FloatArray | Missing]:
        async for samples in self._ask(Request.END):
            yield samples
        self.close()

    async def _ask(
        self, request: Request, content: bytes = b""
    ) -> AsyncIterator[FloatArray | Missing]:
        if self._channel is None:
            return
        while True:
            answer = await self._channel.ask(request, content, self._timeout_s)
            if answer.kind == Answer.REFUSED:
                raise UnsupportedAudio(answer.content.decode(errors="replace"))
            if answer.kind == Answer.BROKEN:
                raise AudioDecoderError(answer.content.decode(errors="replace"))
            if answer.kind == Answer.MISSING:
                yield Missing(*MISSING.unpack(answer.content))
            elif answer.content:
                samples = np.frombuffer(answer.content, dtype="<f4").astype(np.float32, copy=False)
                self._samples += len(samples)
                yield samples
            if answer.kind == Answer.DONE:
                return
            request, content = Request.MORE, b""


def _environment() -> dict[str, str]:
    """What a decoder process needs of ours; tokens and passwords are none of it."""
    own = {name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ}
    return own | {
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        # Threads and heaps that nothing here needs, but that count as memory.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def _describe_nothing(audio_format: AudioFormat) -> str:
    if audio_format is AudioFormat.UNKNOWN:
        return "there was too little audio to tell its format"
    if audio_format is AudioFormat.MP4:
        return UNREADABLE_MP4
    return f"nothing in the {audio_format} stream could be decoded"
