"""Formats told from the first bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.encoded_audio import encode, forged_wav, tone
from whisper_streaming.media_stream import FORMATS
from whisper_streaming.wire.container import AudioFormat, detect_format

ENCODED = {
    AudioFormat.WEBM: encode("webm", tone(0.2)),
    AudioFormat.OGG: encode("ogg", tone(0.2)),
    AudioFormat.MP4: encode("mp4", tone(0.2)),
    AudioFormat.MP3: encode("mp3", tone(0.2)),
    AudioFormat.WAV: forged_wav(bytes(100)),
    AudioFormat.FLAC: encode("flac", tone(0.2)),
}
# As a broadcast sends it: without a tag before the first frame.
BARE_MP3 = ENCODED[AudioFormat.MP3][ENCODED[AudioFormat.MP3].index(b"\xff\xfb") :]


@pytest.mark.parametrize("expected", ENCODED)
def test_a_container_is_known_by_its_first_bytes(expected: AudioFormat) -> None:
    assert detect_format(ENCODED[expected]) is expected
    assert detect_format(ENCODED[expected][:12]) is expected


@pytest.mark.parametrize("audio_format", ENCODED)
def test_fewer_bytes_are_never_taken_for_something_else(audio_format: AudioFormat) -> None:
    data = ENCODED[audio_format]

    answers = {detect_format(data[:length]) for length in range(20)}

    assert answers == {None, audio_format}


def test_mp3_without_a_tag_needs_two_frames() -> None:
    answers = [detect_format(BARE_MP3[:length]) for length in range(1000)]

    assert set(answers) == {None, AudioFormat.MP3}
    assert answers.index(AudioFormat.MP3) > 192  # 64 kbit/s at 48 kHz: bytes of a frame


def test_one_mp3_header_among_samples_is_no_mp3() -> None:
    samples = np.full(2000, -1025, dtype="<i2").tobytes()  # FF FB FF FB: bit rate 15 is none
    header_then_silence = BARE_MP3[:4] + bytes(2000)

    assert detect_format(samples) is AudioFormat.UNKNOWN
    assert detect_format(header_then_silence) is AudioFormat.UNKNOWN


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bytes(8), id="silence"),
        pytest.param(tone(0.1).tobytes()[2:], id="tone"),
        pytest.param(b"\x80\x3e\x00\x00", id="one float"),
        pytest.param(b'{"type": "config"}', id="json"),
        pytest.param(b"RIFF\0\0\0\0AVI ", id="avi"),
        pytest.param(b"ID3 is a tag", id="text that begins as a tag"),
        pytest.param(b"OggS\0\0" + bytes(30), id="the middle of an Ogg"),
        pytest.param(b"#EXTM3U\nfile:///etc/passwd", id="playlist"),
    ],
)
def test_other_bytes_are_unknown(data: bytes) -> None:
    assert detect_format(data) is AudioFormat.UNKNOWN


@given(data=st.binary(max_size=4000), cut=st.integers(0, 4000))
def test_a_decision_holds_whatever_follows(data: bytes, cut: int) -> None:
    early = detect_format(data[:cut])

    assert early is None or early is detect_format(data)


@given(st.binary(min_size=3000, max_size=3000))
def test_enough_bytes_are_always_decided(data: bytes) -> None:
    assert detect_format(b"\xff\xfb" + data) is not None


def test_what_is_detected_can_be_decoded() -> None:
    assert {str(each) for each in AudioFormat if each is not AudioFormat.UNKNOWN} == FORMATS
