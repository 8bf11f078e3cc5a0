"""A model that is slow for its machine: captions keep up with the speaker, at any decode time.

The decoder is busy on the audio clock (see ``engine.offline``), so nothing here depends on how
fast the machine is.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from statistics import mean

import numpy as np
import pytest

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of, seconds
from whisper_streaming.core.events import AudioAccount, AudioGap, SessionEnded, WordsCommitted
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Hypothesis, Word
from whisper_streaming.core.session import SessionConfig
from whisper_streaming.core.transcript import Transcript
from whisper_streaming.engine.offline import run_session
from whisper_streaming.vad import create_vad

DECODE_S = [0.3, 1.0, 3.0]
CONFIG = SessionConfig(options=DecodeOptions(language="en"))
CHUNK_S = 0.1
WORD_S = 0.4
# A decode that has just begun does not know the newest word; the next one does.
DECODES_TO_SHOW = 2
# LocalAgreement wants to see a word twice.
DECODES_TO_COMMIT = 3


@dataclass(frozen=True, slots=True)
class Speech:
    """Words, each once, and when each of them ends in seconds."""

    samples: FloatArray
    ends: dict[str, float]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a session made of it.

    Attributes:
        shown: Seconds from the end of each word until it was shown, in order.
        final: The same until it was final.
        requests: How many decodes it took.
        account: Where the samples went.
    """

    shown: list[float]
    final: list[float]
    requests: int
    account: AudioAccount


def monologue() -> Speech:
    """A minute and a half without a pause."""
    words = [f"word{index}." if index % 9 == 8 else f"word{index}" for index in range(225)]
    ends = {word: (index + 1) * WORD_S for index, word in enumerate(words)}
    return Speech(np.concatenate((spoken(words, word_s=WORD_S), silence(1.0))), ends)


def single_words() -> Speech:
    """A minute and a half of utterances of one word, as when somebody counts or answers."""
    words = [f"word{index}." for index in range(75)]
    ends = {word: index * (WORD_S + 0.8) + WORD_S for index, word in enumerate(words)}
    return Speech(spoken(words, word_s=WORD_S, gap_s=0.8), ends)


def silence(duration_s: float) -> FloatArray:
    return np.zeros(samples_of(duration_s), dtype=np.float32)


@cache
def listen(speak: Callable[[], Speech], decode_s: float, *, vad: bool = True) -> Heard:
    """A session whose decoder needs ``decode_s`` for any window."""
    config = replace(CONFIG, withhold_silence=vad)
    speech = speak()
    requests: list[DecodeRequest] = []

    def decode_time(request: DecodeRequest) -> float:
        requests.append(request)
        return decode_s

    probs = create_vad("energy").open_stream().process(speech.samples)
    transcript = Transcript()
    shown: dict[str, float] = {}
    final: dict[str, float] = {}
    for emission in run_session(
        ScriptedBackend(), config, speech.samples, probs, chunk_s=CHUNK_S, decode_time=decode_time
    ):
        for event in emission.events:
            transcript.apply(event)
            committed = event.words if isinstance(event, WordsCommitted) else ()
            for word in committed:
                final.setdefault(word.text.strip(), emission.audio_s)
            for word in (*committed, *transcript.partial):
                shown.setdefault(word.text.strip(), emission.audio_s)
    assert isinstance(event, SessionEnded)
    assert list(final) == list(speech.ends), "a word is lost or changed"
    return Heard(
        [shown[word] - end for word, end in speech.ends.items()],
        [final[word] - end for word, end in speech.ends.items()],
        len(requests),
        event.account,
    )


@pytest.mark.parametrize("decode_s", DECODE_S)
def test_a_monologue_is_never_more_than_two_decodes_behind(decode_s: float) -> None:
    heard = listen(monologue, decode_s)

    assert max(heard.shown) <= DECODES_TO_SHOW * decode_s + CONFIG.min_chunk_s + CHUNK_S
    assert max(heard.final) <= DECODES_TO_COMMIT * decode_s + 2 * CONFIG.min_chunk_s + CHUNK_S


