"""The likeliest way through the frames."""

import itertools

import numpy as np
import pytest

from tests.alignment.letters import columns, heard
from whisper_streaming.alignment.ctc import LogProbs, first_frames

BLANK = 0


@pytest.mark.parametrize(
    ("frames", "text", "expected"),
    [
        pytest.param("cat", "cat", [0, 1, 2], id="a letter in each frame"),
        pytest.param("__c_aa__t_", "cat", [2, 4, 8], id="blanks and held letters"),
        pytest.param("_o_o_", "oo", [1, 3], id="a double letter"),
        pytest.param("__a|_b__|", "a|b|", [2, 3, 5, 8], id="gaps"),
        pytest.param("_c_x_t_", "cat", [1, 3, 5], id="a letter that was heard otherwise"),
    ],
)
def test_finds_where_each_letter_begins(frames: str, text: str, expected: list[int]) -> None:
    assert first_frames(heard(frames), columns(text), BLANK) == expected


def test_equal_letters_need_a_blank_between_them() -> None:
    assert first_frames(heard("oo"), columns("oo"), BLANK) is None
    assert first_frames(heard("ooo"), columns("oo"), BLANK) == [0, 2]


@pytest.mark.parametrize("frames", ["", "c", "ca"])
def test_more_letters_than_frames_cannot_be_said(frames: str) -> None:
    assert first_frames(heard(frames), columns("cat"), BLANK) is None


def test_nothing_said_is_nowhere() -> None:
    assert first_frames(heard("__"), [], BLANK) == []


@pytest.mark.parametrize("seed", range(20))
def test_no_other_way_is_likelier(seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (6, 4)).astype(np.float32)
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    tokens = [int(token) for token in random.integers(1, 4, 3)]

    starts = first_frames(log_probs, tokens, BLANK)

    best = max(_ways(6, tokens), key=lambda way: _score(log_probs, way))
    expected = _first_frames_of(best, tokens)
    assert starts == expected


def _ways(frames: int, tokens: list[int]) -> list[tuple[int, ...]]:
    """All rows of columns, one for each frame, that read as ``tokens``."""
    rows = itertools.product(sorted({BLANK, *tokens}), repeat=frames)
    return [row for row in rows if _read(row) == tokens]


def _read(row: tuple[int, ...]) -> list[int]:
    return [token for token, _ in itertools.groupby(row) if token != BLANK]


def _score(log_probs: LogProbs, row: tuple[int, ...]) -> float:
    return float(sum(log_probs[frame, token] for frame, token in enumerate(row)))


def _first_frames_of(row: tuple[int, ...], tokens: list[int]) -> list[int]:
    starts, frame = [], 0
    for token, run in itertools.groupby(row):
        if token != BLANK:
            starts.append(frame)
        frame += len(list(run))
    assert len(starts) == len(tokens)
    return starts
