from dataclasses import replace

import pytest

from tests.core.builders import words
from whisper_streaming.core.filters import (
    cut_loop,
    drop_squeezed_repeats,
    is_doubtful,
    is_silence,
)
from whisper_streaming.core.hypothesis import Hypothesis, Words, join_words


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
