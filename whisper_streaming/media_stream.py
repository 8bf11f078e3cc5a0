"""Decoding of one stream of container bytes while it comes.

The libraries in PyAV read their input with blocking calls, so each stream has a thread, in which
the library pulls bytes. When it asks for bytes that are not there yet, everything that came before
is decoded: at that moment the last request is answered, and the thread waits for the next one.
"""

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, seconds
from whisper_streaming.errors import UnsupportedAudio
from whisper_streaming.media import MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, resample_frames
from whisper_streaming.media_clock import MAX_HOLE_S, FrameClock
from whisper_streaming.media_frames import MISSING, UNREADABLE_MP4, Answer, Request
from whisper_streaming.media_memory import MemoryAccount, Turns
from whisper_streaming.media_wav import read_wav_header

PIECE_SAMPLES: Final = 10 * SAMPLE_RATE
"""An answer with more samples is split, so that few are in memory while the session is busy."""
GRACE_CPU_S: Final = 5.0
GRACE_AUDIO_S: Final = 60.0

# Names of the library. No format that can name other files or addresses is among them.
_DEMUXERS: Final = {"WebM": "matroska", "Ogg": "ogg", "MP4": "mov", "MP3": "mp3", "FLAC": "flac"}
_WAV: Final = "WAV"
_MP4: Final = "MP4"
_MP4_FRAGMENT: Final = b"moof"
_MAX_FRAGMENTS_WITHOUT_AUDIO: Final = 3
FORMATS: Final = frozenset({*_DEMUXERS, _WAV})

