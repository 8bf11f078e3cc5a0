import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import FRAME
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.endpoint import Boundary, BoundaryKind, Endpointer, EndpointRules

RULES = EndpointRules(
    threshold=0.5,
    release=0.35,
    min_speech_s=3 * FRAME / SAMPLE_RATE,
    silence_s=4 * FRAME / SAMPLE_RATE,
)
START, END = BoundaryKind.START, BoundaryKind.END


def boundaries(probabilities: list[float]) -> list[tuple[BoundaryKind, int, int]]:
    """Kind, frame and frame of detection of each boundary."""
    return [
        (b.kind, b.sample // FRAME, b.detected_sample // FRAME)
        for b in Endpointer(RULES).receive(probabilities)
    ]


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        pytest.param([0.1] * 9, [], id="silence"),
        pytest.param([0.1, 0.9, 0.9, 0.1] * 3, [], id="clicks"),
        pytest.param([0.1, 0.9, 0.9, 0.9, 0.9], [(START, 1, 4)], id="speech starts"),
        pytest.param(
            [0.9] * 3 + [0.1] * 4, [(START, 0, 3), (END, 3, 7)], id="speech ends after the silence"
        ),
        pytest.param([0.9] * 3 + [0.1] * 3 + [0.9], [(START, 0, 3)], id="short pause goes on"),
        pytest.param([0.9] * 3 + [0.4] * 9, [(START, 0, 3)], id="hysteresis keeps faint speech"),
        pytest.param([0.4] * 9, [], id="faint sound alone starts nothing"),
        pytest.param(
            [0.9] * 3 + [0.1] * 4 + [0.9] * 3,
            [(START, 0, 3), (END, 3, 7), (START, 7, 10)],
            id="two utterances",
        ),
    ],
)
def test_finds_boundaries(
    probabilities: list[float], expected: list[tuple[BoundaryKind, int, int]]
) -> None:
    assert boundaries(probabilities) == expected


def test_reset_forgets_an_open_utterance_and_keeps_the_clock() -> None:
    endpointer = Endpointer(RULES)
    assert len(list(endpointer.receive([0.9] * 3))) == 1
    endpointer.reset()

    assert not endpointer.in_speech
    assert list(endpointer.receive([0.9] * 3)) == [Boundary(START, 3 * FRAME, 6 * FRAME)]


def test_tells_a_run_that_is_too_short_to_count() -> None:
    endpointer = Endpointer(RULES)
    assert endpointer.candidate_start is None
    list(endpointer.receive([0.1, 0.9]))
    assert endpointer.candidate_start == FRAME
    list(endpointer.receive([0.9, 0.9]))
    assert endpointer.candidate_start is None


@given(st.lists(st.floats(0, 1)), st.lists(st.integers(0, 10)))
def test_chunking_does_not_matter_and_boundaries_alternate(
    probabilities: list[float], cuts: list[int]
) -> None:
    whole = list(Endpointer(RULES).receive(probabilities))
    endpointer, in_parts, rest = Endpointer(RULES), [], probabilities
    for cut in cuts:
        in_parts += endpointer.receive(rest[:cut])
        rest = rest[cut:]
    in_parts += endpointer.receive(rest)

    assert in_parts == whole
    assert [b.kind for b in whole] == [START, END] * (len(whole) // 2) + [START] * (len(whole) % 2)
    samples = [b.sample for b in whole]
    assert samples == sorted(samples)
    assert all(b.sample <= b.detected_sample for b in whole)
