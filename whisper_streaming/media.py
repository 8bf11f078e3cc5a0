"""Decoding of recordings and streams to 16 kHz mono, piece by piece, with the libraries in PyAV.

Nothing here reads a whole recording into memory and no ``ffmpeg`` program is needed.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final, Literal

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.errors import MediaError

MediaInput = str | os.PathLike[str] | BinaryIO
RawFormat = Literal["float32", "int16"]

MIN_SAMPLE_RATE: Final = 1_000
MAX_SAMPLE_RATE: Final = 768_000
MAX_CHANNELS: Final = 64

# Overdriven recordings pass 1.0 and are clipped; int16 values in a float array are a mistake that
# clipping would turn into noise.
_LARGEST_FLOAT: Final = 64.0
_RAW_READ_BYTES: Final = 65_536
_RAW_TYPES: Final[dict[RawFormat, str]] = {"float32": "<f4", "int16": "<i2"}

logger = logging.getLogger("whisper_streaming.media")


class StreamResampler:
    """Brings a stream of mono samples to 16 kHz; keeps the filter's state between calls.

    Args:
        sample_rate: Rate of the samples that come in, in Hz.

    Raises:
        MediaError: If nothing can be recorded at that rate.
    """

    def __init__(self, sample_rate: int) -> None:
        if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
            raise MediaError(
                f"the sample rate must be between {MIN_SAMPLE_RATE} and {MAX_SAMPLE_RATE} Hz, "
                f"not {sample_rate}"
            )
        self._sample_rate = sample_rate
        self._resampler: AudioResampler | None = None
        if sample_rate != SAMPLE_RATE:
            self._resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)

    def resample(self, samples: FloatArray) -> FloatArray:
        """What can be given so far; samples are float32, shape (n,), mono, at the stream's rate."""
        if self._resampler is None or not len(samples):
            return samples
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), format="flt", layout="mono"
        )
        frame.sample_rate = self._sample_rate
        return _to_samples(self._resampler.resample(frame))

    def flush(self) -> FloatArray:
        """The rest that the filter still holds. The resampler cannot be used after it."""
        if self._resampler is None:
            return np.zeros(0, dtype=np.float32)
        return _to_samples(self._resampler.resample(None))


def mix_to_mono(samples: npt.NDArray[np.generic]) -> FloatArray:
    """Samples as float32, shape (n,), in [-1, 1].

    Args:
        samples: int16, or floating point in [-1, 1]; shape (n,) or (n, channels).

    Raises:
        MediaError: If the type or shape is another one, or the values cannot be audio.
    """
    if samples.ndim not in (1, 2):
        raise MediaError(f"audio has shape (n,) or (n, channels), not {samples.shape}")
    if samples.ndim == 2 and not 1 <= samples.shape[1] <= MAX_CHANNELS:
        raise MediaError(
            f"audio of shape {samples.shape} would have {samples.shape[1]} channels; "
            "the shape is (n, channels): transpose the array"
        )
    scaled = _scale_to_float(samples)
    return scaled if scaled.ndim == 1 else scaled.mean(axis=1, dtype=np.float32)


def decode_media(source: MediaInput, *, timeout_s: float = 30.0) -> Iterator[FloatArray]:
    """Decode the audio of a file, URL or binary file object while it is being read.

    Args:
        source: Anything that PyAV opens: a path, an http, https or rtsp URL, an HLS playlist,
            or an object with ``read``. A pipe is read as it fills.
        timeout_s: How long a URL may be silent.

    Yields:
        float32, shape (n,), mono, 16 kHz, in [-1, 1]; of any length but 0.

    Raises:
        MediaError: If it cannot be opened, has no audio, or breaks off.
    """
    name = _describe(source)
    if isinstance(source, str | os.PathLike) or source.seekable():
        yield from _decode(source, name, timeout_s)
        return
    pipe = _LibraryPipe(source)
    try:
        yield from _decode(pipe, name, timeout_s)
    except MediaError:
        pipe.raise_interrupt()
        raise
    pipe.raise_interrupt()


