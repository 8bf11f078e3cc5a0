"""Headers of WAV streams, honest and forged."""

import io
import struct

import pytest

from tests.encoded_audio import forged_wav
from whisper_streaming.errors import UnsupportedAudio
from whisper_streaming.media_wav import WavHeader, read_wav_header

# The tail of the id of PCM in an extensible header.
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def header_of(data: bytes) -> WavHeader | None:
    return read_wav_header(io.BytesIO(data).read)


@pytest.mark.parametrize(
    ("tag", "bits", "expected"),
    [
        pytest.param(1, 8, "u8", id="8 bit"),
        pytest.param(1, 16, "s16le", id="16 bit"),
        pytest.param(1, 24, "s24le", id="24 bit"),
        pytest.param(1, 32, "s32le", id="32 bit"),
        pytest.param(3, 32, "f32le", id="float"),
        pytest.param(3, 64, "f64le", id="double"),
        pytest.param(6, 8, "alaw", id="A-law"),
        pytest.param(7, 8, "mulaw", id="mu-law"),
    ],
)
def test_codings(tag: int, bits: int, expected: str) -> None:
    data = forged_wav(b"body", size=1234, rate=44_100, channels=2, bits=bits, tag=tag)

    assert header_of(data) == WavHeader(expected, 44_100, 2, 1234)


def test_an_extensible_header_says_the_true_coding_further_on() -> None:
    layout = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4, 1)
    fmt = layout + _GUID_TAIL
    data = b"RIFF____WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data\x08\0\0\0"

    assert header_of(data) == WavHeader("s16le", 16_000, 1, 8)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_placeholders_are_no_size(size: int) -> None:
    header = header_of(forged_wav(b"", size=size))

    assert header is not None
    assert header.content_bytes is None


def test_other_chunks_are_skipped_with_their_padding() -> None:
    data = forged_wav(b"", size=10)
    with_note = data[:12] + b"note\x03\0\0\0abc\0" + data[12:]

    assert header_of(with_note) == header_of(data)


def test_a_stream_that_ends_before_the_samples_has_no_header() -> None:
    data = forged_wav(b"")

    assert {header_of(data[:length]) for length in (0, 5, 12, 15, len(data) - 1)} == {None}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(forged_wav(b"", bits=0), "coded as 1 with 0 bits", id="no bits"),
        pytest.param(forged_wav(b"", tag=0x11, bits=4), "coded as 17 with 4 bits", id="ADPCM"),
        pytest.param(b"RIFF____WAVEdata\0\0\0\0", "does not say how", id="samples first"),
        pytest.param(b"RIFF____WAVEfmt \x02\0\0\0\1\0", "cut short", id="short format"),
        pytest.param(b"RIFF____WAVEjunk\xff\xff\xff\x7f", "2147483647", id="a huge chunk"),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedAudio, match=reason):
        header_of(data)
