"""Sound that nobody said anything in: alone, between sentences and under them."""

from itertools import pairwise
from typing import Final

import numpy as np
import pytest

from tests.model.listening import Heard, Listener
from tests.model.recordings import load
from tests.model.sounds import SOUNDS, scaled
from whisper_streaming.core.audio import FloatArray, samples_of, seconds
from whisper_streaming.evaluate import word_errors
from whisper_streaming.wire.base import Configure

pytestmark = [pytest.mark.model, pytest.mark.slow]

WITH_VAD: Final = Configure("tests", language="en", use_vad=True)
WITHOUT_VAD: Final = Configure("tests", language="en", use_vad=False)

LEVELS_DBFS: Final = (-50.0, -35.0, -20.0, -6.0)
AT_EACH_LEVEL_S: Final = 12.0
TEN_MINUTES_S: Final = 600.0
UNWITHHELD_S: Final = 5.0

SPOKEN: Final = "en-1-slt"
# As loud as the speech. Hum that is much louder deceives the detector, is decoded with the sentence
# before it, and costs words there: Whisper sets its scale by the loudest sound of a window.
BETWEEN: Final = (("hum", -20.0), ("arpeggios", -20.0), ("breath", -20.0), ("drums", -20.0))
GAP_S: Final = 4.0
SPEECH_FADES_S: Final = 0.4
UNDER: Final = ("hum", "pink_noise", "clicks", "chords")
UNDER_DB: Final = 15.0
COST_OF_NOISE: Final = 0.05
"""Of streaming, in noise: windows that end in a word end in noise as well."""


def all_levels(name: str) -> FloatArray:
    """A sound that gets louder in steps."""
    return np.concatenate([scaled(SOUNDS[name](AT_EACH_LEVEL_S, 1), db) for db in LEVELS_DBFS])


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_gives_no_word(listener: Listener, name: str) -> None:
    assert listener.hear(all_levels(name), WITH_VAD).text == ""


def test_the_sounds_are_ten_minutes_in_all() -> None:
    assert sum(seconds(len(all_levels(name))) for name in SOUNDS) > TEN_MINUTES_S


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_gives_no_word_where_all_of_it_is_decoded(listener: Listener, name: str) -> None:
    heard = listener.hear(scaled(SOUNDS[name](UNWITHHELD_S, 1), -20.0), WITHOUT_VAD)

    assert heard.account.decoded == heard.account.received
    assert heard.text == ""


def sentences(gaps: list[FloatArray]) -> tuple[FloatArray, list[tuple[float, float]]]:
    """Sentences with ``gaps`` between them, and where the gaps are."""
    recording = load(SPOKEN)
    pieces: list[FloatArray] = []
    places = []
    for index, sentence in enumerate(recording.sentences[: len(gaps) + 1]):
        pieces.append(recording.cut(sentence.start - 0.2, sentence.end + 0.2))
        if index < len(gaps):
            begin = seconds(sum(map(len, pieces)))
            pieces.append(gaps[index])
            places.append((begin, begin + seconds(len(gaps[index]))))
    return np.concatenate(pieces), places


def said_in_gaps(heard: Heard, places: list[tuple[float, float]]) -> list[str]:
    """Words that lie in a gap, where the last sound of a sentence has faded."""
    return [
        word.text
        for word in heard.words
        for begin, end in places
        if word.start >= begin + SPEECH_FADES_S and word.end <= end
    ]


@pytest.mark.parametrize(
    ("wishes", "invented"),
    [pytest.param(WITH_VAD, 4, id="vad"), pytest.param(WITHOUT_VAD, 9, id="no vad")],
)
def test_sounds_between_sentences_hardly_touch_them(
    listener: Listener, wishes: Configure, invented: int
) -> None:
    """What is left are words at the very edge of a sentence, where its voice speaks for them."""
    silent, _ = sentences([np.zeros(samples_of(GAP_S), dtype=np.float32) for _ in BETWEEN])
    loud, places = sentences([scaled(SOUNDS[name](GAP_S, 1), db) for name, db in BETWEEN])
    said = " ".join(each.text for each in load(SPOKEN).sentences[: len(BETWEEN) + 1])

    quiet, noisy = listener.hear(silent, wishes), listener.hear(loud, wishes)

    assert said_in_gaps(noisy, places) == []
    errors = word_errors(said, quiet.text).errors
    assert errors < 0.15 * len(said.split())
    assert word_errors(said, noisy.text).errors <= errors + invented


def test_sounds_under_speech_add_no_words(listener: Listener) -> None:
    recording = load(SPOKEN)
    spoken = recording.samples
    loudness = 20 * np.log10(np.sqrt(np.mean(spoken[np.abs(spoken) > 0.003] ** 2)))
    edges = np.linspace(0, len(spoken), len(UNDER) + 1).astype(int)
    under = [
        scaled(SOUNDS[name](seconds(last - first) + 0.1, 1)[: last - first], loudness - UNDER_DB)
        for name, (first, last) in zip(UNDER, pairwise(edges), strict=True)
    ]
    mixed = spoken + np.concatenate(under)

    streamed, offline = listener.hear(mixed, WITH_VAD), listener.hear_once(mixed, WITH_VAD)

    count = len(recording.words)
    assert len(streamed.words) <= count * (1 + COST_OF_NOISE)
    offline_errors = word_errors(recording.text, offline.text).errors
    assert offline_errors < 0.35 * count
    assert word_errors(recording.text, streamed.text).errors <= offline_errors + (
        COST_OF_NOISE * count
    )
