"""A whole recording in windows cut at its pauses."""

import numpy as np
import pytest

from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.hypothesis import DecodeOptions
from whisper_streaming.engine.whole import FRAME_SAMPLES, cut_at_pauses, decode_whole


def frames(*runs: tuple[int, float]) -> FloatArray:
    return np.concatenate([np.full(count, value, dtype=np.float32) for count, value in runs])


def cuts(speech_probs: FloatArray) -> list[tuple[int, int]]:
    """Ranges in frames, for windows of at most 100 frames."""
    max_window_s = 100 * FRAME_SAMPLES / 16_000
    return [
        (start // FRAME_SAMPLES, end // FRAME_SAMPLES)
        for start, end in cut_at_pauses(speech_probs, max_window_s)
    ]


@pytest.mark.parametrize(
    ("speech_probs", "expected"),
    [
        pytest.param(frames((80, 0.9)), [(0, 80)], id="short"),
        pytest.param(frames((0, 0.9)), [], id="nothing"),
        pytest.param(frames((300, 0.1)), [], id="silence"),
        pytest.param(
            frames((60, 0.9), (10, 0.1), (20, 0.9), (4, 0.1), (60, 0.9)),
            [(0, 65), (65, 154)],
            id="longest pause",
        ),
        pytest.param(
            frames((20, 0.9), (20, 0.1), (120, 0.9)), [(0, 51), (51, 102), (102, 160)],
            id="no pause in the second half",
        ),
        pytest.param(
            frames((70, 0.9), (1, 0.4), (60, 0.9)), [(0, 71), (71, 131)], id="quietest frame"
        ),
    ],
)  # fmt: skip
def test_windows_end_at_pauses(speech_probs: FloatArray, expected: list[tuple[int, int]]) -> None:
    assert cuts(speech_probs) == expected


def test_a_recording_is_decoded_window_by_window() -> None:
    words = [f"word{index}" for index in range(60)]
    samples = spoken(words, word_s=0.384, gap_s=0.256)
    loud = np.abs(samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]) > 0.1
    speech_probs = loud.reshape(-1, FRAME_SAMPLES).any(axis=1).astype(np.float32)

    text = decode_whole(ScriptedBackend(), samples, speech_probs, DecodeOptions(language="en"))

    assert text == " ".join(words)
