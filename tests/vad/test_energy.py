"""The energy detector: loud against the noise floor is speech."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.vad.base import FRAME_SAMPLES
from whisper_streaming.vad.energy import FLOOR_FRAMES, EnergyVad


def noise(level_db: float, frames: int) -> FloatArray:
    rng = np.random.default_rng(1)
    return (rng.standard_normal(frames * FRAME_SAMPLES) * 10 ** (level_db / 20)).astype(np.float32)


def judge(samples: FloatArray) -> FloatArray:
    return EnergyVad().open_stream().process(samples)


def test_digital_silence_has_probability_zero() -> None:
    assert not judge(np.zeros(200 * FRAME_SAMPLES, dtype=np.float32)).any()


def test_an_offset_without_sound_has_probability_zero() -> None:
    assert not judge(np.full(200 * FRAME_SAMPLES, 0.25, dtype=np.float32)).any()


def test_speech_in_the_first_frame_counts() -> None:
    assert judge(noise(-25, 10)).min() > 0.9


def test_steady_noise_stops_being_speech_when_the_floor_has_risen() -> None:
    probabilities = judge(noise(-40, 2 * FLOOR_FRAMES))

    assert probabilities[0] > 0.5
    assert probabilities[FLOOR_FRAMES:].max() < 0.1


def test_a_burst_over_steady_noise_is_speech() -> None:
    steady = noise(-40, 2 * FLOOR_FRAMES)
    samples = np.concatenate((steady, noise(-20, 10), steady))

    probabilities = judge(samples)

    assert probabilities[2 * FLOOR_FRAMES : 2 * FLOOR_FRAMES + 10].min() > 0.9
    assert probabilities[2 * FLOOR_FRAMES + 10 :].max() < 0.1


def test_a_loud_voice_that_never_dips_stays_speech() -> None:
    assert judge(noise(-15, 4 * FLOOR_FRAMES)).min() > 0.9


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 100 * FRAME_SAMPLES), max_size=20))
def test_any_split_gives_the_same_probabilities(cuts: list[int]) -> None:
    samples = np.concatenate((noise(-45, 50), noise(-25, 50)))
    stream = EnergyVad().open_stream()

    parts = [stream.process(piece) for piece in np.split(samples, sorted(cuts))]

    np.testing.assert_array_equal(np.concatenate(parts), judge(samples))


@pytest.mark.parametrize(
    ("name", "least_hits", "most_false"),
    [
        pytest.param("en-1-slt", 0.9, 0.02, id="clean"),
        pytest.param("en-long-pauses", 0.9, 0.02, id="long pauses"),
        # At 15 dB the quiet consonants are in the noise: what an endpointer bridges anyway.
        pytest.param("en-noisy-15db", 0.7, 0.12, id="noisy"),
    ],
)
def test_finds_the_words_of_a_recording(name: str, least_hits: float, most_false: float) -> None:
    samples, _ = soundfile.read(f"tests/data/{name}.flac", dtype="float32")
    words = json.loads(Path(f"tests/data/{name}.json").read_text(encoding="utf-8"))["words"]
    is_word = np.zeros(len(samples) // FRAME_SAMPLES, dtype=np.bool_)
    frames_per_s = SAMPLE_RATE / FRAME_SAMPLES
    for word in words:
        is_word[int(word["start"] * frames_per_s) : int(word["end"] * frames_per_s) + 1] = True

    is_speech = judge(samples) > 0.5

    assert is_speech[is_word].mean() > least_hits
    assert is_speech[~is_word].mean() < most_false
