"""Raw audio frames to samples, whatever their length and content."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.event_histories import UNHURRIED
from whisper_streaming.errors import UnsupportedAudio
from whisper_streaming.wire.pcm import PcmFormat, PcmReader


def float_frame(*samples: float) -> bytes:
    return np.array(samples, dtype="<f4").tobytes()


@pytest.mark.parametrize(
    ("audio_format", "frame", "expected"),
    [
        pytest.param("float32", float_frame(-1.0, 0.25), [-1.0, 0.25], id="float32"),
        pytest.param("int16", b"\x00\x80\x00\x40", [-1.0, 0.5], id="int16"),
        pytest.param("uint8", b"\x00\x80\xc0", [-1.0, 0.0, 0.5], id="uint8"),
        pytest.param("float32", b"", [], id="nothing"),
        pytest.param("float32", b"\x00\x00\x00", [], id="less than a sample"),
    ],
)
def test_reads_each_format(audio_format: PcmFormat, frame: bytes, expected: list[float]) -> None:
    samples = PcmReader(audio_format).read(frame)

    assert samples.dtype == np.float32
    assert samples.tolist() == expected


@UNHURRIED
@given(
    audio_format=st.sampled_from(["float32", "int16", "uint8"]),
    cuts=st.lists(st.integers(0, 400)),
)
def test_frames_may_end_anywhere(audio_format: PcmFormat, cuts: list[int]) -> None:
    stream = float_frame(*np.linspace(-1, 1, 100))
    edges = [0, *sorted(cuts), len(stream)]
    reader = PcmReader(audio_format)

    pieces = [reader.read(stream[a:b]) for a, b in pairwise(edges)]

    np.testing.assert_array_equal(np.concatenate(pieces), PcmReader(audio_format).read(stream))


def test_sound_float_samples_are_not_copied() -> None:
    frame = float_frame(-1.0, 0.25, 1.0)

    samples = PcmReader("float32").read(frame)

    assert np.shares_memory(samples, np.frombuffer(frame, dtype="<f4"))
    assert not samples.flags.writeable


def test_mends_isolated_samples() -> None:
    broken = float_frame(0.5, np.nan, np.inf, -np.inf, 1e30, 1.5, -99.0)

    samples = PcmReader("float32").read(broken + bytes(4 * 2000))

    assert samples[:7].tolist() == [0.5, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0]
    assert len(samples) == 2007


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(float_frame(*[np.nan] * 100), id="NaN"),
        pytest.param(float_frame(*[np.inf] * 100), id="infinite"),
        pytest.param(float_frame(*[9000.0, -7000.0] * 1000), id="scaled like int16"),
        pytest.param(
            (np.sin(np.arange(8192) / 9) * 8000).astype("<i2").tobytes(), id="int16 in disguise"
        ),
    ],
)
def test_refuses_what_is_no_float_audio(frame: bytes) -> None:
    with pytest.raises(UnsupportedAudio, match="int16"):
        PcmReader("float32").read(frame)


@pytest.mark.parametrize(
    ("bad", "is_refused"),
    [pytest.param(40, False, id="one percent"), pytest.param(41, True, id="more")],
)
def test_the_share_of_bad_samples_decides(bad: int, is_refused: bool) -> None:
    frame = float_frame(*[np.nan] * bad, *[0.0] * (4000 - bad))
    reader = PcmReader("float32")

    if is_refused:
        with pytest.raises(UnsupportedAudio, match=f"{bad} of the last 4000 samples"):
            reader.read(frame)
    else:
        assert len(reader.read(frame)) == 4000


def test_judges_tiny_frames_together() -> None:
    reader = PcmReader("float32")

    for _ in range(16):
        assert reader.read(float_frame(np.nan)).tolist() == [0.0]
    with pytest.raises(UnsupportedAudio):
        reader.read(float_frame(np.nan))


def test_forgives_old_faults() -> None:
    reader = PcmReader("float32")
    good = bytes(4 * 1600)

    for _ in range(100):
        reader.read(float_frame(*[np.nan] * 10))
        reader.read(good)