def _decode(
    source: "MediaInput | _LibraryPipe", name: str, timeout_s: float
) -> Iterator[FloatArray]:
    with closing(_open(source, name, timeout_s)) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            raise MediaError(f"{name} has no audio in it")
        count = 0
        for samples in resample_frames(_decode_frames(container, stream, name)):
            count += len(samples)
            yield samples
        if count == 0:
            raise MediaError(f"{name} has an audio stream, but nothing in it could be decoded")


def duration_s(path: str | os.PathLike[str]) -> float | None:
    """How long a recording says it is, in seconds; None if it does not, or cannot be opened."""
    try:
        with av.open(os.fspath(path)) as container:
            return container.duration / av.time_base if container.duration else None
    except (av.error.FFmpegError, OSError, ValueError):
        return None


def decode_raw(
    stream: BinaryIO,
    sample_format: RawFormat,
    *,
    sample_rate: int = SAMPLE_RATE,
    channels: int = 1,
) -> Iterator[FloatArray]:
    """Read headerless little-endian samples as they arrive.

    Yields:
        float32, shape (n,), mono, 16 kHz, in [-1, 1]; of any length but 0.

    Raises:
        MediaError: If the rate or the values cannot be audio.
    """
    if not 1 <= channels <= MAX_CHANNELS:
        raise MediaError(f"the number of channels must be 1 to {MAX_CHANNELS}, not {channels}")
    resampler = StreamResampler(sample_rate)
    reader = _PipeReader(stream)
    sample_type = np.dtype(_RAW_TYPES[sample_format])
    frame_bytes = sample_type.itemsize * channels
    rest = b""
    while piece := reader.read(_RAW_READ_BYTES):
        piece = rest + piece
        whole = len(piece) - len(piece) % frame_bytes
        rest = piece[whole:]
        frames = np.frombuffer(piece[:whole], dtype=sample_type).reshape(-1, channels)
        samples = resampler.resample(mix_to_mono(frames))
        if len(samples):
            yield samples
    if rest:
        logger.warning("the raw audio ended inside a sample: %d bytes were left over", len(rest))
    tail = resampler.flush()
    if len(tail):
        yield tail


def resample_frames(frames: Iterator[AudioFrame]) -> Iterator[FloatArray]:
    """Decoded frames as float32, shape (n,), mono, 16 kHz, in [-1, 1]; of any length but 0."""
    converter: _MonoConverter | None = None
    shape: tuple[int, str, str] | None = None
    for frame in frames:
        # A converter takes one kind of frame only, but streams may change theirs on the way.
        frame_shape = (frame.sample_rate, frame.layout.name, frame.format.name)
        if converter is None or frame_shape != shape:
            if converter is not None:
                yield from _nonempty(converter.convert(None))
            converter = _MonoConverter(frame)
            shape = frame_shape
        frame.pts = None  # gaps in the container's clock must not become silence or a failure
        yield from _nonempty(converter.convert(frame))
    if converter is not None:
        yield from _nonempty(converter.convert(None))


class _MonoConverter:
    """Brings frames like ``first`` to 16 kHz, mono, s16.

    In s16 the library scales a down-mix so that it cannot clip; in float it does not. PyAV's
    ``AudioResampler`` builds the same filters, but each with a thread for every core, idle and
    with 8 MB of stack.
    """

    def __init__(self, first: AudioFrame) -> None:
        self._graph = Graph()
        self._graph.threads = 1
        source = self._graph.add(
            "abuffer",
            sample_rate=str(first.sample_rate),
            sample_fmt=first.format.name,
            channel_layout=first.layout.name,
        )
        target = self._graph.add(
            "aformat", sample_rates=str(SAMPLE_RATE), sample_fmts="s16", channel_layouts="mono"
        )
        self._graph.link_nodes(source, target, self._graph.add("abuffersink")).configure()

    def convert(self, frame: AudioFrame | None) -> list[AudioFrame]:
        """What can be given so far; None flushes, and nothing may follow it."""
        self._graph.push(frame)
        converted: list[AudioFrame] = []
        while True:
            try:
                given = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return converted
            assert isinstance(given, AudioFrame)
            converted.append(given)


