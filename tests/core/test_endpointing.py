"""When finals come, what they begin with, and how steadily a monologue commits.

Decodes take no time here, so what is asserted is what the rules alone cost on the audio clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pytest

from tests.core.builders import FRAME
from tests.core.driver import Driver, Truth
from whisper_streaming.core.audio import SAMPLE_RATE, samples_of
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.events import Event, SpeechStarted, UtteranceEnded, WordsCommitted
from whisper_streaming.core.hypothesis import DecodeOptions
from whisper_streaming.core.session import Session, SessionConfig

MESSAGE_S: Final = 0.1
FRAME_S: Final = FRAME / SAMPLE_RATE
ENGLISH: Final = DecodeOptions(language="en")


@dataclass(frozen=True)
class Timed:
    """An event, and how many seconds of audio had been given when it came."""

    at: float
    event: Event


def listen(truth: Truth, config: SessionConfig, message_s: float = MESSAGE_S) -> list[Timed]:
    """Feed a session in messages; each decode is answered at once."""
    driver = Driver(Session(config), truth)
    timed: list[Timed] = []
    while not driver.at_end:
        told = len(driver.events)
        driver.feed(samples_of(message_s))
        while driver.pending is not None:
            driver.answer()
        timed += [Timed(driver.position / SAMPLE_RATE, each) for each in driver.events[told:]]
    return timed


def ends(timed: Sequence[Timed]) -> list[float]:
    return [each.at for each in timed if isinstance(each.event, UtteranceEnded)]


def words_back_to_back(count: int, *, start: float, word_s: float = 0.32) -> Truth:
    spans = [(start + n * word_s, start + (n + 1) * word_s) for n in range(count)]
    return Truth(spans, duration_s=spans[-1][1] + 4.0)


@pytest.mark.parametrize("silence_s", [0.2, 0.5, 1.5])
@pytest.mark.parametrize("message_s", [0.02, 0.1, 0.25])
def test_finals_come_after_the_endpoint_silence_and_at_most_one_message(
    silence_s: float, message_s: float
) -> None:
    truth = words_back_to_back(6, start=20 * FRAME_S, word_s=10 * FRAME_S)
    config = SessionConfig(options=ENGLISH, endpoint=EndpointRules(silence_s=silence_s))

    timed = listen(truth, config, message_s)

    speech_end = truth.spans[-1][1]
    # The detector hears whole frames, and its frames end with messages by chance only.
    heard = speech_end + np.ceil(silence_s / FRAME_S) * FRAME_S
    (end,) = ends(timed)
    assert heard - 1e-6 <= end < heard + message_s
    assert [w for each in timed for w in _committed(each) if each.at <= end][-1] == " 5"


def test_all_words_of_an_utterance_are_final_when_it_ends() -> None:
    truth = Truth([(1.0, 1.4), (1.4, 1.9), (4.0, 4.5), (7.0, 7.2)], duration_s=9.0)

    timed = listen(truth, SessionConfig(options=ENGLISH))

    counts = [0, 0]
    by_end = []
    for each in timed:
        counts[0] += len(_committed(each))
        if isinstance(each.event, UtteranceEnded):
            by_end.append(counts[0])
    assert by_end == [2, 3, 4]


@pytest.mark.parametrize("pre_roll_s", [0.1, 0.4])
def test_an_utterance_begins_before_the_detector_hears_it(pre_roll_s: float) -> None:
    truth = words_back_to_back(3, start=2.0)
    config = SessionConfig(options=ENGLISH, endpoint=EndpointRules(pre_roll_s=pre_roll_s))

    (started,) = [e.event for e in listen(truth, config) if isinstance(e.event, SpeechStarted)]

    first_frame = int(2.0 / FRAME_S) * FRAME_S
    assert started.start == pytest.approx(first_frame - pre_roll_s, abs=1e-4)


def test_a_monologue_without_a_pause_commits_steadily() -> None:
    truth = words_back_to_back(900, start=1.0)
    assert truth.duration_s > 290.0

    timed = listen(truth, SessionConfig(options=ENGLISH))

    commits = [each.at for each in timed if isinstance(each.event, WordsCommitted)]
    assert max(after - before for before, after in pairwise([1.0, *commits])) < 1.0
    assert [w for each in timed for w in _committed(each)] == [f" {n}" for n in range(900)]


def _committed(timed: Timed) -> list[str]:
    event = timed.event
    return [word.text for word in event.words] if isinstance(event, WordsCommitted) else []
