"""Which container format a stream of bytes is in, told from its first bytes."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final


class AudioFormat(StrEnum):
    """What a client may send; the value is the name for people and for the decoders."""

    WEBM = "WebM"
    OGG = "Ogg"
    MP4 = "MP4"
    MP3 = "MP3"
    WAV = "WAV"
    FLAC = "FLAC"
    UNKNOWN = "unknown"
    """None of them: raw samples, or something that nobody here can read."""


BEGINNINGS: Final = frozenset(
    {AudioFormat.WEBM, AudioFormat.OGG, AudioFormat.MP4, AudioFormat.WAV, AudioFormat.FLAC}
)
"""Formats whose first bytes cannot come again within one stream, so that they tell a new one."""

WEBM_CLUSTER: Final = b"\x1f\x43\xb6\x75"
"""Begins each further part of a WebM (RFC 9559, section 5.1.3); no audio begins like that."""

_FLAC_STREAM_INFO: Final = 0  # RFC 9639, section 8.1: the block that comes first
_OGG_FIRST_PAGE: Final = 0x02  # RFC 3533, section 6: beginning of a logical stream
_MP3_HEADER_BYTES: Final = 4
_MP3_SAMPLE_RATES: Final = (44_100, 48_000, 32_000)
_MP3_KBITS_V1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_KBITS_V2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def detect_format(first_bytes: bytes) -> AudioFormat | None:
    """The format of a stream that begins with ``first_bytes``; None: too few bytes to tell.

    Raw samples are recognised as ``UNKNOWN`` after one byte as a rule, and after 12 at the most
    unless they look like an MP3 frame, which the header of a second frame has to confirm.
    """
    undecided = False
    for audio_format, recognise in _RECOGNISERS:
        match recognise(first_bytes):
            case True:
                return audio_format
            case None:
                undecided = True
    return None if undecided else AudioFormat.UNKNOWN


def _recognise_webm(data: bytes) -> bool | None:
    return _has(data, 0, b"\x1a\x45\xdf\xa3")  # RFC 8794, section 11.2.1


def _recognise_ogg(data: bytes) -> bool | None:
    return _all((_has(data, 0, b"OggS\0"), _has_byte(data, 5, lambda b: b & _OGG_FIRST_PAGE != 0)))


def _recognise_mp4(data: bytes) -> bool | None:
    # The size of the first box comes before its name; it is a list of a few names itself.
    return _all((_has(data, 0, b"\0\0\0"), _has(data, 4, b"ftyp")))


def _recognise_wav(data: bytes) -> bool | None:
    return _all((_has(data, 0, b"RIFF"), _has(data, 8, b"WAVE")))


def _recognise_flac(data: bytes) -> bool | None:
    block = _has_byte(data, 4, lambda byte: byte & 0x7F == _FLAC_STREAM_INFO)
    return _all((_has(data, 0, b"fLaC"), block))


def _recognise_mp3(data: bytes) -> bool | None:
    tag = _all(
        (
            _has(data, 0, b"ID3"),
            _has_byte(data, 3, lambda version: 2 <= version <= 4),
            _has_byte(data, 4, lambda revision: revision < 0xFF),
            *(_has_byte(data, place, lambda size: size < 0x80) for place in range(6, 10)),
        )
    )
    return tag if tag is not False else _has_two_mp3_frames(data)


_RECOGNISERS: Final[Sequence[tuple[AudioFormat, Callable[[bytes], bool | None]]]] = (
    (AudioFormat.WEBM, _recognise_webm),
    (AudioFormat.OGG, _recognise_ogg),
    (AudioFormat.MP4, _recognise_mp4),
    (AudioFormat.WAV, _recognise_wav),
    (AudioFormat.FLAC, _recognise_flac),
    (AudioFormat.MP3, _recognise_mp3),
)


def _has_two_mp3_frames(data: bytes) -> bool | None:
    """Two frames in a row: one header alone has 11 fixed bits, which loud samples have too."""
    if not data:
        return None
    if data[0] != 0xFF:
        return False
    if len(data) < _MP3_HEADER_BYTES:
        return None
    length = _mp3_frame_bytes(data[:_MP3_HEADER_BYTES])
    if length is None:
        return False
    second = data[length : length + _MP3_HEADER_BYTES]
    if len(second) < _MP3_HEADER_BYTES:
        return None
    same_stream = second[1] == data[1] and (second[2] ^ data[2]) & 0x0C == 0  # version and rate
    return same_stream and _mp3_frame_bytes(second) is not None


def _mp3_frame_bytes(header: bytes) -> int | None:
    """Length of a frame of layer III; None if that is no header of one (ISO 11172-3, 2.4.1.3)."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, sample_rate = header[2] >> 4, header[2] >> 2 & 3
    is_header = header[0] == 0xFF and header[1] >> 5 == 7 and version != 1 and layer == 1
    if not is_header or not 0 < bit_rate < 15 or sample_rate == 3:
        return None
    is_v1 = version == 3
    kbits = (_MP3_KBITS_V1 if is_v1 else _MP3_KBITS_V2)[bit_rate]
    hertz = _MP3_SAMPLE_RATES[sample_rate] // {3: 1, 2: 2, 0: 4}[version]
    padding = header[2] >> 1 & 1
    return (144 if is_v1 else 72) * kbits * 1000 // hertz + padding


def _has(data: bytes, place: int, expected: bytes) -> bool | None:
    """Whether ``expected`` stands there; None if all that is there of it fits."""
    found = data[place : place + len(expected)]
    if not expected.startswith(found):
        return False
    return True if len(found) == len(expected) else None


def _has_byte(data: bytes, place: int, is_good: Callable[[int], bool]) -> bool | None:
    return is_good(data[place]) if place < len(data) else None


def _all(answers: Sequence[bool | None]) -> bool | None:
    """False if one is, else None if one is."""
    if False in answers:
        return False
    return None if None in answers else True