@pytest.mark.parametrize("vad", [True, False])
@pytest.mark.parametrize("decode_s", DECODE_S)
def test_many_short_utterances_are_never_more_than_two_decodes_behind(
    decode_s: float, vad: bool
) -> None:
    heard = listen(single_words, decode_s, vad=vad)

    endpoint_s = CONFIG.endpoint.silence_s + CHUNK_S
    if not vad:  # silence that is decoded is sometimes in the way
        endpoint_s += CONFIG.min_chunk_s
    assert max(heard.shown) <= DECODES_TO_SHOW * decode_s + endpoint_s
    assert max(heard.final) <= DECODES_TO_COMMIT * decode_s + endpoint_s


@pytest.mark.parametrize("vad", [True, False])
@pytest.mark.parametrize("decode_s", DECODE_S)
@pytest.mark.parametrize("speak", [monologue, single_words])
def test_the_backlog_does_not_grow(speak: Callable[[], Speech], decode_s: float, vad: bool) -> None:
    lags = listen(speak, decode_s, vad=vad).final
    third = len(lags) // 3
    middle, last = lags[third : 2 * third], lags[2 * third :]

    assert mean(last) <= mean(middle) + CHUNK_S


@pytest.mark.parametrize("decode_s", DECODE_S)
@pytest.mark.parametrize("speak", [monologue, single_words])
def test_a_decoder_that_is_always_busy_gets_all_of_the_audio(
    speak: Callable[[], Speech], decode_s: float
) -> None:
    heard = listen(speak, decode_s)

    assert heard.account.received == len(speak().samples)
    assert heard.account.gap == 0
    # With less to do for the decoder nothing would be proven.
    assert heard.requests * decode_s > 0.4 * heard.account.received / SAMPLE_RATE


class BabblingBackend(ScriptedBackend):
    """Says something else each time, as many tokens as it may: a model that hears nothing."""

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        return [self._babble(request) for request in requests]

    def _babble(self, request: DecodeRequest) -> Hypothesis:
        numbers = random.Random(request.end_sample)
        begin = request.prefix[-1].end if request.prefix else request.start
        count = request.max_new_tokens // 2
        starts = sorted(numbers.uniform(begin, request.end) for _ in range(count))
        words = tuple(
            Word(f" word{numbers.randrange(10_000)}", start, end, probability=0.02)
            for start, end in pairwise([*starts, request.end])
        )
        return Hypothesis(words, "en", average_logprob=-5.0, is_truncated=True)


@pytest.mark.parametrize("step_s", [0.035, 0.05])
@pytest.mark.parametrize("vad", [True, False])
@pytest.mark.parametrize("speak", [monologue, single_words])
def test_a_model_that_is_slow_and_lost_never_falls_behind_for_good(
    speak: Callable[[], Speech], vad: bool, step_s: float
) -> None:
    speech = np.tile(speak().samples, 3)
    costs: list[float] = []

    def decode_time(request: DecodeRequest) -> float:
        encode_s = {15.0: 1.2, 20.0: 1.6, 30.0: 2.4}[
            StreamingProfile().bucket_s(request.duration_s, is_last=request.is_last)
        ]
        costs.append(encode_s + step_s * request.max_new_tokens)
        return costs[-1]

    probs = create_vad("energy").open_stream().process(speech)
    config = replace(CONFIG, withhold_silence=vad)
    gaps: list[AudioGap] = []
    for emission in run_session(
        BabblingBackend(), config, speech, probs, chunk_s=CHUNK_S, decode_time=decode_time
    ):
        gaps += [event for event in emission.events if isinstance(event, AudioGap)]

    assert not gaps
    assert sum(costs) > 0.6 * seconds(len(speech)), "it was not busy, so nothing is proven"
    # It is done when its last decodes are: nothing had piled up.
    longest_s = 2.4 + step_s * 200  # nobody says more in a window
    assert emission.audio_s - seconds(len(speech)) <= 2.5 * longest_s
