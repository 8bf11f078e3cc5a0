import pytest

from tests.core.builders import FRAME
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.finder import UtteranceFinder

RULES = EndpointRules(
    min_speech_s=2 * FRAME / SAMPLE_RATE,
    silence_s=4 * FRAME / SAMPLE_RATE,
    pre_roll_s=3 * FRAME / SAMPLE_RATE,
    post_roll_s=FRAME / SAMPLE_RATE,
)


def finder(*runs: tuple[float, int], withholds_silence: bool = True) -> UtteranceFinder:
    """A finder that heard ``runs`` of (probability, frames)."""
    finder = UtteranceFinder(RULES, withholds_silence=withholds_silence)
    for probability, frames in runs:
        finder.receive([probability] * frames)
    return finder


def test_an_utterance_is_speech_with_some_audio_around_it() -> None:
    found = finder((0.0, 10), (0.9, 5), (0.0, 4))

    assert found.next_start(19 * FRAME) == (7 * FRAME, 10 * FRAME)
    assert found.next_end() == 16 * FRAME


def test_nothing_is_found_in_silence() -> None:
    found = finder((0.0, 10))

    assert found.next_start(10 * FRAME) is None
    assert found.next_end() is None
    assert found.keeps_from == 7 * FRAME


def test_a_short_sound_is_kept_until_it_is_judged() -> None:
    found = finder((0.0, 10), (0.9, 1))

    assert found.has_candidate
    assert found.keeps_from == 7 * FRAME


def test_the_next_utterance_does_not_reach_into_the_last_one() -> None:
    found = finder((0.9, 5), (0.0, 4), (0.9, 5))
    found.next_start(14 * FRAME)
    found.close(8 * FRAME)

    assert found.next_start(14 * FRAME) == (8 * FRAME, 9 * FRAME)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        pytest.param(0, None, id="silence stays silence"),
        pytest.param(1, (0, 3 * FRAME), id="a sound too short to count is all there will be"),
        pytest.param(5, (0, 3 * FRAME), id="open speech"),
    ],
)
def test_ending_here_ends_whatever_sounds(frames: int, expected: tuple[int, int] | None) -> None:
    found = finder((0.0, 3), (0.9, frames))
    received = (3 + frames) * FRAME + 100  # what does not fill a frame belongs to it
    found.end_here(received)

    assert found.next_start(received) == expected
    assert found.next_end() == (received if expected else None)


def test_without_silence_utterances_follow_each_other() -> None:
    found = finder((0.0, 3), (0.9, 5), (0.0, 4), withholds_silence=False)

    assert found.next_start(12 * FRAME) == (0, 0)
    assert found.next_end() == 9 * FRAME
    found.close(9 * FRAME)
    assert found.next_start(9 * FRAME) is None
    assert found.next_start(12 * FRAME) == (9 * FRAME, 9 * FRAME)
    found.end_here(13 * FRAME)
    assert found.next_end() == 13 * FRAME  # all audio is in one of them
