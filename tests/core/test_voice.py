"""Speech probabilities on the clock, and how steady a sound is."""

import numpy as np
import pytest

from tests.core.builders import FRAME
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.voice import Voice, VoiceTrack, frame_levels_db, level_spread_db

FRAME_S = FRAME / 16_000


def track_of(*probs: float, keep_from: int = 0) -> VoiceTrack:
    track = VoiceTrack(FRAME, 0.5)
    track.append(np.array(probs, dtype=np.float32), keep_from=keep_from)
    return track


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param(0, 4, Voice(0.75, 2 * FRAME_S), id="all"),
        pytest.param(1, 2, Voice(0.5, FRAME_S), id="one frame, at the threshold"),
        pytest.param(1.5, 1.6, Voice(0.5, FRAME_S), id="part of a frame"),
        pytest.param(3, 9, Voice(0.25, 0.0), id="beyond what was judged"),
        pytest.param(-3, 1, Voice(0.0, 0.0), id="before the stream"),
        pytest.param(7, 9, Voice(0.0, 0.0), id="nothing judged"),
    ],
)
def test_tells_the_voice_between_two_times(first: float, last: float, expected: Voice) -> None:
    assert track_of(0.0, 0.5, 0.75, 0.25).heard(first * FRAME_S, last * FRAME_S) == expected


def test_forgets_what_nobody_can_ask_for_and_keeps_the_clock() -> None:
    track = track_of(0.9, 0.1, 0.8, keep_from=2 * FRAME + 5)

    assert track.heard(0.0, 2 * FRAME_S) == Voice(0.0, 0.0)
    assert track.heard(2 * FRAME_S, 3 * FRAME_S).peak == pytest.approx(0.8)
    track.append(np.array([0.6], dtype=np.float32), keep_from=100 * FRAME)
    track.append(np.array([0.7], dtype=np.float32), keep_from=0)
    assert track.heard(4 * FRAME_S, 5 * FRAME_S).peak == pytest.approx(0.7)


def noise(duration_s: float) -> FloatArray:
    rms = np.float32(0.1)
    return rms * np.random.default_rng(0).standard_normal(samples_of(duration_s), dtype=np.float32)


def spread(samples: FloatArray, start_s: float, end_s: float) -> float:
    spread_db = level_spread_db(frame_levels_db(samples), start_s, end_s)
    assert spread_db is not None
    return spread_db


def test_noise_is_steady_and_syllables_are_not() -> None:
    gain = (np.arange(samples_of(4.0)) // samples_of(0.15) % 2 + 0.1).astype(np.float32)

    assert spread(noise(4.0), 1.0, 2.5) < 1.0
    assert spread(noise(4.0) * gain, 1.0, 2.5) > 15.0


def test_an_offset_of_the_line_is_not_sound() -> None:
    assert spread(np.full(samples_of(2.0), 0.5, dtype=np.float32), 0.0, 2.0) == 0.0


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.9), (-5.0, 0.5), (3.5, 9.0), (8.0, 9.0)])
def test_a_short_stretch_is_not_judged(start: float, end: float) -> None:
    assert level_spread_db(frame_levels_db(noise(4.0)), start, end) is None
