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


def webm_that_claims(size: int) -> bytes:
    """A WebM whose track says that so many bytes of codec data follow; a thousand do."""
    codec_data = b"\x63\xa2" + _ebml_size(size) + bytes(1000)
    entry = b"\xae" + _ebml_size(size + 100) + b"\xd7\x81\x01\x83\x81\x02" + codec_data
    tracks = b"\x16\x54\xae\x6b" + _ebml_size(size + 200) + entry
    head = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm"
    return head + b"\x18\x53\x80\x67" + _ebml_size(size + 300) + tracks


def mp4_that_claims(packets: int) -> bytes:
    """An MP4 whose first fragment says that it has so many packets, of which one byte comes."""
    mp4 = encode("mp4", tone(0.1))
    place = mp4.index(b"trun") - 4
    size, _, _, _, offset = struct.unpack_from(">I4sIIi", mp4, place)
    # ISO 14496-12, section 8.8.8: with no field for each packet all of them are in 20 bytes.
    run = struct.pack(">I4sIIi", 20, b"trun", 1, packets, offset)
    filler = struct.pack(">I4s", size - 20, b"free") + bytes(size - 28)
    return mp4[:place] + run + filler + mp4[place + size :]


def _ebml_size(size: int) -> bytes:
    return struct.pack(">Q", 1 << 56 | size)


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
