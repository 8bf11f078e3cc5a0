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
    ("text", "words"),
    [
        pytest.param("मैं हिन्दी बोलता हूँ।", ["मैं", "हिन्दी", "बोलता", "हूँ"], id="Hindi"),
        pytest.param("น้ำ กับ ที่นี่", ["น้ำ", "กับ", "ที่นี่"], id="Thai"),
        pytest.param("cafe\u0301 au lait", ["café", "au", "lait"], id="letter and mark"),
    ],
)
def test_vowel_signs_and_marks_belong_to_their_word(text: str, words: list[str]) -> None:
    assert normalised_words(text) == words


def test_another_vowel_sign_is_another_word() -> None:
    assert word_errors("का", "की").substitutions == 1


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


@pytest.mark.parametrize(
    ("heard", "lost"),
    [
        pytest.param("a b c d", 0, id="nothing"),
        pytest.param("a b", 2, id="two words"),
        pytest.param("a d", 0, id="in the middle"),
        pytest.param("b", 2, id="at both ends"),
        pytest.param("a b x", 0, id="another word at the end"),
        pytest.param("", 4, id="everything"),
    ],
)
def test_what_is_missing_at_the_end_is_lost(heard: str, lost: int) -> None:
    assert word_errors("a b c d", heard).lost_tail == lost


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


def test_words_are_complete_with_their_segment() -> None:
    log = CaptionLog()
    log.add(1.0, "the cat", "the cat sat", "")
    log.add(2.0, "the cat sat", "the cat sat", "the cat")
    words = [SpokenWord("the", 0.5), SpokenWord("cat", 0.9), SpokenWord("sat", 1.5)]

    assert log.latencies(words).complete == (1.5, 1.1)


def test_the_endpoint_latency_is_that_of_the_last_word_of_each_utterance() -> None:
    log = CaptionLog()
    log.add(1.0, "the cat", "the cat")
    log.add(3.0, "the cat sat town", "the cat sat town")
    said = [("the", 0.5), ("cat", 0.9), ("sat", 2.5), ("down", 2.9)]

    # The second utterance ends with a word that is wrong.
    latencies = log.latencies(spoken_words(said), [0.9, 2.9])

    assert latencies.endpoint == pytest.approx((0.1,))


def test_words_that_were_taken_back_or_changed_are_erased() -> None:
    log = CaptionLog()
    log.add(1.0, "", "the cat sat")
    log.add(2.0, "", "The cat, sat")  # the same words
    log.add(3.0, "", "the bat sat down")  # two are another one now
    log.add(4.0, "the", "the")  # three are gone

    assert log.erased == 5
    assert log.final_words == ("the",)


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
