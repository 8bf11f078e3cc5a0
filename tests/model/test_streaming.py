"""What streaming costs: the streamed text against the offline text of the same model."""

from statistics import median
from typing import Final

import pytest

from tests.model.listening import Listener, given, lost_tail
from tests.model.recordings import ENGLISH, OTHER_LANGUAGES, SINGLE_SPEAKER, load
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.events import PartialUpdated
from whisper_streaming.evaluate import normalised_words, word_errors

pytestmark = [pytest.mark.model, pytest.mark.slow]

COST: Final = 0.02
"""Streaming may raise the word error rate by so much."""
LARGEST_MEDIAN_S: Final = 0.12
"""Bound on the median error of word starts; attention is no better than a few frames of 20 ms."""
FADE_S: Final = 0.05
"""Audio that is kept behind a last word: times in the recordings are exact to 10 ms."""


# First, so that each recording is heard in a test of its own: a long one would keep tests waiting
# that have to be alone.
@pytest.mark.parametrize("name", [*ENGLISH, *OTHER_LANGUAGES])
def test_no_trailing_word_is_lost_that_the_offline_decode_keeps(
    listener: Listener, name: str
) -> None:
    said, streamed = load(name).text, listener.streamed(name).text
    offline = listener.offline(name).text

    assert lost_tail(said, streamed) <= lost_tail(said, offline)
    assert lost_tail(offline, streamed) == 0


@pytest.mark.parametrize(
    "names",
    [pytest.param(ENGLISH, id="en"), *(pytest.param((n,), id=n[-2:]) for n in OTHER_LANGUAGES)],
)
def test_streaming_costs_at_most_two_points_of_word_error_rate(
    listener: Listener, names: tuple[str, ...]
) -> None:
    said = sum(len(load(name).words) for name in names)

    streamed = sum(word_errors(load(n).text, listener.streamed(n).text).errors for n in names)
    offline = sum(word_errors(load(n).text, listener.offline(n).text).errors for n in names)

    # The model card promises 13 %; a model that hears nothing offline would pass any comparison.
    assert offline / said < 0.13
    assert streamed / said <= offline / said + COST


@pytest.mark.parametrize("chunk_s", [0.25, 1.0])
def test_large_messages_cost_no_more(listener: Listener, chunk_s: float) -> None:
    """Ticks are as long as the messages then, and fewer hypotheses come between two commits."""
    names = ("en-long-pauses", *OTHER_LANGUAGES)
    said = sum(len(load(name).words) for name in names)
    errors = 0
    for name in names:
        recording = load(name)
        heard = listener.hear(recording.samples, given(name), chunk_s=chunk_s)
        errors += word_errors(recording.text, heard.text).errors
    offline = sum(word_errors(load(n).text, listener.offline(n).text).errors for n in names)

    assert errors / said <= offline / said + COST


@pytest.mark.parametrize("name", SINGLE_SPEAKER)
def test_the_first_word_of_a_sentence_is_not_lost(listener: Listener, name: str) -> None:
    recording = load(name)
    starts = {round(sentence.start, 1) for sentence in recording.sentences}
    first = {n for n, word in enumerate(recording.words) if round(word.start, 1) in starts}
    assert len(first) >= len(recording.sentences) - 1

    def missing(heard: str) -> int:
        return len(first - {i for i, _ in word_errors(recording.text, heard).matches})

    streamed, offline = listener.streamed(name), listener.offline(name)

    assert missing(streamed.text) <= missing(offline.text) + 1


@pytest.mark.parametrize("name", ["en-1-slt", "lang-de"])
def test_audio_that_ends_with_its_last_word_keeps_that_word(listener: Listener, name: str) -> None:
    """Each sentence is the whole audio of a session."""
    recording = load(name)
    wishes = given(name)
    lost = {}
    for sentence in recording.sentences:
        samples = recording.cut(sentence.start - 0.3, sentence.end + FADE_S)
        streamed = listener.hear(samples, wishes).text
        offline = listener.hear_once(samples, wishes).text
        if lost_tail(sentence.text, streamed) > lost_tail(sentence.text, offline):
            lost[sentence.text] = (streamed, offline)

    assert lost == {}


def test_words_are_shown_before_they_are_final(listener: Listener) -> None:
    """Otherwise nothing was streamed, and the comparisons with the offline text prove nothing."""
    events = listener.streamed("en-1-slt").events

    assert sum(1 for each in events if isinstance(each, PartialUpdated) and each.words) > 30


@pytest.mark.parametrize("name", [*ENGLISH, *OTHER_LANGUAGES])
def test_every_sample_is_decoded_or_silent(listener: Listener, name: str) -> None:
    account = listener.streamed(name).account

    assert account.received == len(load(name).samples)
    assert account.gap == 0
    assert account.decoded + account.silence == account.received


@pytest.mark.parametrize("name", [*ENGLISH, *OTHER_LANGUAGES])
def test_word_times_never_go_back(listener: Listener, name: str) -> None:
    times = [t for word in listener.streamed(name).words for t in (word.start, word.end)]

    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= len(load(name).samples) / SAMPLE_RATE


@pytest.mark.parametrize("name", SINGLE_SPEAKER)
def test_word_starts_are_near_the_truth(listener: Listener, name: str) -> None:
    said = load(name).words
    heard = [
        (text, word.start)
        for word in listener.streamed(name).words
        for text in normalised_words(word.text)
    ]
    matches = word_errors([word.text for word in said], [text for text, _ in heard]).matches
    assert len(matches) > 0.7 * len(said)

    assert median(abs(heard[j][1] - said[i].start) for i, j in matches) < LARGEST_MEDIAN_S
