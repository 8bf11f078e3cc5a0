import pytest

from tests.core.builders import glued, hypothesis, words
from whisper_streaming.core.hypothesis import Hypothesis, Words
from whisper_streaming.core.policy import LocalAgreement, local_agreement, spoken_form


@pytest.mark.parametrize(
    ("earlier", "newest", "expected"),
    [
        pytest.param("the cat sat", "the cat sits down", 2, id="common prefix"),
        pytest.param("", "the cat", 0, id="nothing before"),
        pytest.param("the cat", "", 0, id="nothing now"),
        pytest.param("the cat", "a cat", 0, id="first word differs"),
        pytest.param("Holmes, said", "holmes said he", 2, id="case and punctuation do not count"),
        pytest.param("yes yes", "yes yes no", 2, id="repeated words survive"),
        pytest.param("the cat", "the cat", 2, id="equal"),
        pytest.param("don't go", "don’t go", 2, id="kinds of apostrophe"),
        pytest.param("राम का घर", "राम की घर", 1, id="vowel signs make the word"),
    ],
)
def test_local_agreement_counts_the_common_prefix(earlier: str, newest: str, expected: int) -> None:
    assert local_agreement(words(earlier), words(newest)) == expected


def test_late_punctuation_neither_agrees_nor_disagrees() -> None:
    with_stop: Words = (glued("."), *words("the cat"))

    assert local_agreement(with_stop, words("the cat sat")) == 2
    assert local_agreement(words("the cat sat"), with_stop) == 3
    assert local_agreement(with_stop, (glued("."),)) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Don't!", "dont"),
        (" ...", ""),
        (" ÇOK", "çok"),
        ("，", ""),
        (" 3.5", "35"),
        (" हिन्दी।", "हिन्दी"),
        ("❤️", ""),
    ],
)
def test_spoken_form_is_what_is_heard(text: str, expected: str) -> None:
    assert spoken_form(text) == expected


def test_agreement_of_three_needs_three_hypotheses() -> None:
    policy = LocalAgreement(agreement=3)
    newest = hypothesis("the cat sat")

    assert policy.safe_words([words("the cat sat")], newest) == 0
    assert policy.safe_words([words("the dog"), words("the cat sat")], newest) == 1
    assert policy.safe_words([words("the cat"), words("the cat sat")], newest) == 2


def test_an_empty_hypothesis_commits_nothing() -> None:
    assert LocalAgreement().safe_words([()], Hypothesis((), "en")) == 0
