"""Which parts of a recording are decoded together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.second_pass.windows import speech_windows

RULES = EndpointRules()
FRAME = RULES.frame_samples


def _probs(*runs: tuple[float, float]) -> np.ndarray:  # type: ignore[type-arg]
    """Speech probabilities: (seconds, probability) one after the other."""
    parts = [np.full(round(s * 16_000 / FRAME), p, np.float32) for s, p in runs]
    return np.concatenate(parts)


def _seconds(windows: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(round(start / 16_000, 1), round(end / 16_000, 1)) for start, end in windows]


def test_an_utterance_is_a_window_with_some_silence_around_it() -> None:
    probs = _probs((1, 0.1), (2, 0.9), (3, 0.1), (1, 0.9), (1, 0.1))
    windows = speech_windows(probs, RULES, longest_s=14.0, merged_s=3.0)

    assert _seconds(windows) == [(0.8, 3.2), (5.8, 7.2)]


def test_short_utterances_share_a_window() -> None:
    probs = _probs((1, 0.9), (1, 0.1), (1, 0.9), (1, 0.1), (4, 0.9))
    windows = speech_windows(probs, RULES, longest_s=14.0, merged_s=4.0)

    assert _seconds(windows) == [(0.0, 3.2), (3.8, 8.0)]


def test_a_monologue_is_cut_at_its_pauses() -> None:
    probs = _probs((9, 0.9), (0.2, 0.1), (9, 0.9))
    windows = speech_windows(probs, RULES, longest_s=12.0, merged_s=3.0)

    assert _seconds(windows) == [(0.0, 9.1), (9.1, 18.2)]


def test_there_is_no_window_in_silence() -> None:
    assert speech_windows(_probs((5, 0.1)), RULES, longest_s=14.0, merged_s=3.0) == []
    assert speech_windows(np.zeros(0, np.float32), RULES, longest_s=14.0, merged_s=3.0) == []


@given(
    runs=st.lists(st.tuples(st.floats(0.1, 20.0), st.sampled_from([0.1, 0.6, 0.9])), max_size=12),
    longest_s=st.sampled_from([5.0, 14.0, 28.0]),
    merged_s=st.sampled_from([0.0, 3.0, 29.0]),
)
def test_windows_hold_all_speech_and_do_not_overlap(
    runs: list[tuple[float, float]], longest_s: float, merged_s: float
) -> None:
    probs = _probs((0.1, 0.1), *runs)
    windows = speech_windows(probs, RULES, longest_s=longest_s, merged_s=min(merged_s, longest_s))

    edges = [edge for window in windows for edge in window]
    assert edges == sorted(edges)
    assert all(0 <= start < end <= len(probs) * FRAME for start, end in windows)
    assert all(end - start <= longest_s * 16_000 for start, end in windows)
    heard = np.zeros(len(probs), bool)
    for start, end in windows:
        heard[start // FRAME : -(-end // FRAME)] = True
    assert not np.any((probs >= RULES.threshold) & ~heard)
