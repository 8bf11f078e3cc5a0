"""English by ear, with the embedded model: exactly what the speaker of a recording said."""

import asyncio

import numpy as np
import pytest

from tests.live.virtual_time import in_virtual_time
from tests.model.recordings import load
from tests.translation.decoders import DirectDecoder
from whisper_streaming.backends.base import Backend
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.core.hypothesis import DecodeOptions, Hypothesis, Word
from whisper_streaming.errors import DecodeError, TranslationError
from whisper_streaming.translation.passages import Passage
from whisper_streaming.translation.speech import SpeechTranslator

OPTIONS = DecodeOptions("tr", hotwords="kapı", prompt="Merhaba.")
HEARD = Hypothesis((Word(" so", 0, 1),), "tr")


def passage(start: float, end: float, language: str | None = "tr") -> Passage:
    return Passage(start, end, "", language)


@pytest.mark.model
@pytest.mark.slow
async def test_the_embedded_model_translates_turkish_sentence_by_sentence(
    backend: Backend,
) -> None:
    recording = load("lang-tr")
    translator = SpeechTranslator(DirectDecoder(backend.decode_batch), OPTIONS)
    translator.receive_audio(recording.samples)
    translator.finish()

    english = [
        await translator.translate(passage(sentence.start, sentence.end))
        for sentence in recording.sentences
    ]

    assert " ".join(english) == recording.english


def loud(*quiet: tuple[float, float]) -> FloatArray:
    """Ten seconds that are loud except from and to these times."""
    samples = np.full(10 * SAMPLE_RATE, 0.5, np.float32)
    for start, end in quiet:
        samples[samples_of(start) : samples_of(end)] = 0.0
    return samples


def listening(samples: FloatArray) -> tuple[SpeechTranslator, DirectDecoder]:
    decoder = DirectDecoder(lambda requests: [HEARD])
    translator = SpeechTranslator(decoder, OPTIONS)
    translator.receive_audio(samples)
    translator.finish()
    return translator, decoder


async def test_inside_speech_it_cuts_at_pauses_and_hears_nothing_twice() -> None:
    translator, decoder = listening(loud((0.6, 0.9), (2.2, 2.4)))

    await translator.translate(passage(1.0, 2.0))
    await translator.translate(passage(2.1, 4.0))
    first, second = decoder.requests

    assert (first.start, first.end) == (0.78, 2.32)
    assert 2.0 < second.start < 2.1


async def test_words_begin_and_end_with_their_utterance_whatever_their_times() -> None:
    translator, decoder = listening(loud((2.0, 3.0), (5.0, 6.8)))

    await translator.translate(Passage(1.0, 4.6, "", "tr", speech_start=2.5, speech_end=5.0))
    await translator.translate(Passage(7.0, 9.5, "", "tr", speech_start=6.0, speech_end=9.9))
    first, second = decoder.requests

    assert (first.start, first.end) == (2.88, 5.12)
    assert second.start == 6.68
    assert second.end > 9.9


async def test_what_goes_on_as_speech_long_after_the_words_is_not_heard() -> None:
    translator, decoder = listening(loud((2.2, 2.5)))

    await translator.translate(Passage(1.0, 2.0, "", "tr", speech_end=9.0))

    assert decoder.requests[0].end == 2.32


@in_virtual_time
async def test_it_waits_for_the_sound_after_the_words_but_not_for_who_sends_no_more() -> None:
    samples = loud()
    translator = SpeechTranslator(decoder := DirectDecoder(lambda requests: [HEARD]), OPTIONS)
    translator.receive_audio(samples[: samples_of(2.0)])
    first = asyncio.ensure_future(translator.translate(passage(1.0, 1.9)))
    for n in range(20, 23):
        await asyncio.sleep(0.1)
        assert not first.done()
        translator.receive_audio(samples[samples_of(n / 10) : samples_of(n / 10 + 0.1)])
    await asyncio.sleep(0.1)
    translator.receive_audio(samples[samples_of(2.3) : samples_of(2.5)])
    await first
    began = asyncio.get_running_loop().time()
    await translator.translate(passage(2.0, 2.4))

    assert asyncio.get_running_loop().time() - began == pytest.approx(2.0)
    assert len(decoder.requests) == 2


