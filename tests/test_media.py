"""Decoding of containers, codecs, pipes and raw samples."""

import io
import json
import os
import random
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import encoded_audio
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.errors import MediaError
from whisper_streaming.media import StreamResampler, decode_media, decode_raw, mix_to_mono

DATA = Path(__file__).parent / "data"
RECORDING = DATA / "lang-de.flac"


def whole(chunks: object) -> FloatArray:
    return np.concatenate(list(chunks))  # type: ignore[call-overload, no-any-return]


def tone(rate: int, duration_s: float, frequency_hz: float = 440.0) -> FloatArray:
    time_s = np.arange(round(rate * duration_s)) / rate
    return (0.5 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def encode(
    path: Path, codec: str, rate: int, *, stereo: bool = False, duration_s: float = 2.0
) -> FloatArray:
    """Write a tone to ``path``; the left channel of a stereo file is silent. Returns the tone."""
    samples = tone(rate, duration_s)
    layout = "stereo" if stereo else "mono"
    planes = np.stack([np.zeros_like(samples), samples]) if stereo else samples.reshape(1, -1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(
            format=stream.format.name, layout=layout, rate=rate, frame_size=1024
        )
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate = rate
        frame.pts = 0
        frame.time_base = Fraction(1, rate)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return samples


def dominant_frequency(samples: FloatArray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


def test_a_recording_at_16_khz_comes_out_sample_for_sample() -> None:
    with av.open(str(RECORDING)) as container:
        expected = np.concatenate(
            [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        )

    samples = whole(decode_media(RECORDING))

    assert samples.dtype == np.float32
    duration_s = json.loads(RECORDING.with_suffix(".json").read_text())["duration"]
    assert len(samples) == pytest.approx(duration_s * SAMPLE_RATE, abs=SAMPLE_RATE // 100)
    assert len(samples) == len(expected)
    np.testing.assert_allclose(samples, expected / 32768.0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "stereo"),
    [
        pytest.param("a.wav", "pcm_s16le", 8_000, False, id="wav, 8 kHz"),
        pytest.param("a.wav", "pcm_s16le", 44_100, True, id="wav, 44.1 kHz stereo"),
        pytest.param("a.mp3", "libmp3lame", 44_100, True, id="mp3"),
        pytest.param("a.ogg", "libopus", 48_000, False, id="ogg with opus"),
        pytest.param("a.webm", "libopus", 48_000, True, id="webm"),
        pytest.param("a.m4a", "aac", 48_000, True, id="m4a"),
        pytest.param("a.mp4", "aac", 44_100, False, id="mp4"),
        pytest.param("a.flac", "flac", 96_000, True, id="flac, 96 kHz stereo"),
    ],
)
def test_every_format_comes_out_as_16_khz_mono(
    tmp_path: Path, name: str, codec: str, rate: int, stereo: bool
) -> None:
    path = tmp_path / name
    encode(path, codec, rate, stereo=stereo)

    samples = whole(decode_media(str(path)))

    # Lossy codecs pad to whole frames, at most 1,152 samples at either end.
    assert len(samples) == pytest.approx(2.0 * SAMPLE_RATE, abs=2 * 1_152)
    assert dominant_frequency(samples) == pytest.approx(440.0, abs=1.0)
    middle = samples[SAMPLE_RATE // 2 : -SAMPLE_RATE // 2]
    # A channel that is silent halves the level of the mix.
    expected_peak = 0.25 if stereo else 0.5
    assert float(np.abs(middle).max()) == pytest.approx(expected_peak, rel=0.05)


def test_decoding_starts_before_a_pipe_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    encode(path, "pcm_s16le", SAMPLE_RATE, duration_s=10.0)
    content = path.read_bytes()
    reading_end, writing_end = os.pipe()
    first_chunk_seen = threading.Event()

    def write() -> None:
        with os.fdopen(writing_end, "wb") as pipe:
            pipe.write(content[: len(content) // 2])
            pipe.flush()
            assert first_chunk_seen.wait(timeout=20)
            pipe.write(content[len(content) // 2 :])

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading_end, "rb") as pipe:
        chunks = decode_media(pipe)
        first = next(chunks)
        first_chunk_seen.set()
        samples = np.concatenate([first, *chunks])
    writer.join()

    assert len(samples) == 10 * SAMPLE_RATE


def test_a_seekable_object_may_be_a_format_that_needs_seeking(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    encode(path, "aac", 48_000)

    samples = whole(decode_media(io.BytesIO(path.read_bytes())))

    assert dominant_frequency(samples) == pytest.approx(440.0, abs=1.0)


def test_one_damaged_packet_does_not_end_a_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.m4a"
    encode(path, "aac", SAMPLE_RATE, duration_s=10.0)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3_000] = random.Random(1).randbytes(3_000)

    samples = whole(decode_media(io.BytesIO(bytes(content))))

    assert 5 * SAMPLE_RATE < len(samples) <= 10 * SAMPLE_RATE
    assert "damaged packets were left out" in caplog.text


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        pytest.param(lambda folder: folder / "none.wav", "there is no file", id="missing"),
        pytest.param(lambda folder: folder, "is a folder", id="folder"),
        pytest.param(lambda folder: io.BytesIO(b"words " * 999), "known format", id="text"),
        pytest.param(lambda folder: io.BytesIO(b""), "known format", id="empty"),
    ],
)
def test_what_cannot_be_opened_says_why(tmp_path: Path, make: object, complaint: str) -> None:
    assert callable(make)
    with pytest.raises(MediaError, match=complaint):
        list(decode_media(make(tmp_path)))


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8), format="rgb24")
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))

    with pytest.raises(MediaError, match="has no audio in it"):
        list(decode_media(path))


def test_an_address_where_nobody_answers_is_a_media_error() -> None:
    with pytest.raises(MediaError, match="cannot be opened"):
        list(decode_media("http://127.0.0.1:1/a.mp3", timeout_s=5))


@pytest.mark.parametrize("sample_format", ["int16", "float32"])
def test_raw_samples_survive_reads_that_cut_samples_in_two(sample_format: str) -> None:
    class OddPipe(io.RawIOBase):
        """Gives 7 bytes at a time."""

        def __init__(self, content: bytes) -> None:
            self._content = io.BytesIO(content)

        def read(self, size: int = -1, /) -> bytes:
            return self._content.read(7)

    samples = tone(SAMPLE_RATE, 0.1)
    if sample_format == "int16":
        content = (samples * 32768).astype("<i2").tobytes()
    else:
        content = samples.astype("<f4").tobytes()

    decoded = whole(decode_raw(OddPipe(content), sample_format))  # type: ignore[arg-type]

    assert len(decoded) == len(samples)
    np.testing.assert_allclose(decoded, samples, atol=1 / 32768)


def test_raw_stereo_at_another_rate_is_mixed_and_resampled() -> None:
    right = tone(8_000, 1.0)
    content = np.stack([np.zeros_like(right), right], axis=1).astype("<f4").tobytes()

    samples = whole(decode_raw(io.BytesIO(content), "float32", sample_rate=8_000, channels=2))

    assert len(samples) == SAMPLE_RATE
    assert dominant_frequency(samples) == pytest.approx(440.0, abs=1.0)


def test_bytes_left_over_at_the_end_of_raw_audio_are_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    samples = whole(decode_raw(io.BytesIO(b"\x00" * 9), "int16"))

    assert len(samples) == 4
    assert "1 bytes were left over" in caplog.text


@settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 7_999), max_size=8, unique=True),
    rate=st.sampled_from([8_000, 11_025, 22_050, 44_100, 48_000]),
)
def test_resampling_in_pieces_equals_resampling_at_once(cuts: list[int], rate: int) -> None:
    samples = tone(rate, 8_000 / rate, frequency_hz=300.0)
    at_once = StreamResampler(rate)
    expected = np.concatenate([at_once.resample(samples), at_once.flush()])

    in_pieces = StreamResampler(rate)
    pieces = [in_pieces.resample(piece) for piece in np.split(samples, sorted(cuts))]
    result = np.concatenate([*pieces, in_pieces.flush()])

    np.testing.assert_allclose(result, expected, atol=1e-6)
    # The filter's end may round to one sample more or less.
    assert len(result) == pytest.approx(8_000 * SAMPLE_RATE / rate, abs=1)


