"""Word errors and latencies."""

import math

import pytest

from whisper_streaming.evaluate import (
    CaptionLog,
    Latencies,
    SpokenWord,
    normalised_words,
    percentile,
    spoken_words,
    word_errors,
)


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert normalised_words("Don’t panic, it's TWENTY-one -- 42 o'clock!") == [
        "don't", "panic", "it's", "twenty", "one", "42", "o'clock",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "heard", "counts"),
    [
        pytest.param("the cat sat", "The cat sat.", (0, 0, 0), id="equal"),
        pytest.param("the cat sat", "the bat sat", (1, 0, 0), id="substitution"),
        pytest.param("the cat sat", "the cat sat down", (0, 1, 0), id="insertion"),
        pytest.param("the cat sat", "the sat", (0, 0, 1), id="deletion"),
        pytest.param("the cat sat", "", (0, 0, 3), id="nothing heard"),
        pytest.param("", "hello", (0, 1, 0), id="nothing said"),
        pytest.param("a b c d", "a x c e d", (1, 1, 0), id="mixed"),
    ],
)
def test_errors_are_counted_by_kind(said: str, heard: str, counts: tuple[int, int, int]) -> None:
    errors = word_errors(said, heard)

    assert (errors.substitutions, errors.insertions, errors.deletions) == counts


def test_the_rate_is_errors_per_word_said() -> None:
    assert word_errors("a b c d", "a x c e d").rate == 0.5
    assert word_errors("", "").rate == 0.0
    assert word_errors("", "hello").rate == math.inf


def test_matches_pair_right_words() -> None:
    assert word_errors("a b c d", "x a b y d").matches == ((0, 1), (1, 2), (3, 4))


def test_a_hyphenated_word_ends_as_one() -> None:
    assert spoken_words([("Twenty-one,", 1.5), ("--", 2.0)]) == [
        SpokenWord("twenty", 1.5),
        SpokenWord("one", 1.5),
    ]


def test_latency_counts_to_the_last_change_and_to_the_commit() -> None:
    log = CaptionLog()
    log.add(1.0, "", "the cat")
    log.add(2.0, "the", "the bat")
    log.add(3.0, "the", "the cat sat")
    log.add(4.0, "The cat sat.", "The cat sat.")
    words = [SpokenWord("the", 0.5), SpokenWord("cat", 0.9), SpokenWord("sat", 2.5)]

    # "the" is right from 1.0 on, "cat" was wrong until 3.0.
    assert log.latencies(words) == Latencies(commit=(1.5, 3.1, 1.5), first=(0.5, 2.1, 0.5))


def test_words_that_are_wrong_in_the_end_have_no_latency() -> None:
    log = CaptionLog()
    log.add(1.0, "the hat", "the hat")

    latencies = log.latencies([SpokenWord("the", 0.0), SpokenWord("cat", 0.5)])

    assert latencies == Latencies(commit=(1.0,), first=(1.0,))


def test_nothing_seen_has_no_latency() -> None:
    assert CaptionLog().latencies([SpokenWord("the", 0.0)]) == Latencies((), ())


def test_percentiles_lie_between_neighbours() -> None:
    assert percentile([4.0, 1.0, 2.0, 3.0], 50) == 2.5
    assert percentile([4.0, 1.0, 2.0, 3.0], 100) == 4.0
    assert math.isnan(percentile([], 50))