async def test_a_passage_without_audio_is_too_late() -> None:
    translator, _ = listening(loud())

    with pytest.raises(TranslationError, match="too late"):
        await translator.translate(passage(10.0, 11.0))


async def test_it_asks_for_english_of_the_passages_language_in_the_background() -> None:
    translator, decoder = listening(loud())

    await translator.translate(passage(1.0, 2.0))
    await translator.translate(passage(3.0, 4.0, None))
    first, second = decoder.requests

    assert first.options == DecodeOptions("tr", task="translate")
    assert second.options.language is None
    assert first.is_background
    assert first.is_last


def minute(number: int) -> FloatArray:
    """A minute of audio."""
    return np.full(60 * SAMPLE_RATE, number / 100, np.float32)


@in_virtual_time
async def test_audio_is_kept_for_two_minutes_behind_the_words() -> None:
    translator = SpeechTranslator(DirectDecoder(lambda requests: [HEARD]), OPTIONS)
    for number in range(10):  # comes at once, and waits to be heard
        translator.receive_audio(minute(number))
    assert await translator.translate(passage(1.0, 3.0)) == "so"
    translator.hear(200.0)
    translator.receive_audio(minute(10))

    with pytest.raises(TranslationError, match="too late"):
        await translator.translate(passage(60.0, 62.0))
    assert await translator.translate(passage(90.0, 92.0)) == "so"


@in_virtual_time
async def test_silence_is_kept_for_two_minutes_only() -> None:
    translator = SpeechTranslator(DirectDecoder(lambda requests: [HEARD]), OPTIONS)
    for number in range(10):
        translator.receive_audio(minute(number))
        await asyncio.sleep(60)
    translator.receive_audio(minute(10))

    with pytest.raises(TranslationError, match="too late"):
        await translator.translate(passage(400.0, 402.0))
    assert await translator.translate(passage(560.0, 562.0)) == "so"


@in_virtual_time
async def test_what_waits_to_be_heard_is_kept_within_a_bound() -> None:
    translator = SpeechTranslator(DirectDecoder(lambda requests: [HEARD]), OPTIONS)
    for number in range(20):
        translator.receive_audio(minute(number))

    with pytest.raises(TranslationError, match="too late"):
        await translator.translate(passage(300.0, 302.0))
    assert await translator.translate(passage(500.0, 502.0)) == "so"


@pytest.mark.parametrize(
    ("hypothesis", "reason"),
    [
        pytest.param(Hypothesis((), "tr"), "heard nothing", id="no words"),
        pytest.param(
            Hypothesis(
                (Word(" Thanks", 0, 1),),
                "tr",
                no_speech_probability=0.9,
                average_logprob=-2.0,
            ),
            "heard nothing",
            id="what the model calls silence",
        ),
    ],
)
async def test_nothing_heard_is_no_translation(hypothesis: Hypothesis, reason: str) -> None:
    translator = SpeechTranslator(DirectDecoder(lambda requests: [hypothesis]), OPTIONS)
    translator.receive_audio(load("lang-tr").samples[:16_000])
    translator.finish()

    with pytest.raises(TranslationError, match=reason):
        await translator.translate(passage(0.0, 1.0))


async def test_a_failed_decode_is_told_in_harmless_words() -> None:
    def fail(requests: object) -> list[Hypothesis]:
        raise DecodeError("secret")

    translator = SpeechTranslator(DirectDecoder(fail), OPTIONS)
    translator.receive_audio(load("lang-tr").samples[:16_000])
    translator.finish()

    with pytest.raises(TranslationError) as caught:
        await translator.translate(passage(0.0, 1.0))
    assert caught.value.public_reason == "the transcription model failed"


async def test_a_loop_is_cut() -> None:
    words = tuple(Word(" so", n / 10, (n + 1) / 10) for n in range(40))
    translator = SpeechTranslator(
        DirectDecoder(lambda requests: [Hypothesis(words, "tr")]), OPTIONS
    )
    translator.receive_audio(load("lang-tr").samples[: 16_000 * 4])
    translator.finish()

    assert await translator.translate(passage(0.0, 4.0)) == "so"
