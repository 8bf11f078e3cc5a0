from dataclasses import replace

import numpy as np
import pytest

from tests.core.builders import FRAME, words
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.filters import (
    cut_loop,
    drop_squeezed_repeats,
    drop_timeless,
    drop_unheard,
    is_doubtful,
    is_silence,
    is_steady_around,
    is_subtitle_phrase,
)
from whisper_streaming.core.hypothesis import (
    DecodeOptions,
    DecodeRequest,
    Hypothesis,
    Words,
    join_words,
)
from whisper_streaming.core.voice import Voice, VoiceTrack, frame_levels_db


@pytest.mark.parametrize(
    ("no_speech", "logprob", "expected"),
    [
        pytest.param(0.9, -1.5, True, id="silent and unsure"),
        pytest.param(0.9, -0.3, False, id="silent but sure of its words"),
        pytest.param(0.1, -1.5, False, id="unsure speech"),
        pytest.param(0.9, None, False, id="unknown certainty"),
    ],
)
def test_silence_needs_both_signs(no_speech: float, logprob: float | None, expected: bool) -> None:
    hypothesis = Hypothesis(
        words("thank you"), "en", no_speech_probability=no_speech, average_logprob=logprob
    )
    assert is_silence(hypothesis) is expected


@pytest.mark.parametrize(
    ("text", "logprob", "expected"),
    [
        pytest.param("thank you", -0.9, True, id="unsure words"),
        pytest.param("thank you", -0.3, False, id="sure words"),
        pytest.param("", -0.9, False, id="no words to doubt"),
        pytest.param("thank you", None, False, id="unknown certainty"),
    ],
)
def test_doubt_is_about_words(text: str, logprob: float | None, expected: bool) -> None:
    assert is_doubtful(Hypothesis(words(text), "en", average_logprob=logprob)) is expected


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("yes yes yes", "yes yes yes", id="people repeat a word"),
        pytest.param("one one one one zero", "one one one one zero", id="digits"),
        pytest.param("no " * 9, "no", id="one word for ever"),
        pytest.param("so " + "I think that " * 5, "so I think that", id="a phrase for ever"),
        pytest.param(
            "I think that I think that I was right",
            "I think that I think that I was right",
            id="a restart is speech",
        ),
        pytest.param("a b c d " * 4, "a b c d", id="four rounds are a loop"),
        pytest.param("a b c d " * 3, "a b c d " * 3, id="three are not"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_cuts_a_loop_after_its_first_round(text: str, kept: str) -> None:
    assert cut_loop(words(text)) == words(kept)


def test_compares_spoken_forms() -> None:
    assert len(cut_loop(words("Thank you. thank you, " * 2))) == 2


def test_a_decode_without_an_end_in_silence_is_silence() -> None:
    endless = Hypothesis(words("thank you"), "en", no_speech_probability=0.9, is_truncated=True)

    assert is_silence(endless)
    assert not is_silence(replace(endless, no_speech_probability=0.1))


def test_a_decode_without_an_end_is_doubtful() -> None:
    assert is_doubtful(Hypothesis(words("thank you"), "en", is_truncated=True))


def squeezed(text: str, at: float) -> Words:
    return words(text, start=at, word_s=0.03)


@pytest.mark.parametrize(
    ("prefix", "heard", "kept"),
    [
        pytest.param(
            (),
            squeezed("how are you", 1.0) + words("how are you", start=1.1),
            "how are you",
            id="first copy has no time",
        ),
        pytest.param(
            (),
            words("how are you", start=1.0)
            + squeezed("how are you", 1.75)
            + words("now", start=1.9),
            "how are you now",
            id="second copy has no time",
        ),
        pytest.param(
            words("well how are you", start=0.0),
            squeezed("how are you", 1.0) + words("now", start=1.1),
            "now",
            id="copy of committed words",
        ),
        pytest.param(
            (),
            words("how are you how are you", start=1.0),
            "how are you how are you",
            id="said twice",
        ),
        pytest.param((), squeezed("yes yes", 1.0), "yes yes", id="one word twice is left alone"),
        pytest.param((), squeezed("how are you", 1.0), "how are you", id="no repetition"),
    ],
)
def test_drops_a_repetition_that_took_no_time(prefix: Words, heard: Words, kept: str) -> None:
    assert join_words(drop_squeezed_repeats(prefix, heard)).strip() == kept


STEADY: FloatArray = np.random.default_rng(0).normal(0, 0.1, samples_of(4.0)).astype(np.float32)
SYLLABLES: FloatArray = STEADY * (np.arange(len(STEADY)) // samples_of(0.15) % 2 + 0.1)


def heard(
    text: str,
    *,
    speech_probs: list[float],
    samples: FloatArray = SYLLABLES,
    probability: float = 0.5,
    logprob: float | None = -0.8,
) -> str:
    """What is left of ``text``, whose first word begins 1 s into 4 s of audio."""
    track = VoiceTrack(FRAME, 0.5)
    frames = np.zeros(len(samples) // FRAME, dtype=np.float32)
    frames[31 : 31 + len(speech_probs)] = speech_probs
    track.append(frames, keep_from=0)
    said = tuple(replace(word, probability=probability) for word in words(text, start=1.0))
    request = DecodeRequest(samples.astype(np.float32), 0, DecodeOptions())
    hypothesis = Hypothesis(said, "en", average_logprob=logprob)
    return join_words(drop_unheard(request, hypothesis, track)).strip()


@pytest.mark.parametrize(
    ("speech_probs", "kept"),
    [
        pytest.param([], "", id="no voice"),
        pytest.param([0.4] * 20, "", id="hardly a voice"),
        pytest.param([0.7] * 5, "", id="a click that deceives the detector"),
        pytest.param([0.73] * 7, "yes", id="a quiet word in noise"),
        pytest.param([0.9, 0.9], "yes", id="a short word"),
    ],
)
def test_a_doubtful_word_needs_a_voice(speech_probs: list[float], kept: str) -> None:
    assert heard("yes", speech_probs=speech_probs) == kept


@pytest.mark.parametrize(
    ("probability", "kept"),
    [
        pytest.param(0.6, "one two three", id="likely words may be half a second off"),
        pytest.param(0.59, "one two", id="others must stand where a voice is"),
    ],
)
def test_only_the_words_without_a_voice_are_dropped(probability: float, kept: str) -> None:
    text = "one two three four five six seven eight"

    assert heard(text, speech_probs=[0.99] * 8, probability=probability) == kept


@pytest.mark.parametrize(
    ("probability", "logprob", "kept"),
    [
        pytest.param(0.95, -0.2, "yes", id="sure"),
        pytest.param(0.95, None, "yes", id="sure of the word, no score"),
        pytest.param(0.95, -0.5, "", id="unsure of the whole"),
        pytest.param(0.85, -0.2, "", id="unsure of the word"),
    ],
)
def test_a_sure_model_may_hear_what_the_detector_does_not(
    probability: float, logprob: float | None, kept: str
) -> None:
    assert heard("yes", speech_probs=[], probability=probability, logprob=logprob) == kept


def test_a_steady_sound_is_no_voice_whatever_the_detector_says() -> None:
    voice = [0.98] * 60

    assert heard("yes", speech_probs=voice, samples=STEADY) == ""
    assert heard("yes", speech_probs=voice) == "yes"
    assert heard("yes", speech_probs=voice, samples=STEADY, probability=0.95, logprob=-0.1) == "yes"


def test_in_a_steady_sound_without_a_voice_no_model_is_believed() -> None:
    assert heard("yes", speech_probs=[], samples=STEADY, probability=0.99, logprob=-0.1) == ""


def test_a_window_too_short_to_be_judged_is_not_steady() -> None:
    (word,) = words("yes", start=0.3)

    assert not is_steady_around(word, frame_levels_db(STEADY[: samples_of(0.9)]), 0.0)
    assert is_steady_around(word, frame_levels_db(STEADY[: samples_of(1.8)]), 0.0)


@pytest.mark.parametrize(
    ("word_s", "expected"),
    [
        pytest.param(0.25, True, id="the sound begins with it"),
        pytest.param(0.1, False, id="too short to show in a spread"),
    ],
)
def test_a_word_at_the_edge_of_a_steady_sound_is_judged_by_its_side(
    word_s: float, expected: bool
) -> None:
    (word,) = words("and", start=2.0, word_s=word_s)
    samples = np.concatenate((SYLLABLES[: samples_of(2.0)], STEADY[: samples_of(2.0)]))

    assert is_steady_around(word, frame_levels_db(samples.astype(np.float32)), 0.0) is expected


def timeless(text: str, probability: float = 0.5) -> Words:
    return tuple(
        replace(word, probability=probability) for word in words(text, start=1.0, word_s=0.0)
    )


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param(
            timeless("the man and") + words("Karen changed", start=1.0),
            "Karen changed",
            id="a sentence before the first word",
        ),
        pytest.param(timeless("the") + words("cat", start=1.0), "the cat", id="one alone"),
        pytest.param(timeless("the cat", 0.95), "the cat", id="sure"),
        pytest.param(words("the cat", word_s=0.03), "the cat", id="fast"),
        pytest.param((), "", id="nothing"),
    ],
)
def test_doubtful_words_in_a_row_need_time(said: Words, kept: str) -> None:
    assert join_words(drop_timeless(Hypothesis(said, "en"))).strip() == kept


@pytest.mark.parametrize(
    ("text", "voiced_s", "expected"),
    [
        pytest.param("Thank you.", 0.1, True, id="a cough"),
        pytest.param("Thank you.", 0.3, False, id="spoken"),
        pytest.param("Untertitel der Amara.org-Community", 0.2, True, id="punctuation"),
        pytest.param("ご視聴ありがとうございました", 0.0, True, id="no spaces"),
        pytest.param("Thank you for the letter.", 0.0, False, id="only begins like one"),
        pytest.param("", 0.0, False, id="nothing"),
    ],
)
def test_phrases_of_subtitles_need_their_time(text: str, voiced_s: float, expected: bool) -> None:
    assert is_subtitle_phrase(words(text), Voice(0.9, voiced_s)) is expected


def test_a_sure_phrase_of_subtitles_is_dropped_all_the_same() -> None:
    cough = [0.9, 0.9, 0.6]

    assert heard("Thanks for watching!", speech_probs=cough, probability=1.0, logprob=-0.1) == ""
    assert heard("Thanks for that!", speech_probs=cough, probability=1.0, logprob=-0.1) != ""
