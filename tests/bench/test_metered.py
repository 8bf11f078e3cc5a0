"""A backend that remembers: what is paid once, and what counts again."""

import numpy as np
import pytest

from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.bench.metered import MeteredBackend
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Word, join_words

SAMPLES = spoken(["one", "two", "three"], word_s=0.25)
SAMPLE_S = 1 / 16_000  # the scripted backend ends words before the last sample
ENGLISH = DecodeOptions("en")


class Counting(ScriptedBackend):
    """Says how many windows it was given, and takes its time over each."""

    windows = 0

    def decode_batch(self, requests):  # type: ignore[no-untyped-def]
        self.windows += len(requests)
        np.sort(np.random.default_rng(0).random(200_000))
        return super().decode_batch(requests)


def request(**changes: object) -> DecodeRequest:
    fields: dict[str, object] = {"samples": SAMPLES, "start_sample": 16_000, "options": ENGLISH}
    return DecodeRequest(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_window_is_decoded_once_and_billed_every_time() -> None:
    counting = Counting()
    backend = MeteredBackend(counting)

    first = backend.decode_batch([request()])
    once_s = backend.cpu_s
    second = backend.decode_batch([request()])

    assert first == second
    assert counting.windows == 1
    assert once_s > 0
    assert backend.cpu_s == pytest.approx(2 * once_s)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(request(start_sample=0), id="place"),
        pytest.param(request(samples=SAMPLES[:4000]), id="length"),
        pytest.param(request(prefix=(Word(" one", 1.0, 1.25),)), id="prefix"),
        pytest.param(request(prompt="before"), id="prompt"),
        pytest.param(request(is_last=True), id="last"),
        pytest.param(request(max_new_tokens=1), id="room"),
        pytest.param(request(options=DecodeOptions("de")), id="options"),
    ],
)
def test_another_window_is_decoded(other: DecodeRequest) -> None:
    counting = Counting()
    backend = MeteredBackend(counting)

    backend.decode_batch([request(), other])

    assert counting.windows == 2


def test_the_same_window_of_another_recording_is_decoded() -> None:
    counting = Counting()
    backend = MeteredBackend(counting)
    other = spoken(["four", "five", "six"], word_s=0.25)
    assert len(other) == len(SAMPLES)

    heard = [backend.decode_batch([request(samples=each)])[0] for each in (SAMPLES, other)]

    assert [join_words(each.words) for each in heard] == [" one two three", " four five six"]
    assert counting.windows == 2


@pytest.mark.parametrize(
    ("shift_s", "expected"),
    [
        pytest.param(0.0, [(1.0, 1.25), (1.25, 1.5), (1.5, 1.75)], id="as they are"),
        pytest.param(0.1, [(1.1, 1.35), (1.35, 1.6), (1.6, 1.75)], id="not behind the window"),
        pytest.param(-0.1, [(1.0, 1.15), (1.15, 1.4), (1.4, 1.65)], id="not before it"),
    ],
)
def test_word_times_can_be_moved(shift_s: float, expected: list[tuple[float, float]]) -> None:
    backend = MeteredBackend(ScriptedBackend())
    backend.time_shift_s = shift_s

    (hypothesis,) = backend.decode_batch([request()])

    assert [(w.start, w.end) for w in hypothesis.words] == [
        pytest.approx(each, abs=2 * SAMPLE_S) for each in expected
    ]


def test_moved_words_stay_behind_the_committed_ones() -> None:
    backend = MeteredBackend(ScriptedBackend())
    backend.time_shift_s = -0.5

    (hypothesis,) = backend.decode_batch([request(prefix=(Word(" one", 1.0, 1.25),))])

    assert [word.text for word in hypothesis.words] == [" two", " three"]
    assert hypothesis.words[0].start == 1.25
