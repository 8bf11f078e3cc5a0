import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import glued, hypothesis, words
from whisper_streaming.core.hypothesis import Hypothesis, Word, Words
from whisper_streaming.core.policy import (
    EdgeCommit,
    LocalAgreement,
    create_policy,
    local_agreement,
    spoken_form,
)


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

    assert policy.safe_words([words("the cat sat")], newest, audio_end=1.0) == 0
    assert policy.safe_words([words("the dog"), words("the cat sat")], newest, audio_end=1.0) == 1
    assert policy.safe_words([words("the cat"), words("the cat sat")], newest, audio_end=1.0) == 2


def test_an_empty_hypothesis_commits_nothing() -> None:
    assert LocalAgreement().safe_words([()], Hypothesis((), "en"), audio_end=1.0) == 0


# -- EdgeCommit

CAREFUL = EdgeCommit()
TUNED = EdgeCommit(
    agreed_margin_s=0.0,
    sure_margin_s=0.7,
    sure_probability=0.15,
    certain_margin_s=0.15,
    certain_probability=0.97,
)
AUDIO_END = 10.0


def heard(text: str) -> Words:
    """``"cat/0.3/0.9"``: a word, how long before the end of the audio it ends, its probability."""
    said = []
    for each in text.split():
        word, *numbers = each.split("/")
        before_edge_s, probability = (*map(float, numbers), 1.0, 1.0)[:2] if numbers else (1.0, 1.0)
        end = AUDIO_END - before_edge_s
        said.append(Word(f" {word}", end - 0.2, end, probability))
    return tuple(said)


def safe(policy: EdgeCommit, newest: str, *earlier: str) -> int:
    return policy.safe_words(
        [heard(each) for each in earlier], Hypothesis(heard(newest), "en"), audio_end=AUDIO_END
    )


@pytest.mark.parametrize(
    ("earlier", "newest", "expected"),
    [
        pytest.param("the", "the/0.3/0.01", 1, id="agreed, on the margin"),
        pytest.param("the", "the/0.28/0.49", 0, id="agreed, inside the margin"),
        pytest.param("", "the/0.6/0.5", 1, id="sure, on the margin"),
        pytest.param("", "the/0.58/1.0", 0, id="sure, inside the margin"),
        pytest.param("", "the/2.0/0.49", 0, id="not sure, however far"),
        pytest.param("a cat", "the/2.0/0.9 cat/0.4/0.1", 2, id="sure against the earlier one"),
        pytest.param("a cat", "the/2.0/0.4 cat/1.0/1.0", 0, id="nothing behind an unsafe word"),
        pytest.param("the", "the/1.0 cat/0.2/1.0", 1, id="the last word may be cut"),
        pytest.param("the cat.", "The/1.0 cat,/0.4", 2, id="case and punctuation do not block"),
        pytest.param("yes, yes,", "yes,/1.2/0.1 yes/0.7/0.1", 2, id="repeated words survive"),
        pytest.param("yes", "yes/1.2/0.1 yes/0.5/0.9", 1, id="one yes confirms one yes"),
        pytest.param("the cat", "", 0, id="nothing now"),
    ],
)
def test_the_careful_policy_wants_distance_or_agreement(
    earlier: str, newest: str, expected: int
) -> None:
    assert safe(CAREFUL, newest, earlier) == expected


@pytest.mark.parametrize(
    ("earlier", "newest", "expected"),
    [
        pytest.param("", "the/0.15/0.97", 1, id="certain, on the margin"),
        pytest.param("", "the/0.15/0.96", 0, id="not quite certain"),
        pytest.param("", "the/0.13/0.99", 0, id="certain, inside the margin"),
        pytest.param("the", "the/0.4/0.2 cat/0.2/0.98", 2, id="certain, behind an agreed one"),
        pytest.param("the dog", "the/0.6/0.2 cat/0.2/0.99", 1, id="certain, but it was another"),
        pytest.param("a", "the/0.8/0.2 cat/0.2/0.99", 1, id="certain behind one that changed"),
        pytest.param("", "the/0.7/0.15", 1, id="far away anything but a guess is sure"),
        pytest.param("", "the/3.0/0.14", 0, id="a guess is never sure"),
        pytest.param("the", "the/0.0/0.01", 1, id="a guess that is confirmed"),
    ],
)
def test_a_measured_model_may_be_believed_closer_to_the_edge(
    earlier: str, newest: str, expected: int
) -> None:
    assert safe(TUNED, newest, earlier) == expected


@pytest.mark.parametrize("name", ["sure_probability", "certain_probability"])
def test_no_setting_lets_a_guess_pass_alone(name: str) -> None:
    policy = replace(TUNED, sure_margin_s=0.0, certain_margin_s=0.0, **{name: 0.0})

    assert safe(policy, "the/3.0/0.14") == 0


def test_agreement_of_three_wants_both_earlier_hypotheses() -> None:
    policy = replace(CAREFUL, agreement=3)

    assert safe(policy, "the/0.4 cat/0.4", "the cat") == 0
    assert safe(policy, "the/0.4 cat/0.4", "the dog", "the cat") == 1
    assert safe(policy, "the/0.4 cat/0.4", "the cat", "the cat") == 2