_DECODERS: Final = frozenset(
    {
        "aac", "alac", "flac", "mp3", "mp3float", "opus", "libopus", "vorbis",
        "pcm_alaw", "pcm_f32le", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16le", "pcm_s24le",
        "pcm_s32le", "pcm_u8",
    }
)  # fmt: skip
_OPTIONS: Final = {
    # Without it seconds of audio are read before the first sample is given.
    "probesize": "2048",
    "analyzeduration": "0",
    "codec_whitelist": ",".join(sorted(_DECODERS)),
    "protocol_whitelist": "none",
    "max_streams": "16",
}
_BUFFER_BYTES: Final = 4096
_SKIPPED_AT_ONCE: Final = 65_536


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What one stream may cost.

    Attributes:
        cpu_per_s: Processor seconds per second of audio, beyond the first ``GRACE_CPU_S``.
        min_bytes_per_s: Bytes there must be for each second of audio, beyond ``GRACE_AUDIO_S``.
        max_bytes_without_audio: Bytes that may come without a sample in them.
        max_memory_bytes: Memory that it may hold between two messages.
    """

    cpu_per_s: float = 0.2
    min_bytes_per_s: float = 50.0
    max_bytes_without_audio: int = 8 * 2**20
    max_memory_bytes: int = 32 * 2**20


class StreamDecoder:
    """One stream, decoded in a thread of its own.

    Args:
        audio_format: One of ``FORMATS``.
        limits: What it may cost.
        send: Called in the thread with each answer.
        turns: Shared by the streams of a process.

    Raises:
        RuntimeError: If there is no memory for another thread.
    """

    def __init__(
        self,
        audio_format: str,
        limits: StreamLimits,
        send: Callable[[Answer, bytes], None],
        turns: Turns | None = None,
    ) -> None:
        self._format = audio_format
        self._limits = limits
        self._send = send
        self._memory = MemoryAccount(turns or Turns())
        self._input = _Input(self._await_bytes)
        self._output = _Output()
        self._requests: queue.SimpleQueue[tuple[Request, bytes]] = queue.SimpleQueue()
        # Why the library was told that the input ended; it must not be raised through it.
        self._interruption: UnsupportedAudio | _Closed | None = None
        threading.Thread(target=self._serve, name="decoder", daemon=True).start()

    def ask(self, request: Request, content: bytes = b"") -> None:
        """Hand in a request; returns at once."""
        self._requests.put((request, content))

    # -- in the thread

    def _serve(self) -> None:
        try:
            try:
                self._decode_all()
            except UnsupportedAudio as error:
                self._refuse(error)
        except _Closed:
            return
        except MemoryError:
            self._send(Answer.REFUSED, str(self._needs_too_much()).encode())
        except Exception:  # noqa: BLE001 - the boundary of the thread: the session must be told
            self._send(Answer.BROKEN, traceback.format_exc().encode())
        finally:
            self._memory.end_turn()

    def _decode_all(self) -> None:
        self._await_request()
        try:
            for samples in resample_frames(self._decode_frames()):
                self._output.add(samples, self._input)
                self._check_limits()
                if self._output.held >= PIECE_SAMPLES:
                    self._check_memory()
                    self._answer(Answer.PART)
        except (av.error.FFmpegError, OSError) as exc:
            self._judge(exc)
        # What stands after the end of the container: tags, as a rule.
        while self._input.read(_SKIPPED_AT_ONCE):
            pass
        self._raise_interruption()
        self._check_limits()
        self._send(Answer.DONE, self._output.take())

    def _judge(self, error: av.error.FFmpegError | OSError) -> None:
        """Let pass what follows from the end of the input: a cut stream gives what came before."""
        if isinstance(error, MemoryError):
            raise error
        if not self._input.has_ended:
            raise self._damaged() from error

    def _damaged(self) -> UnsupportedAudio:
        if self._format == _MP4 and self._output.total == 0:
            return UnsupportedAudio(UNREADABLE_MP4)
        position_s = seconds(self._output.total)
        return UnsupportedAudio(
            f"the {self._format} audio cannot be decoded after {position_s:.1f} s: "
            "it is damaged, or bytes are missing"
        )

    def _decode_frames(self) -> Iterator[AudioFrame]:
        container = self._open()
        if container is not None:
            with closing(container):
                yield from self._read_frames(container)

    def _open(self) -> InputContainer | None:
        if self._format != _WAV:
            return self._open_as(_DEMUXERS[self._format], {})
        header = read_wav_header(self._input.read)
        if header is None:
            return None
        _check_shape(header.sample_rate, header.channels)
        if header.content_bytes is not None:
            self._input.end_file_after(header.content_bytes)
        layout = {"sample_rate": str(header.sample_rate), "ch_layout": f"{header.channels}c"}
        return self._open_as(header.raw_format, layout)

    def _open_as(self, demuxer: str, options: dict[str, str]) -> InputContainer:
        return av.open(
            self._input.as_file(),
            mode="r",
            format=demuxer,
            options=_OPTIONS | options,
            buffer_size=_BUFFER_BYTES,
            metadata_errors="replace",
        )

    def _read_frames(self, container: InputContainer) -> Iterator[AudioFrame]:
        stream = container.streams.best("audio")
        if stream is None and self._input.has_ended:  # cut off in the header
            return
        if not isinstance(stream, AudioStream):
            raise UnsupportedAudio(f"there is no audio in the {self._format} stream")
        # The library has no decoder at all for some codings, whatever the annotations say.
        context: AudioCodecContext | None = stream.codec_context
        if context is None or context.name not in _DECODERS:
            coding = "in an unknown way" if context is None else f"as {context.name}"
            raise UnsupportedAudio(f"audio coded {coding} is not taken; send Opus or PCM")
        context.thread_count = 1
        clock = FrameClock()
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                # As every player does: one damaged packet does not end the stream. The last one
                # of a stream that was cut off is no damage.
                if not self._input.has_ended:
                    time_base = packet.time_base or 0
                    clock.lose(float(time_base * (packet.duration or 0)))
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame):
                    _check_shape(frame.sample_rate, frame.layout.nb_channels)
                    if self._fits(frame, clock):
                        yield frame
        if clock.is_damaged:
            self._tell_missing(clock.damaged_s)

    def _fits(self, frame: AudioFrame, clock: FrameClock) -> bool:
        """Whether it belongs here; what is missing before it is told first."""
        has_time = frame.pts is not None and frame.time_base is not None
        start_s = frame.time if has_time else None
        is_damaged = clock.is_damaged
        hole_s = clock.hole_before(start_s, frame.samples / frame.sample_rate)
        if hole_s is not None and (hole_s > 0 or is_damaged):
            self._tell_missing(hole_s)
        return hole_s is not None

    def _tell_missing(self, duration_s: float) -> None:
        if duration_s > MAX_HOLE_S:
            raise UnsupportedAudio(
                f"{duration_s:.0f} s of the {self._format} audio are missing after "
                f"{seconds(self._output.total):.1f} s"
            )
        if self._output.held:
            self._answer(Answer.PART)
        samples = round(duration_s * SAMPLE_RATE)
        self._output.total += samples  # silence in its place costs as much as audio
        self._check_limits()
        self._send(Answer.MISSING, MISSING.pack(samples))
        self._await_request()

    def _refuse(self, error: UnsupportedAudio) -> None:
        """Give what was decoded before, then the reason."""
        if self._output.held:
            self._answer(Answer.PART)
        self._send(Answer.REFUSED, str(error).encode())

    def _answer(self, kind: Answer) -> None:
        self._send(kind, self._output.take())
        self._await_request()

    def _await_bytes(self) -> None:
        """All bytes are decoded; wait for more. Called by the library: must not raise."""
        try:
            self._check_limits()
            self._check_memory()
            self._answer(Answer.DONE)
        except (UnsupportedAudio, _Closed) as interruption:
            self._interruption = interruption
            self._input.end()

    def _await_request(self) -> None:
        self._memory.end_turn()
        request, content = self._requests.get()
        self._memory.begin_turn()
        match request:
            case Request.FEED:
                self._input.push(content)
            case Request.END:
                self._input.end()
            case Request.CLOSE:
                raise _Closed

    def _raise_interruption(self) -> None:
        if self._interruption is not None:
            raise self._interruption

    def _check_memory(self) -> None:
        if self._memory.held > self._limits.max_memory_bytes:
            raise self._needs_too_much()

    def _needs_too_much(self) -> UnsupportedAudio:
        return UnsupportedAudio(f"the {self._format} audio needs too much memory")

    def _check_limits(self) -> None:
        limits, received, audio_s = self._limits, self._input.received, seconds(self._output.total)
        if audio_s > GRACE_AUDIO_S + received / limits.min_bytes_per_s:
            raise UnsupportedAudio(
                f"{received} bytes of {self._format} hold over {audio_s:.0f} s of audio, "
                "which no real recording does"
            )
        if time.thread_time() > GRACE_CPU_S + limits.cpu_per_s * audio_s:
            raise UnsupportedAudio(f"the {self._format} audio takes too long to decode")
        if received - self._output.received_at_last > limits.max_bytes_without_audio:
            raise UnsupportedAudio(
                f"the last {limits.max_bytes_without_audio} bytes of the {self._format} stream "
                "held no audio"
            )
        # What follows a damaged fragment the library skips without a word, as one large box.
        fragments = self._input.fragments - self._output.fragments_at_last
        if self._format == _MP4 and fragments > _MAX_FRAGMENTS_WITHOUT_AUDIO:
            raise self._damaged()


class _Closed(Exception):
    """Nobody wants the rest of the stream."""


class _Input:
    """The bytes that came, for readers that wait for more.

    Attributes:
        received: All bytes up to now.
        fragments: Beginnings of an MP4's fragments in what was read, but for a few that are cut.
        has_ended: None will come, or none are wanted.
    """

    def __init__(self, await_bytes: Callable[[], None]) -> None:
        self._await_bytes = await_bytes
        self._chunk = b""
        self._offset = 0
        self._file_left: int | None = None
        self.received = 0
        self.fragments = 0
        self.has_ended = False

    def push(self, chunk: bytes) -> None:
        self._chunk, self._offset = chunk, 0
        self.received += len(chunk)

    def end(self) -> None:
        self._chunk, self._offset = b"", 0
        self.has_ended = True

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; waits for the first one, and gives none at the end."""
        while self._offset == len(self._chunk):
            if self.has_ended:
                return b""
            self._await_bytes()
        part = self._chunk[self._offset : self._offset + size]
        self._offset += len(part)
        self.fragments += part.count(_MP4_FRAGMENT)
        return part

    def end_file_after(self, size: int) -> None:
        """For the library the file ends so many bytes from here."""
        self._file_left = size

    def read_file(self, size: int) -> bytes:
        """As :meth:`read`, up to the end of the file."""
        if self._file_left is None:
            return self.read(size)
        part = self.read(min(size, self._file_left)) if self._file_left else b""
        self._file_left -= len(part)
        return part

    def as_file(self) -> "_File":
        return _File(self.read_file)


class _File:
    """What PyAV reads. It has no ``seek``, which tells the library not to try."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


class _Output:
    """Decoded samples that were not given yet.

    Attributes:
        total: All samples up to now, and those that are missing between them.
        held: Those that :meth:`take` gives.
        received_at_last: Bytes that had come when the last sample was decoded.
        fragments_at_last: Fragments of an MP4 that had been read then.
    """

    def __init__(self) -> None:
        self._pieces: list[FloatArray] = []
        self.total = 0
        self.held = 0
        self.received_at_last = 0
        self.fragments_at_last = 0

    def add(self, samples: FloatArray, source: _Input) -> None:
        self._pieces.append(samples)
        self.total += len(samples)
        self.held += len(samples)
        self.received_at_last = source.received
        self.fragments_at_last = source.fragments

    def take(self) -> bytes:
        pieces, self._pieces, self.held = self._pieces, [], 0
        return np.concatenate(pieces).astype("<f4").tobytes() if pieces else b""


def _check_shape(sample_rate: int, channels: int) -> None:
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise UnsupportedAudio(f"audio with {sample_rate} samples a second is not taken")
    if not 1 <= channels <= MAX_CHANNELS:
        raise UnsupportedAudio(f"audio with {channels} channels is not taken")
