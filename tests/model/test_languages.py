"""The embedded model finds out the language, and translates to English."""

from typing import Final

import numpy as np
import pytest

from tests.model.listening import DETECTING, Heard, Listener, translating
from tests.model.recordings import OTHER_LANGUAGES, load
from whisper_streaming.config import PolicySettings, ServerConfig
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.events import LanguageDetected, PartialUpdated, WordsCommitted
from whisper_streaming.evaluate import normalised_words, word_errors
from whisper_streaming.wire.base import Configure

pytestmark = [pytest.mark.model, pytest.mark.slow]

ONE_OF_EACH: Final = ("en-long-pauses", *OTHER_LANGUAGES)
TRANSLATION_COST: Final = 0.02
"""Streaming may raise a translation's word error rate by so much: a verb that its language puts
last is guessed before it was said, if words do not wait for it."""


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_language_is_detected_once_and_before_any_words(listener: Listener, name: str) -> None:
    heard = listener.streamed(name, DETECTING)
    detected = [i for i, event in enumerate(heard.events) if isinstance(event, LanguageDetected)]
    words = [
        i
        for i, event in enumerate(heard.events)
        if isinstance(event, WordsCommitted | PartialUpdated) and event.words
    ]

    assert heard.languages == [load(name).language]
    assert detected[0] < words[0]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_detected_language_gives_the_text_of_a_given_one(listener: Listener, name: str) -> None:
    told, detected = listener.streamed(name).text, listener.streamed(name, DETECTING).text

    # Not exactly: no word is committed until the language is decided, so windows differ.
    assert word_errors(told, detected).rate <= 0.02


# --- sessions that begin badly, and such in two languages

SHORT_ENGLISH: Final = ("en-1-slt", 7)  # "There has been no result."
TURKISH: Final = ("lang-tr", 0)
GERMAN: Final = ("lang-de", 0)
SPANISH: Final = ("lang-es", 0)
CHANGING: Final = ServerConfig(policy=PolicySettings(language_lock="utterance"))


def silence(duration_s: float) -> FloatArray:
    return np.zeros(samples_of(duration_s), dtype=np.float32)


def noise(duration_s: float) -> FloatArray:
    return np.random.default_rng(1).normal(0, 0.05, samples_of(duration_s)).astype(np.float32)


def sentence(name: str, index: int, *, first_s: float | None = None) -> FloatArray:
    """A sentence of a recording, or its first seconds, with a pause behind it."""
    said = load(name).sentences[index]
    end = said.end + 0.2 if first_s is None else said.start - 0.3 + first_s
    return np.concatenate([load(name).cut(said.start - 0.3, end), silence(1.2)])


def text_of(*sentences: tuple[str, int]) -> list[str]:
    """The words of sentences."""
    said = " ".join(load(name).sentences[index].text for name, index in sentences)
    return normalised_words(said)


def assert_all_was_heard(heard: Heard, samples: FloatArray) -> None:
    account = heard.account
    assert (account.received, account.gap) == (len(samples), 0)
    assert account.decoded + account.silence == len(samples)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(silence(6.0), id="silence"),
        pytest.param(np.concatenate([noise(5.0), silence(1.0)]), id="noise"),
    ],
)
def test_what_is_no_speech_decides_no_language(listener: Listener, before: FloatArray) -> None:
    samples = np.concatenate([before, sentence(*TURKISH)])
    heard = listener.hear(samples, DETECTING)

    assert heard.languages == ["tr"]
    assert normalised_words(heard.text) == text_of(TURKISH)
    assert_all_was_heard(heard, samples)


def test_a_few_words_of_another_language_first_do_not_decide(listener: Listener) -> None:
    samples = np.concatenate([sentence(*SHORT_ENGLISH, first_s=1.0), sentence(*TURKISH)])
    heard = listener.hear(samples, DETECTING)

    assert heard.languages == ["en", "tr"]
    assert normalised_words(heard.text) == ["there", "has", "been", *text_of(TURKISH)]
    assert_all_was_heard(heard, samples)


def test_each_utterance_is_heard_in_its_language_where_that_is_asked_for(
    listener: Listener,
) -> None:
    said = (GERMAN, SPANISH, ("lang-de", 2), TURKISH, SHORT_ENGLISH)
    samples = np.concatenate([sentence(*each) for each in said])
    heard = listener.hear(samples, DETECTING, config=CHANGING)

    assert heard.languages == ["de", "es", "de", "tr", "en"]
    assert normalised_words(heard.text) == text_of(*said)
    assert_all_was_heard(heard, samples)


def test_a_session_keeps_its_language_otherwise(listener: Listener) -> None:
    samples = np.concatenate([sentence(*GERMAN), sentence(*SPANISH)])
    heard = listener.hear(samples, DETECTING)

    assert heard.languages == ["de"]
    assert normalised_words(heard.text)[:6] == text_of(GERMAN)
    assert_all_was_heard(heard, samples)


def test_a_language_is_detected_among_those_that_are_named(listener: Listener) -> None:
    """The first second of this sentence passes for English."""
    first_second = load("lang-tr").cut(0.0, 1.0)
    among_all = listener.hear(first_second, DETECTING)
    among_two = listener.hear(first_second, Configure("tests", language="de,tr"))

    assert among_all.languages in ([], ["en"])
    assert among_two.languages == ["tr"]


@pytest.fixture
def translations(listener: Listener) -> dict[str, tuple[str, str]]:
    """Each recording's streamed and offline translation."""
    wishes = {name: translating(name) for name in OTHER_LANGUAGES}
    listener.hear_ahead(wishes)
    return {
        name: (listener.streamed(name, wish).text, listener.offline(name, wish).text)
        for name, wish in wishes.items()
    }


def test_translations_are_nearly_as_good_as_the_offline_ones(
    translations: dict[str, tuple[str, str]],
) -> None:
    said = sum(len(normalised_words(load(name).english)) for name in translations)
    streamed, offline = (
        sum(
            word_errors(load(name).english, texts[how]).errors
            for name, texts in translations.items()
        )
        for how in (0, 1)
    )

    assert offline / said <= 0.05
    assert streamed / said <= offline / said + TRANSLATION_COST


def test_no_sentence_is_left_untranslated(translations: dict[str, tuple[str, str]]) -> None:
    english = {word for name in translations for word in normalised_words(load(name).english)}
    left = {
        name: [
            word
            for word in normalised_words(streamed)
            if word in normalised_words(load(name).text) and word not in english
        ]
        for name, (streamed, _) in translations.items()
    }

    assert left == {name: [] for name in translations}


@pytest.mark.parametrize("name", OTHER_LANGUAGES)
def test_a_translation_of_what_was_sent_at_once_has_no_wrong_word(
    listener: Listener, name: str
) -> None:
    heard = listener.hear(load(name).samples, translating(name), chunk_s=1000.0)

    assert word_errors(load(name).english, heard.text).errors == 0
