"""The yardstick of the comparison: what is committed of which hypotheses."""

import pytest

from tests.core.builders import words
from whisper_streaming.bench.plain_transcribe import _Buffer, _repeated
from whisper_streaming.core.hypothesis import Word, join_words


def buffer() -> _Buffer:
    return _Buffer(start_s=0.0, decoded_until=0, before="")


def test_what_two_hypotheses_share_is_committed() -> None:
    heard = buffer()

    heard.insert(words("the cat sat"))
    assert heard.committed == []

    heard.insert(words("the cat sits down"))
    assert join_words(heard.committed) == " the cat"
    assert join_words(heard.tail) == " sits down"


def test_a_comma_blocks_a_commit() -> None:
    heard = buffer()

    heard.insert(words("the cat, sat"))
    heard.insert(words("the cat sat"))

    assert join_words(heard.committed) == " the"


def test_committed_words_are_heard_again_and_skipped() -> None:
    heard = buffer()
    for _ in range(2):
        heard.insert(words("the cat"))

    heard.insert(words("the cat sat down"))

    assert join_words(heard.committed) == " the cat"
    assert join_words(heard.tail) == " sat down"


@pytest.mark.parametrize(
    ("committed", "new", "expected"),
    [
        pytest.param("the cat", "cat sat", 1, id="one word"),
        pytest.param("the cat sat", "cat sat down", 2, id="two words"),
        pytest.param("the cat", "sat down", 0, id="nothing"),
        pytest.param("", "the cat", 0, id="no committed words"),
        pytest.param("the cat", "", 0, id="no new words"),
    ],
)
def test_words_said_twice_at_the_seam_are_dropped(committed: str, new: str, expected: int) -> None:
    before = words(committed)
    until = before[-1].end if before else 0.0

    assert _repeated(before, words(new, start=until), until) == expected


def test_words_after_a_pause_are_no_repetition() -> None:
    assert _repeated(words("yes"), words("yes", start=1.3), 0.25) == 0


def test_a_long_buffer_is_cut_at_a_committed_segment() -> None:
    heard = buffer()
    heard.committed = [
        Word(" one.", 0.0, 6.0),
        Word(" two.", 6.0, 12.0),
        Word(" three", 12.0, 13.0),
    ]
    heard.segment_ends = [6.0, 12.0, 16.0]

    heard.trim(15.0)
    assert heard.start_s == 0.0

    heard.trim(15.1)
    assert heard.start_s == 12.0
    assert heard.before == " one. two."
    assert join_words(heard.committed) == " three"


def test_a_buffer_without_a_committed_segment_grows() -> None:
    heard = buffer()
    heard.segment_ends = [16.0]

    heard.trim(20.0)

    assert heard.start_s == 0.0
