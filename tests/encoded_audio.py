"""Containers made in memory: honest ones by PyAV, and hostile ones byte by byte."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame

RATE = 48_000
_FRAME = 960  # samples: the 20 ms of an Opus packet

# name -> (container, codec, options of the muxer)
_ENCODERS = {
    # As MediaRecorder writes: no sizes, no index, small clusters.
    "webm": ("webm", "libopus", {"live": "1", "cluster_time_limit": "100"}),
    "ogg": ("ogg", "libopus", {"page_duration": "20000"}),
    "mp4": ("mp4", "aac", {"movflags": "empty_moov+default_base_moof", "frag_duration": "100000"}),
    "mp4 with its index at the end": ("mp4", "aac", {}),
    "mp3": ("mp3", "libmp3lame", {}),
    "wav": ("wav", "pcm_s16le", {}),
    "flac": ("flac", "flac", {}),
    "ac3": ("matroska", "ac3", {}),
}
FORMATS = ("webm", "ogg", "mp4", "mp3", "wav", "flac")


def tone(duration_s: float, rate: int = RATE) -> npt.NDArray[np.int16]:
    """A quiet tone of 440 Hz, mono."""
    times = np.arange(round(duration_s * rate)) / rate
    return (9000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)


def encode(
    name: str, samples: npt.NDArray[np.int16], *, rate: int = RATE, bit_rate: int = 64_000
) -> bytes:
    """Mono ``samples`` in one of the containers."""
    container_format, codec, options = _ENCODERS[name]
    file = io.BytesIO()
    with av.open(file, "w", format=container_format, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = bit_rate
        for begin in range(0, len(samples), _FRAME):
            frame = AudioFrame.from_ndarray(
                samples[begin : begin + _FRAME].reshape(1, -1), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def slices(data: bytes, count: int) -> list[bytes]:
    """``data`` in about ``count`` equal parts, as a recorder sends it."""
    size = -(-len(data) // count)
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


def opus_bomb(pages: int) -> bytes:
    """A valid Ogg of about 800 bytes a page, each of which holds 30 s of Opus silence."""
    head = b"OpusHead\x01\x01" + struct.pack("<HIhB", 0, RATE, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 1) + b"x" + struct.pack("<I", 0)
    # RFC 6716, section 3.2.5: 48 frames of 2.5 ms, each of no bytes.
    packet = bytes([28 << 3 | 3, 48])
    bodies = [_ogg_page([packet] * 255, 255 * 5760 * (i + 1), i + 2) for i in range(pages)]
    return b"".join([_ogg_page([head], 0, 0, flags=2), _ogg_page([tags], 0, 1), *bodies])


def forged_wav(
    body: bytes, *, size: int = 0, rate: int = RATE, channels: int = 1, bits: int = 16, tag: int = 1
) -> bytes:
    """A WAV whose header claims what it is told to."""
    block = channels * bits // 8
    layout = struct.pack("<HHIIHH", tag, channels, rate, rate * block % 2**32, block % 2**16, bits)
    return (
        b"RIFF\xff\xff\xff\xffWAVEfmt " + struct.pack("<I", 16) + layout
        + b"data" + struct.pack("<I", size) + body
    )  # fmt: skip


def _ogg_page(packets: list[bytes], granule: int, number: int, *, flags: int = 0) -> bytes:
    fields = struct.pack("<qIII", granule, 1, number, 0)
    lengths = bytes([len(packets), *map(len, packets)])
    page = b"OggS\0" + bytes([flags]) + fields + lengths + b"".join(packets)
    return page[:22] + struct.pack("<I", _ogg_checksum(page)) + page[26:]


def _ogg_checksum(page: bytes) -> int:
    remainder = 0
    for byte in page:
        remainder ^= byte << 24
        for _ in range(8):
            carry = 0x04C11DB7 if remainder & 0x80000000 else 0
            remainder = (remainder << 1 & 0xFFFFFFFF) ^ carry
    return remainder