class _PipeReader:
    """Gives what a pipe holds now, so that live audio is not held back until a block is full.

    It has no ``seek``, which tells PyAV not to try.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._read = getattr(stream, "read1", stream.read)  # an unbuffered file has only read

    def read(self, size: int, /) -> bytes:
        piece: bytes | None = self._read(size)
        return piece or b""


class _LibraryPipe(_PipeReader):
    """A pipe that PyAV reads, which drops what a read raises and reads on.

    So that Ctrl-C can end a silent pipe, it ends the stream here and is raised afterwards.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._interrupt: KeyboardInterrupt | None = None

    def read(self, size: int, /) -> bytes:
        if self._interrupt is not None:
            return b""
        try:
            return super().read(size)
        except KeyboardInterrupt as exc:
            self._interrupt = exc
            return b""

    def raise_interrupt(self) -> None:
        """Raise the KeyboardInterrupt that ended the stream, if one did."""
        if self._interrupt is not None:
            raise self._interrupt


def _scale_to_float(samples: npt.NDArray[np.generic]) -> FloatArray:
    if samples.dtype.kind == "i" and samples.dtype.itemsize == 2:
        return samples.astype(np.float32) / np.float32(32768.0)
    if samples.dtype.kind != "f":
        raise MediaError(f"audio is float32 or int16, not {samples.dtype}")
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        floats = samples.astype(np.float32)
    peak = float(np.abs(floats).max(initial=0.0))
    if not np.isfinite(peak):
        raise MediaError("the audio holds values that are not finite numbers")
    if peak > _LARGEST_FLOAT:
        raise MediaError(
            f"float audio lies in [-1, 1], but a sample is {peak:.0f}: "
            "pass int16, or divide by 32768"
        )
    return np.clip(floats, -1.0, 1.0)


def _open(source: "MediaInput | _LibraryPipe", name: str, timeout_s: float) -> InputContainer:
    target: str | BinaryIO | _LibraryPipe
    options: dict[str, str] = {}
    if isinstance(source, str | os.PathLike):
        target = os.fspath(source)
        if target.startswith("rtsp://"):
            options["rtsp_transport"] = "tcp"  # over UDP a lost packet is a lost word
    else:
        target = source
    try:
        # Tags of old files are in any encoding.
        return av.open(
            target, mode="r", options=options, timeout=timeout_s, metadata_errors="replace"
        )
    except FileNotFoundError as exc:
        raise MediaError(f"there is no file {name}") from exc
    except PermissionError as exc:
        raise MediaError(f"{name} may not be read: permission denied") from exc
    except IsADirectoryError as exc:
        raise MediaError(f"{name} is a folder, not a recording") from exc
    except (av.error.TimeoutError, av.error.ExitError) as exc:
        raise MediaError(f"{name} did not answer within {timeout_s:.0f} s") from exc
    except av.error.InvalidDataError as exc:
        if _is_empty_file(source):
            raise MediaError(f"{name} is empty") from exc
        raise MediaError(
            f"{name} is not a recording in a known format (raw samples need their format named)"
        ) from exc
    except (av.error.FFmpegError, OSError) as exc:
        raise MediaError(f"{name} cannot be opened: {_reason(exc)}") from exc


def _is_empty_file(source: "MediaInput | _LibraryPipe") -> bool:
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source)
    return path.is_file() and path.stat().st_size == 0


def _decode_frames(
    container: InputContainer, stream: AudioStream, name: str
) -> Iterator[AudioFrame]:
    position_s = 0.0
    bad_packets = 0
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                # As every player does: one damaged packet does not end the recording.
                bad_packets += 1
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame):
                    position_s += frame.samples / frame.sample_rate
                    yield frame
    except (av.error.FFmpegError, OSError) as exc:
        raise MediaError(f"{name} breaks off after {position_s:.1f} s: {_reason(exc)}") from exc
    if bad_packets:
        logger.warning("%s: %d damaged packets were left out", name, bad_packets)


def _nonempty(frames: list[AudioFrame]) -> Iterator[FloatArray]:
    samples = _to_samples(frames)
    if len(samples):
        yield samples


def _to_samples(frames: list[AudioFrame]) -> FloatArray:
    if not frames:
        return np.zeros(0, dtype=np.float32)
    # The clipping is for the resampling filter, which overshoots a little.
    return mix_to_mono(np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]))


def _describe(source: MediaInput) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return "standard input" if name == "<stdin>" else str(name or "the stream")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
