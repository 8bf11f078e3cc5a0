"""Where audio is cut between sentences, on sounds whose pauses are known."""

import numpy as np
import pytest

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of, seconds
from whisper_streaming.translation.cuts import cut_after, cut_before

LOUD = 0.5
POWER = LOUD**2


def sound(duration_s: float, *pauses: tuple[float, float], floor: float = 0.0) -> FloatArray:
    """Loud, except from and to these times, where only the floor is left."""
    samples = np.full(samples_of(duration_s), LOUD, np.float32)
    for start, end in pauses:
        samples[samples_of(start) : samples_of(end)] = floor
    return samples


@pytest.mark.parametrize(
    ("pauses", "word_start_s", "expected_s"),
    [
        pytest.param([(0.2, 0.5)], 0.5, 0.38, id="a pause right before the word"),
        pytest.param([(0.2, 0.8)], 0.3, 0.68, id="a word whose time is too early"),
        pytest.param([(0.2, 0.34)], 0.6, 0.22, id="a word whose time is too late"),
        pytest.param([(0.0, 0.2), (0.4, 0.6)], 0.7, 0.48, id="the last of two pauses"),
        pytest.param([(0.0, 0.2), (0.8, 1.0)], 0.5, 0.08, id="a pause after the word is not its"),
        pytest.param([(0.30, 0.36)], 0.5, 0.35, id="no pause: the quietest moment"),
        pytest.param([], 0.5, 0.49, id="no moment is quieter: the last one"),
        pytest.param([], 0.0, 0.0, id="nothing before the word"),
    ],
)
def test_words_begin_at_the_end_of_the_pause_before_them(
    pauses: list[tuple[float, float]], word_start_s: float, expected_s: float
) -> None:
    cut = cut_before(sound(1.0, *pauses), samples_of(word_start_s), POWER)

    assert seconds(cut) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("pauses", "expected_s"),
    [
        pytest.param([(0.2, 0.5)], 0.32, id="a word whose time is too early"),
        pytest.param([(0.0, 0.5)], 0.12, id="a pause right after the word"),
        pytest.param([(0.04, 0.10), (0.3, 0.5)], 0.42, id="what is quiet before a plosive"),
        pytest.param([(0.14, 0.20)], 0.19, id="no pause: the quietest moment"),
        pytest.param([], 0.29, id="no moment is quieter: the last one nearby"),
    ],
)
def test_words_end_in_the_first_pause(pauses: list[tuple[float, float]], expected_s: float) -> None:
    assert seconds(cut_after(sound(0.5, *pauses), POWER)) == pytest.approx(expected_s)


def test_what_nothing_follows_belongs_to_the_words() -> None:
    plosive = sound(0.3, (0.1, 0.16))

    assert cut_after(plosive, POWER, is_end=True) == len(plosive)
    assert seconds(cut_after(sound(0.4, (0.1, 0.4)), POWER, is_end=True)) == pytest.approx(0.22)


def test_a_pause_may_be_as_loud_as_noise_15_db_below_the_words() -> None:
    just_quiet, too_loud = (LOUD * 10 ** (level / 20) for level in (-15.5, -14.5))

    assert seconds(cut_after(sound(0.5, (0.1, 0.4), floor=just_quiet), POWER)) == pytest.approx(
        0.22
    )
    assert seconds(cut_after(sound(0.5, (0.1, 0.4), floor=too_loud), POWER)) != pytest.approx(0.22)


def test_nothing_is_cut_of_nothing() -> None:
    nothing = np.zeros(0, np.float32)

    assert cut_after(nothing, POWER) == 0
    assert cut_before(nothing, 0, POWER) == 0
    assert cut_after(sound(0.01), POWER) <= 0.01 * SAMPLE_RATE
