"""The scripted backend hears what is written into the audio, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backends.conformance import BackendConformance, decode
from whisper_streaming.backends.base import Backend
from whisper_streaming.backends.scripted import (
    CUT_WORD_PROBABILITY,
    HeardWord,
    ScriptedBackend,
    ScriptedBehaviour,
    hear,
    hears,
    spoken,
)
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest
from whisper_streaming.errors import DecodeError
from whisper_streaming.vad.energy import EnergyVad

WORDS = ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog."]
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs")), min_size=1, max_size=12)


def request(samples: FloatArray, **fields: object) -> DecodeRequest:
    arguments = {"start_sample": 0, "options": DecodeOptions(), **fields}
    return DecodeRequest(samples, **arguments)  # type: ignore[arg-type]


def texts(samples: FloatArray) -> list[str]:
    return [word.text for word in hear(samples)]


class TestConformance(BackendConformance):
    @pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
    def backend(self, request: pytest.FixtureRequest) -> Backend:
        return ScriptedBackend(workers=request.param)

    @pytest.fixture
    def speech(self) -> FloatArray:
        return spoken(WORDS, gap_s=0.05)


def test_hears_the_words_at_their_exact_times() -> None:
    samples = spoken(["Hi", "there."], word_s=0.5, gap_s=0.25)

    first, second = hear(samples)

    assert (first.text, second.text) == ("Hi", "there.")
    assert (first.start_sample, second.start_sample) == (0, 12_000)
    # A word ends with its last run, a few samples before its duration is over.
    assert 8_000 - 2 * (2 * len("Hi") + 1) < first.end_sample <= 8_000


@settings(max_examples=50, deadline=None)
@given(words=st.lists(TEXTS, min_size=1, max_size=5), before=st.integers(0, 3000))
def test_hears_every_text_wherever_it_begins(words: list[str], before: int) -> None:
    samples = np.concatenate((np.zeros(before, dtype=np.float32), spoken(words, word_s=0.5)))

    heard = hear(samples)

    assert [word.text for word in heard] == words
    assert [word.start_sample for word in heard] == [
        before + index * 8000 for index in range(len(words))
    ]


@pytest.mark.parametrize(
    ("scale", "dtype"), [(32767, np.int16), (127, np.int8)], ids=["16 bit", "8 bit"]
)
def test_survives_integer_audio(scale: int, dtype: type) -> None:
    samples = spoken(WORDS)

    integers: FloatArray = np.round(samples * scale).astype(dtype).astype(np.float32)

    assert texts(integers / np.float32(scale + 1)) == WORDS


def test_survives_faint_noise() -> None:
    samples = spoken(WORDS)
    noise = np.random.default_rng(0).uniform(-0.015, 0.015, len(samples)).astype(np.float32)

    assert texts(samples + noise) == WORDS


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 9 * 6400))
def test_a_window_holds_the_words_that_lie_in_it_in_full(cut: int) -> None:
    samples = spoken(WORDS)
    whole = hear(samples)

    left = [word for word in hear(samples[:cut]) if not word.is_cut]
    right = hear(samples[cut:])

    assert left == [word for word in whole if word.end_sample <= cut]
    assert [word.text for word in right] == [w.text for w in whole if w.start_sample >= cut]


def test_a_cut_word_is_heard_with_its_letters_so_far() -> None:
    samples = spoken(["understanding"], word_s=0.5)

    heard = [hear(samples[: samples_of(cut_s)]) for cut_s in (0.01, 0.15, 0.3, 0.5)]

    assert [[(word.text, word.is_cut) for word in words] for words in heard] == [
        [],
        [("unde", True)],
        [("understa", True)],
        [("understanding", False)],
    ]


def test_a_word_that_misses_samples_is_not_heard_whole() -> None:
    samples = spoken(["one", "two", "three"])
    damaged = np.concatenate((samples[:7_400], samples[9_600:]))

    assert "two" not in texts(damaged)
    assert texts(damaged)[-1] == "three"


def test_a_word_with_a_hole_is_not_heard() -> None:
    samples = spoken(["one", "two", "three"])
    samples[9_000:9_800] = 0

    assert texts(samples) == ["one", "three"]


@pytest.mark.parametrize(
    ("hears_cut_words", "expected"),
    [
        (True, [(" one", 10.0, 1.0), (" t", 10.4, CUT_WORD_PROBABILITY)]),
        (False, [(" one", 10.0, 1.0)]),
    ],
)
def test_hears_a_cut_word_only_if_it_is_told_to(
    hears_cut_words: bool, expected: list[tuple[str, float, float]]
) -> None:
    backend = ScriptedBackend(ScriptedBehaviour(hears_cut_words=hears_cut_words))
    samples = spoken(["one", "two"])[: samples_of(0.6)]

    words = decode(backend, request(samples, start_sample=10 * SAMPLE_RATE)).words

    assert [(word.text, word.start, word.probability) for word in words] == expected


def test_a_prefix_word_that_the_window_cuts_is_not_counted_twice() -> None:
    samples = spoken(["one", "two", "three"])
    one, two, three = decode(ScriptedBackend(), request(samples)).words
    trimmed = request(samples[3_200:], start_sample=3_200, prefix=(one, two))

    assert decode(ScriptedBackend(), trimmed).words == (three,)


def test_a_word_committed_while_it_was_cut_is_not_heard_again() -> None:
    samples = spoken(["one", "two"])
    (cut,) = decode(ScriptedBackend(), request(samples[:5_000])).words

    rest = decode(ScriptedBackend(), request(samples, prefix=(cut,))).words

    assert [word.text for word in rest] == [" two"]


def test_the_first_marked_word_decides_a_detection() -> None:
    samples = np.concatenate((spoken(["Hallo"], language="de"), spoken(["amigo"], language="es")))

    detected = decode(ScriptedBackend(), request(samples))
    named = decode(ScriptedBackend(), request(samples, options=DecodeOptions(language="fr")))

    assert [word.text for word in detected.words] == [" Hallo", " amigo"]
    assert (detected.language, named.language) == ("de", "fr")


def test_translation_is_upper_case() -> None:
    options = DecodeOptions(task="translate")

    hypothesis = decode(ScriptedBackend(), request(spoken(["one"]), options=options))

    assert hypothesis.words[0].text == " ONE"


def test_decoding_takes_the_time_it_is_told_to() -> None:
    slept: list[float] = []
    behaviour = ScriptedBehaviour(
        seconds_per_batch=0.5, seconds_per_audio_s=0.25, sleep=slept.append
    )
    window = request(spoken(["one"], word_s=2.0))

    hypotheses = ScriptedBackend(behaviour).decode_batch([window, window])

    assert slept == [1.5]
    assert [each.decode_s for each in hypotheses] == [0.75, 0.75]


def test_fails_for_the_chosen_word_when_it_is_complete() -> None:
    backend = ScriptedBackend(ScriptedBehaviour(fails=hears("bomb")))
    samples = spoken(["a", "bomb"])

    assert decode(backend, request(samples[:-1_000])).words[0].text == " a"
    with pytest.raises(DecodeError):
        decode(backend, request(samples))


def test_refuses_a_window_longer_than_whisper_has() -> None:
    with pytest.raises(DecodeError, match=r"31\.0 s is too long"):
        decode(ScriptedBackend(), request(np.zeros(31 * SAMPLE_RATE, dtype=np.float32)))


def test_models_do_not_share_a_batch() -> None:
    backend = ScriptedBackend(models=("first", "second"))
    keys = [
        backend.batch_key(request(spoken(["a"]), options=DecodeOptions(model=name)))
        for name in (None, "first", "second", "unknown")
    ]

    assert keys == ["first", "first", "second", "first"]


@pytest.mark.parametrize("word", ["", "a\tb", "x" * 400])
def test_refuses_what_cannot_be_said(word: str) -> None:
    with pytest.raises(ValueError, match=r"is no word|is too long"):
        spoken([word])


def test_nothing_is_said_in_silence_and_in_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 0.3, 32_000).astype(np.float32)

    assert spoken([]).shape == (0,)
    assert hear(np.zeros(16_000, dtype=np.float32)) == []
    assert hear(noise.clip(-1, 1)) == []


def test_words_are_speech_to_the_energy_detector_and_gaps_are_not() -> None:
    probabilities = EnergyVad().open_stream().process(spoken(["one"], word_s=0.512, gap_s=0.512))

    assert probabilities[:15].min() > 0.9
    assert not probabilities[16:].any()


def test_heard_words_compare_by_value() -> None:
    assert hear(spoken(["a"])) == [HeardWord("a", 0, hear(spoken(["a"]))[0].end_sample)]
