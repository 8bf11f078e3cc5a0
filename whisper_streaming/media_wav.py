"""The header of a WAV stream.

The library in PyAV reads 64 kB of a WAV before it gives the first sample, to look whether other
audio hides in it. That is two seconds of speech, so the header is read here instead, and the
samples behind it are given to the library as raw ones.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from whisper_streaming.errors import UnsupportedAudio

_PCM: Final = 1
_FLOAT: Final = 3
_EXTENSIBLE: Final = 0xFFFE
# (format tag, bits of a sample) -> demuxer of raw samples
_RAW_FORMATS: Final = {
    (_PCM, 8): "u8",
    (_PCM, 16): "s16le",
    (_PCM, 24): "s24le",
    (_PCM, 32): "s32le",
    (_FLOAT, 32): "f32le",
    (_FLOAT, 64): "f64le",
    (6, 8): "alaw",
    (7, 8): "mulaw",
}
_MIN_FMT_BYTES: Final = 16
_MAX_CHUNK_BYTES: Final = 2**20  # of what is skipped or kept before the samples
# Who writes to a pipe cannot know the size and writes 0, or about the largest number.
_SMALLEST_PLACEHOLDER: Final = 0x7FFF_0000


@dataclass(frozen=True, slots=True)
class WavHeader:
    """How the samples of a WAV stream are to be read.

    Attributes:
        raw_format: Name of the library's demuxer for raw samples.
        sample_rate: In Hz, any value that the header claims.
        channels: Any number that the header claims.
        content_bytes: Bytes of samples; None if the writer did not know.
    """

    raw_format: str
    sample_rate: int
    channels: int
    content_bytes: int | None


def read_wav_header(read: Callable[[int], bytes]) -> WavHeader | None:
    """Read up to the first sample; None if the stream ends before it.

    Args:
        read: Gives up to so many bytes, at least one, and none at the end.

    Raises:
        UnsupportedAudio: If the header is broken, or samples are coded in a way not known here.
    """
    layout: tuple[str, int, int] | None = None
    if len(_read_exactly(read, 12)) < 12:  # "RIFF", size, "WAVE"
        return None
    while len(chunk := _read_exactly(read, 8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            if layout is None:
                raise UnsupportedAudio("the WAV header does not say how the samples are coded")
            is_known = 0 < size < _SMALLEST_PLACEHOLDER
            return WavHeader(*layout, content_bytes=size if is_known else None)
        if size > _MAX_CHUNK_BYTES:
            raise UnsupportedAudio(f"the WAV header claims a chunk of {size} bytes")
        content = _read_exactly(read, size + size % 2)  # chunks begin at even places
        if name == b"fmt ":
            layout = _parse_format(content)
    return None


def _parse_format(content: bytes) -> tuple[str, int, int]:
    if len(content) < _MIN_FMT_BYTES:
        raise UnsupportedAudio("the WAV header is cut short")
    tag, channels, sample_rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
    if tag == _EXTENSIBLE and len(content) >= 26:
        (tag,) = struct.unpack_from("<H", content, 24)  # the first bytes of the true format's id
    raw_format = _RAW_FORMATS.get((tag, bits))
    if raw_format is None:
        raise UnsupportedAudio(f"the WAV samples are coded as {tag} with {bits} bits; send PCM")
    return raw_format, sample_rate, channels


def _read_exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """``size`` bytes, less at the end."""
    parts = bytearray()
    while len(parts) < size and (part := read(size - len(parts))):
        parts += part
    return bytes(parts)
