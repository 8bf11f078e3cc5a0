"""What is spoken is understood again: text to speech, and the embedded model back to text."""

from typing import Final

import numpy as np
import pytest

from tests.model.listening import Listener
from tests.model.recordings import load
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.evaluate import word_errors
from whisper_streaming.media import StreamResampler
from whisper_streaming.tts import Speech, synthesize_turkish
from whisper_streaming.wire.base import Configure

pytestmark = [pytest.mark.model, pytest.mark.slow]

ROUND_TRIP: Final = 0.05
"""One word of 23. Measured: none, with the program 1.51 and with the library 1.52."""


def at_16_khz(speech: Speech) -> FloatArray:
    resampler = StreamResampler(speech.rate)
    return np.concatenate([resampler.resample(speech.samples), resampler.flush()])


def test_spoken_turkish_is_understood(listener: Listener) -> None:
    sentences = list(dict.fromkeys(each.text for each in load("lang-tr").sentences))
    turkish = Configure("tests", language="tr")

    heard = [listener.hear(at_16_khz(synthesize_turkish(each)), turkish) for each in sentences]

    assert len(sentences) == 6
    said = " ".join(sentences)
    assert word_errors(said, " ".join(each.text for each in heard)).rate <= ROUND_TRIP
