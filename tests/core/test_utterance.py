from dataclasses import replace

import pytest

from tests.core.builders import glued, hypothesis, words
from whisper_streaming.core.audio import samples_of
from whisper_streaming.core.hypothesis import WindowRules, Word, join_words
from whisper_streaming.core.policy import LocalAgreement
from whisper_streaming.core.utterance import Utterance

POLICY = LocalAgreement()


def utterance(*, speech_start: int = 0, history: int = 1) -> Utterance:
    return Utterance(1, 0, speech_start, history)


def test_the_rest_of_a_hypothesis_is_what_the_next_one_must_agree_with() -> None:
    open_utterance = utterance()
    open_utterance.commit_agreed(hypothesis("the cat sat"), POLICY, 0.75)
    open_utterance.commit_agreed(hypothesis("the cat sits down"), POLICY, 1.0)
    assert join_words(open_utterance.prefix) == " the cat"

    open_utterance.commit_agreed(hypothesis("sits up", start=0.5), POLICY, 1.2)
    assert join_words(open_utterance.prefix) == " the cat sits"
    assert join_words(open_utterance.tail) == " up"


def test_longer_histories_forget_what_was_committed() -> None:
    policy = LocalAgreement(agreement=3)
    open_utterance = utterance(history=2)
    for text in ("the", "the, cat sat", "the cat sat"):
        open_utterance.commit_agreed(hypothesis(text), policy, 1.0)
    assert join_words(open_utterance.prefix) == " the"

    open_utterance.commit_agreed(hypothesis("cat sat down", start=0.25), policy, 1.2)
    assert join_words(open_utterance.prefix) == " the cat sat"


def test_late_punctuation_is_committed_with_the_words_after_it() -> None:
    open_utterance = utterance()
    open_utterance.commit_all(words("the end"))
    late = (glued(".", at=0.1), *words("Then came", start=0.5))

    committed = open_utterance.commit_all(late)
    assert join_words(open_utterance.prefix) == " the end. Then came"
    assert committed[0].start == 0.5  # never before the word it belongs to ended


def test_words_do_not_start_before_the_speech() -> None:
    open_utterance = utterance(speech_start=samples_of(0.4))
    (word,) = open_utterance.commit_all((Word(" But", 0.0, 0.6),))

    assert (word.start, word.end) == (0.4, 0.6)


@pytest.mark.parametrize(
    ("text", "probability", "audio_end", "shown"),
    [
        pytest.param(" Boldwood", 0.14, 1.6, " for to", id="a guess at the edge, and the rest"),
        pytest.param(" Boldwood", 0.15, 1.6, " for to Boldwood look", id="no guess"),
        pytest.param(" Boldwood", 0.14, 1.7, " for to Boldwood look", id="not at the edge"),
        pytest.param("-do", 0.14, 1.6, " for to-do look", id="goes on with the word before it"),
    ],
)
def test_a_guess_that_more_audio_may_change_is_not_shown(
    text: str, probability: float, audio_end: float, shown: str
) -> None:
    guess = Word(text, 0.75, 1.0, probability)
    open_utterance = utterance()
    open_utterance.hold((*words("for to", start=0.25), guess, *words("look", start=1.0)))

    assert join_words(open_utterance.shown(audio_end)) == shown


def test_a_word_that_fills_a_whole_window_does_not_stop_it() -> None:
    open_utterance = utterance()
    endless = (Word(" aaah", 0.0, 4.0),)
    open_utterance.hold(endless)

    left = open_utterance.restart_after(samples_of(4.0))
    assert left == ()
    assert open_utterance.window_start == samples_of(3.0)


def test_a_word_stretched_over_the_window_does_not_make_it_creep() -> None:
    open_utterance = utterance()
    open_utterance.hold((Word(" hm", 0.1, 14.0),))

    open_utterance.restart_after(samples_of(14.0))
    assert open_utterance.window_start == samples_of(13.0)


def test_a_word_at_the_end_of_a_full_window_is_heard_again_whole() -> None:
    open_utterance = utterance()
    open_utterance.hold((Word(" unbelievable", 12.5, 14.0),))

    open_utterance.restart_after(samples_of(14.0))
    assert open_utterance.window_start == samples_of(12.5)


def test_a_prefix_of_many_tokens_is_trimmed_in_a_short_window_too() -> None:
    open_utterance = utterance()
    many = tuple(replace(word, tokens=(7,) * 20) for word in words("one two three four five"))
    rules = WindowRules(max_window_s=28.0, trim_window_s=12.0, keep_words=2)
    open_utterance.commit_all(many[:4])
    assert open_utterance.trim(samples_of(2.0), rules) == ()

    open_utterance.commit_all(many[4:])
    assert join_words(open_utterance.trim(samples_of(2.0), rules)) == " one two three"
    assert open_utterance.window_start == samples_of(0.75 - 0.1)


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        pytest.param(20, " two three four five", id="all fit"),
        pytest.param(40, " four five", id="two fit"),
        pytest.param(200, " five", id="one does not fit, and is kept"),
    ],
)
def test_trimming_keeps_as_many_words_as_leave_room_for_new_ones(tokens: int, kept: str) -> None:
    open_utterance = utterance()
    open_utterance.commit_all(
        tuple(replace(word, tokens=(7,) * tokens) for word in words("one two three four five"))
    )
    rules = WindowRules(max_window_s=28.0, trim_window_s=12.0, keep_words=4)

    open_utterance.trim(samples_of(2.0), rules)

    assert join_words(open_utterance.prefix) == kept


def test_trimming_keeps_the_last_words_as_context_in_the_window() -> None:
    open_utterance = utterance()
    open_utterance.commit_all(words("one two three four"))
    rules = WindowRules(max_window_s=10.0, trim_window_s=1.0, keep_words=2)

    left = open_utterance.trim(samples_of(2.0), rules)
    assert join_words(left) == " one two"
    assert join_words(open_utterance.prefix) == " three four"
    assert open_utterance.window_start == samples_of(0.5 - 0.1)


def test_short_windows_and_empty_ones_are_not_trimmed() -> None:
    rules = WindowRules(max_window_s=10.0, trim_window_s=3.0, keep_words=2)
    nothing_said, short = utterance(), utterance()
    short.commit_all(words("one two three four"))

    assert nothing_said.trim(samples_of(5.0), rules) == ()
    assert short.trim(samples_of(2.0), rules) == ()
    assert (nothing_said.window_start, short.window_start) == (0, 0)
