"""When a detected language is believed, and for how long."""

from dataclasses import replace

import numpy as np
import pytest

from tests.core.builders import hypothesis as heard
from whisper_streaming.core.audio import samples_of
from whisper_streaming.core.events import LanguageDetected
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Hypothesis
from whisper_streaming.core.language import LanguageChoice, LanguageRules

SESSION = LanguageRules()
UTTERANCE = LanguageRules(is_per_utterance=True)


def window(duration_s: float, *, is_last: bool = False) -> DecodeRequest:
    samples = np.zeros(samples_of(duration_s), dtype=np.float32)
    return DecodeRequest(samples, 0, DecodeOptions(), is_last=is_last)


def saying(language: str, probability: float = 0.8, text: str = "word") -> Hypothesis:
    return replace(heard(text), language=language, language_probability=probability)


def utterance(
    choice: LanguageChoice, language: str, duration_s: float, probability: float = 0.8
) -> LanguageDetected | None:
    """An utterance of one window; what was told."""
    told = choice.hear(window(duration_s, is_last=True), saying(language, probability))
    choice.end_utterance()
    return told


def test_a_given_language_is_never_asked_about() -> None:
    choice = LanguageChoice("en", SESSION)

    assert choice.hear(window(5.0), saying("de", 1.0)) is None
    choice.end_utterance()
    assert choice.fixed == "en"


@pytest.mark.parametrize("rules", [SESSION, UTTERANCE], ids=["session", "utterance"])
def test_enough_speech_fixes_the_language(rules: LanguageRules) -> None:
    choice = LanguageChoice(None, rules)

    assert choice.hear(window(1.9), saying("en")) is None
    assert choice.fixed is None
    assert choice.hear(window(2.0), saying("tr")) == LanguageDetected("tr", 0.8)
    assert choice.fixed == "tr"


def test_silence_tells_nothing() -> None:
    choice = LanguageChoice(None, SESSION)

    assert choice.hear(window(5.0), saying("en", 1.0, text="")) is None
    assert choice.fixed is None


def test_an_uncertain_language_is_shown_at_last_and_not_kept() -> None:
    choice = LanguageChoice(None, SESSION)

    assert choice.hear(window(5.9), saying("no", 0.4)) is None
    assert choice.fixed is None
    assert choice.hear(window(6.0), saying("no", 0.4)) is None
    assert choice.fixed == "no"
    choice.end_utterance()
    assert choice.fixed is None


# --- kept for the session


def test_a_kept_language_outlives_its_utterance() -> None:
    choice = LanguageChoice(None, SESSION)
    utterance(choice, "de", 2.0)

    assert choice.fixed == "de"
    assert choice.hear(window(9.0), saying("tr", 1.0)) is None
    assert choice.fixed == "de"


def test_a_short_first_utterance_is_told_and_decides_nothing() -> None:
    choice = LanguageChoice(None, SESSION)

    assert utterance(choice, "en", 1.3, 1.0) == LanguageDetected("en", 1.0)
    assert choice.fixed is None
    assert utterance(choice, "tr", 2.0) == LanguageDetected("tr", 0.8)
    assert choice.fixed == "tr"


def test_short_utterances_add_up() -> None:
    choice = LanguageChoice(None, SESSION)

    told, fixed = [], []
    for _ in range(3):
        told.append(utterance(choice, "de", 0.8))
        fixed.append(choice.fixed)

    assert told == [LanguageDetected("de", 0.8), None, None]
    assert fixed == [None, None, "de"]


def test_only_whole_short_utterances_add_up() -> None:
    choice = LanguageChoice(None, SESSION)
    utterance(choice, "en", 1.5)

    assert choice.hear(window(1.0), saying("en")) is None
    assert choice.fixed is None


def test_a_language_that_was_not_heard_most_must_wait() -> None:
    choice = LanguageChoice(None, SESSION)
    utterance(choice, "de", 1.9)
    utterance(choice, "en", 0.9)

    utterance(choice, "en", 1.0)
    assert choice.fixed is None
    utterance(choice, "en", 0.2)
    assert choice.fixed == "en"


def test_what_was_uncertain_does_not_count() -> None:
    choice = LanguageChoice(None, SESSION)

    assert utterance(choice, "de", 1.9, 0.4) is None
    utterance(choice, "de", 1.9)
    assert choice.fixed is None


# --- kept for the utterance


def test_each_utterance_may_be_in_another_language() -> None:
    choice = LanguageChoice(None, UTTERANCE)

    told = [utterance(choice, language, 1.0) for language in ("de", "de", "tr", "de")]

    assert [each and each.language for each in told] == ["de", None, "tr", "de"]
    assert choice.fixed is None


def test_a_language_that_surely_goes_on_is_not_waited_for() -> None:
    choice = LanguageChoice(None, UTTERANCE)
    utterance(choice, "de", 3.0)

    choice.hear(window(0.7), saying("tr", 0.99))
    assert choice.fixed is None
    choice.hear(window(0.7), saying("de", 0.89))
    assert choice.fixed is None
    choice.hear(window(0.7), saying("de", 0.9))
    assert choice.fixed == "de"


def test_a_word_that_leaves_it_open_is_in_the_language_before() -> None:
    choice = LanguageChoice(None, UTTERANCE)
    utterance(choice, "de", 3.0)

    assert choice.hear(window(0.7, is_last=True), saying("en", 0.4)) is None
    assert choice.fixed == "de"


def test_text_of_another_language_is_no_context() -> None:
    choice = LanguageChoice(None, UTTERANCE)
    assert not choice.follows_another(saying("de"))

    utterance(choice, "de", 3.0)

    assert choice.follows_another(saying("tr"))
    assert not choice.follows_another(saying("de"))
