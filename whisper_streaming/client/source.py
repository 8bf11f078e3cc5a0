"""Where the audio comes from: microphone, file, URL, standard input, or a program's arrays.

Every source is an iterator of chunks of equal length, float32, mono, 16 kHz, in [-1, 1].
"""

import io
import itertools
import os
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from whisper_streaming.client.microphone import Microphone
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.errors import AudioSourceError, ConfigurationError, MediaError
from whisper_streaming.media import (
    MediaInput,
    RawFormat,
    StreamResampler,
    decode_media,
    decode_raw,
    mix_to_mono,
)

AudioArray = npt.NDArray[np.generic]
AudioInput = MediaInput | AudioArray | Iterable[AudioArray] | None

STANDARD_INPUT: Final = "-"

MIN_CHUNK_MS: Final = 10
MAX_CHUNK_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """How to read a source.

    Attributes:
        chunk_ms: Length of the chunks; the last one may be shorter.
        sample_rate: Rate of arrays and of raw samples, in Hz; other sources know theirs.
        channels: Channels of raw samples.
        raw_format: Standard input or a file object holds raw samples of this type instead of a
            recording with a header.
        device_index: Which microphone; None is the system's default.
    """

    chunk_ms: int = 100
    sample_rate: int = SAMPLE_RATE
    channels: int = 1
    raw_format: RawFormat | None = None
    device_index: int | None = None

    def __post_init__(self) -> None:
        if not MIN_CHUNK_MS <= self.chunk_ms <= MAX_CHUNK_MS:
            raise ConfigurationError(
                f"chunk_ms must be between {MIN_CHUNK_MS} and {MAX_CHUNK_MS}, not {self.chunk_ms}"
            )

    @property
    def chunk_samples(self) -> int:
        return self.chunk_ms * SAMPLE_RATE // 1000


class AudioSource:
    """Chunks of audio, and whether they come at the pace of a clock by themselves.

    Iterating raises AudioSourceError when the source breaks.
    """

    def __init__(self, chunks: Generator[FloatArray], *, is_live: bool) -> None:
        self._chunks = chunks
        self.is_live = is_live

    def __iter__(self) -> Iterator[FloatArray]:
        return self._chunks

    def close(self) -> None:
        """Give back the device or file. Idempotent."""
        self._chunks.close()


class Pacer:
    """Says when audio is due that is played in real time, without drift.

    A chunk is due when a microphone would have recorded its last sample. A source that was late
    catches up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started: float | None = None
        self._samples = 0

    def delay_s(self, samples: int) -> float:
        """Seconds to wait before the next ``samples`` are sent; 0 if they are late."""
        if self._started is None:
            self._started = self._clock()
        self._samples += samples
        return max(0.0, self._started + self._samples / SAMPLE_RATE - self._clock())


def open_source(source: AudioInput, form: SourceFormat) -> AudioSource:
    """Open ``source``.

    Args:
        source: None for the microphone, ``"-"`` for standard input, a path or URL, a binary file
            object, one array, or an iterable of arrays. Arrays are int16 or float in [-1, 1], of
            shape (n,) or (n, channels).
        form: How to read it.

    Raises:
        AudioSourceError: If it cannot be opened. Files and URLs are tried here, before a server
            is bothered; the microphone starts recording with the first chunk.
    """
    if source is None:
        microphone = Microphone(form.chunk_samples, form.device_index)
        return AudioSource(_cut(microphone.samples(), form), is_live=True)
    if isinstance(source, np.ndarray):
        return AudioSource(_cut(_read_arrays([source], form), form), is_live=False)
    if isinstance(source, str | os.PathLike):
        if source == STANDARD_INPUT:
            return AudioSource(_cut(_read_stream(sys.stdin.buffer, form), form), is_live=False)
        return AudioSource(_opened(_cut(decode_media(source), form)), is_live=False)
    if isinstance(source, io.TextIOBase):
        raise AudioSourceError("this file object gives text: open the file with mode 'rb'")
    if _is_stream(source):
        return AudioSource(_cut(_read_stream(source, form), form), is_live=False)
    if isinstance(source, Iterable) and not isinstance(source, bytes | bytearray):
        arrays = cast("Iterable[AudioArray]", source)  # file objects are gone by now
        return AudioSource(_cut(_read_arrays(arrays, form), form), is_live=False)
    raise AudioSourceError(
        f"audio cannot come from a {type(source).__name__}: give a path, a URL, '-', a binary "
        "file object or arrays of float32 or int16"
    )


class PushedAudio:
    """Brings the arrays that a program pushes to 16 kHz mono.

    Args:
        sample_rate: Their rate in Hz.

    Raises:
        AudioSourceError: If nothing can be recorded at that rate.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        try:
            self._resampler = StreamResampler(sample_rate)
        except MediaError as exc:
            raise AudioSourceError(str(exc)) from exc

    def receive(self, array: AudioArray, sample_rate: int) -> FloatArray:
        """Samples that are ready: float32, shape (n,), mono, 16 kHz, in [-1, 1].

        Raises:
            AudioSourceError: If the array cannot be audio, or the rate changed.
        """
        if sample_rate != self._sample_rate:
            raise AudioSourceError(
                "the sample rate cannot change within a session, "
                f"from {self._sample_rate} to {sample_rate} Hz"
            )
        try:
            return self._resampler.resample(mix_to_mono(np.asarray(array)))
        except MediaError as exc:
            raise AudioSourceError(str(exc)) from exc

    def flush(self) -> FloatArray:
        """The last samples."""
        return self._resampler.flush()


def _is_stream(source: object) -> TypeGuard[BinaryIO]:
    return hasattr(source, "read")


def _read_stream(stream: BinaryIO, form: SourceFormat) -> Iterator[FloatArray]:
    if form.raw_format is None:
        return decode_media(stream)
    return decode_raw(stream, form.raw_format, sample_rate=form.sample_rate, channels=form.channels)


def _read_arrays(arrays: Iterable[AudioArray], form: SourceFormat) -> Iterator[FloatArray]:
    resampler = StreamResampler(form.sample_rate)
    for array in arrays:
        yield resampler.resample(mix_to_mono(np.asarray(array)))
    yield resampler.flush()


def _cut(pieces: Iterator[FloatArray], form: SourceFormat) -> Generator[FloatArray]:
    """Chunks of equal length from pieces of any length."""
    size = form.chunk_samples
    rest = np.zeros(0, dtype=np.float32)
    try:
        for piece in pieces:
            rest = np.concatenate([rest, piece])
            whole = len(rest) - len(rest) % size
            for begin in range(0, whole, size):
                yield rest[begin : begin + size]
            rest = rest[whole:]
    except MediaError as exc:
        # What was read before the source broke is spoken audio too.
        if len(rest):
            yield rest
        raise AudioSourceError(str(exc)) from exc
    if len(rest):
        yield rest


def _opened(chunks: Generator[FloatArray]) -> Generator[FloatArray]:
    """``chunks`` with the first one read, so that what cannot be opened fails now."""
    first = list(itertools.islice(chunks, 1))
    return _resume(first, chunks)


def _resume(first: list[FloatArray], rest: Generator[FloatArray]) -> Generator[FloatArray]:
    try:
        yield from first
        yield from rest
    finally:
        rest.close()
