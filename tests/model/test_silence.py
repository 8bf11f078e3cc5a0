"""Audio without words, with and without voice activity detection."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from tests.model.listening import Listener, given
from tests.model.recordings import load
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.evaluate import word_errors
from whisper_streaming.wire.base import Configure

pytestmark = [pytest.mark.model, pytest.mark.slow]

WITH_VAD: Final = Configure("tests", language="en", use_vad=True)
WITHOUT_VAD: Final = Configure("tests", language="en", use_vad=False)
NOISE_DBFS: Final = -40.0


def silence(duration_s: float) -> FloatArray:
    return np.zeros(samples_of(duration_s), dtype=np.float32)


def white_noise(duration_s: float) -> FloatArray:
    noise = np.random.default_rng(0).normal(0, 10 ** (NOISE_DBFS / 20), samples_of(duration_s))
    return noise.astype(np.float32)


@pytest.mark.parametrize("make", [silence, white_noise])
def test_a_minute_without_speech_gives_no_word_and_no_work(
    listener: Listener, make: Callable[[float], FloatArray]
) -> None:
    heard = listener.hear(make(60.0), WITH_VAD)

    assert heard.words == ()
    assert heard.account.silence == heard.account.received == samples_of(60.0)


@pytest.mark.parametrize("make", [silence, white_noise])
def test_without_vad_the_model_is_asked_and_says_nothing_either(
    listener: Listener, make: Callable[[float], FloatArray]
) -> None:
    heard = listener.hear(make(15.0), WITHOUT_VAD)

    assert heard.words == ()
    assert heard.account.decoded == heard.account.received


@pytest.mark.parametrize("name", ["lang-fr", "en-long-pauses"])
def test_without_vad_no_audio_is_withheld_and_the_words_are_the_same(
    listener: Listener, name: str
) -> None:
    with_vad = listener.streamed(name)
    without = listener.streamed(name, replace(given(name), use_vad=False))
    said = load(name).text

    assert without.account.decoded == without.account.received
    assert without.account.silence == 0
    assert without.account.gap == 0
    assert with_vad.account.silence > 0
    # Windows begin and end elsewhere, so a word or two may differ.
    assert word_errors(said, without.text).rate <= word_errors(said, with_vad.text).rate + 0.02