def test_late_punctuation_waits_for_the_word_behind_it() -> None:
    newest = Hypothesis((glued(".", at=9.0), *heard("the/1.0 cat/0.1")), "en")

    assert CAREFUL.safe_words([()], newest, audio_end=AUDIO_END) == 2
    assert CAREFUL.safe_words([()], Hypothesis((glued("."),), "en"), audio_end=AUDIO_END) == 0


def test_guessed_times_leave_agreement_alone() -> None:
    guessed = Hypothesis(heard("the/0.0 cat/0.0 sat/5.0"), "en", has_word_times=False)

    assert TUNED.safe_words([heard("the cat")], guessed, audio_end=AUDIO_END) == 2


def test_policies_are_made_by_name() -> None:
    numbers = EdgeCommit(agreement=3)

    assert create_policy("edge_commit", numbers) is numbers
    assert create_policy("local_agreement", numbers) == LocalAgreement(3)


TEXTS = st.sampled_from([" yes", " yes,", " Yes", " no", " the", ".", ",", " ..."])


@st.composite
def any_words(draw: st.DrawFn) -> Words:
    """Words that repeat, waver in case and punctuation, and follow each other."""
    at, drawn = 0.0, []
    for text in draw(st.lists(TEXTS, max_size=6)):
        end = at + draw(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.9]))
        drawn.append(Word(text, at, end, draw(st.sampled_from([0.0, 0.1, 0.15, 0.5, 0.97, 1.0]))))
        at = end
    return tuple(drawn)


HISTORIES = st.lists(any_words(), max_size=3)
PROBABILITIES = st.floats(0, 1)
MARGINS = st.floats(0, 2)
POLICIES = st.builds(
    EdgeCommit,
    agreement=st.integers(2, 4),
    agreed_margin_s=MARGINS,
    sure_margin_s=MARGINS,
    sure_probability=PROBABILITIES,
    certain_margin_s=st.none() | MARGINS,
    certain_probability=PROBABILITIES,
)


def agreed(agreement: int, earlier: Sequence[Words], newest: Words) -> int:
    return LocalAgreement(agreement).safe_words(earlier, Hypothesis(newest, "en"), audio_end=0.0)


@given(POLICIES, HISTORIES, any_words(), st.floats(0, 4))
def test_with_the_second_margin_at_infinity_it_is_local_agreement_with_a_margin(
    policy: EdgeCommit, earlier: list[Words], newest: Words, audio_end: float
) -> None:
    policy = replace(policy, sure_margin_s=math.inf, certain_margin_s=None)
    earlier = earlier[-policy.history :]

    count = policy.safe_words(earlier, Hypothesis(newest, "en"), audio_end=audio_end)

    spoken = [index for index, word in enumerate(newest) if spoken_form(word.text)]
    latest = audio_end - policy.agreed_margin_s + 1e-6
    expected = 0
    for index in spoken:
        if index >= agreed(policy.agreement, earlier, newest) or newest[index].end > latest:
            break
        expected = index + 1
    assert count == expected


@given(POLICIES, HISTORIES, any_words(), st.floats(0, 4))
def test_what_agrees_away_from_the_edge_is_always_safe(
    policy: EdgeCommit, earlier: list[Words], newest: Words, audio_end: float
) -> None:
    earlier = earlier[-policy.history :]
    alone = replace(policy, sure_margin_s=math.inf, certain_margin_s=None)
    hypothesis_ = Hypothesis(newest, "en")

    assert policy.safe_words(earlier, hypothesis_, audio_end=audio_end) >= alone.safe_words(
        earlier, hypothesis_, audio_end=audio_end
    )


@given(POLICIES, HISTORIES, any_words(), st.floats(0, 4), st.floats(0, 2))
def test_more_audio_never_makes_a_word_less_safe(
    policy: EdgeCommit, earlier: list[Words], newest: Words, audio_end: float, more_s: float
) -> None:
    earlier = earlier[-policy.history :]
    hypothesis_ = Hypothesis(newest, "en")
    before = policy.safe_words(earlier, hypothesis_, audio_end=audio_end)

    assert policy.safe_words(earlier, hypothesis_, audio_end=audio_end + more_s) >= before


@given(POLICIES, HISTORIES, any_words(), st.floats(0, 4))
def test_a_guess_is_committed_only_where_hypotheses_agree(
    policy: EdgeCommit, earlier: list[Words], newest: Words, audio_end: float
) -> None:
    earlier = earlier[-policy.history :]

    count = policy.safe_words(earlier, Hypothesis(newest, "en"), audio_end=audio_end)

    assert count == 0 or spoken_form(newest[count - 1].text)  # punctuation waits for its next word
    spoken = [word for word in newest[:count] if spoken_form(word.text)]
    forms = [[f for w in words_ if (f := spoken_form(w.text))] for words_ in earlier]
    for position, word in enumerate(spoken):
        if word.probability < 0.15:
            assert len(earlier) == policy.history
            assert all(each[position] == spoken_form(word.text) for each in forms)