def test_int16_is_scaled_and_stereo_is_averaged() -> None:
    samples = np.array([[32_767, -32_768], [16_384, 0]], dtype=np.int16)

    mono = mix_to_mono(samples)

    assert mono.dtype == np.float32
    np.testing.assert_allclose(mono, [-0.5 / 32768, 0.25], atol=1e-9)


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [
        pytest.param(np.zeros((2, 3, 4), np.float32), "shape", id="three dimensions"),
        pytest.param(np.zeros((2, 16_000), np.float32), "transpose", id="channels first"),
        pytest.param(np.zeros(4, np.uint32), "float32 or int16", id="uint32"),
        pytest.param(np.array([0.0, np.nan], np.float32), "finite", id="not a number"),
        pytest.param(np.array([0.0, 1e300]), "finite", id="beyond float32"),
        pytest.param(np.array([20_000.0], np.float32), "divide by 32768", id="unscaled"),
    ],
)
def test_arrays_that_cannot_be_audio_say_what_is_wrong(samples: np.ndarray, complaint: str) -> None:
    with pytest.raises(MediaError, match=complaint):
        mix_to_mono(samples)


@pytest.mark.parametrize("rate", [0, -1, 10_000_000])
def test_an_impossible_sample_rate_is_refused(rate: int) -> None:
    with pytest.raises(MediaError, match="sample rate"):
        StreamResampler(rate)


def test_an_impossible_number_of_channels_is_refused() -> None:
    with pytest.raises(MediaError, match="channels"):
        list(decode_raw(io.BytesIO(b""), "int16", channels=0))


def test_a_tag_that_is_no_utf_8_does_not_matter() -> None:
    mp3 = encoded_audio.encode("mp3", encoded_audio.tone(0.5))
    assert b"Lavf" in mp3

    samples = whole(decode_media(io.BytesIO(mp3.replace(b"Lavf", b"L\xe4vf", 1))))

    assert len(samples) == SAMPLE_RATE // 2
