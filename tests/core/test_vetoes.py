"""What a session does with a hypothesis that nothing in the audio speaks for."""

from dataclasses import replace
from typing import Final

import numpy as np

from tests.core.builders import FRAME, hypothesis, words
from whisper_streaming.core.events import Event, PartialUpdated, UtteranceEnded, WordsCommitted
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Hypothesis, Words
from whisper_streaming.core.session import Session, SessionConfig

ENGLISH: Final = SessionConfig(options=DecodeOptions(language="en"), knows_voices=True)
SURE: Final = hypothesis("the cat sat")
FAINT: Final = 0.6  # a probability that opens an utterance, but is no voice for so short a time


def feed(session: Session, frames: int, speech_prob: float) -> None:
    """Noise that comes and goes, judged with ``speech_prob``."""
    noise = np.random.default_rng(0).normal(0, 0.1, frames * FRAME)
    noise *= np.arange(len(noise)) // 2400 % 2 + 0.1
    session.receive_audio(noise.astype(np.float32), np.full(frames, speech_prob, dtype=np.float32))


def doubtful(text: str) -> Hypothesis:
    unsure: Words = tuple(replace(word, probability=0.3) for word in words(text))
    return Hypothesis(unsure, "en", average_logprob=-1.2)


def answer(session: Session, heard: Hypothesis) -> tuple[DecodeRequest, list[Event]]:
    request = session.decode_to_run()
    assert request is not None
    session.events_to_send()
    session.receive_hypothesis(heard)
    return request, session.events_to_send()


def test_a_sound_that_deceived_the_detector_for_a_moment_gives_no_word() -> None:
    session = Session(ENGLISH)
    feed(session, 3, FAINT)
    feed(session, 20, 0.0)

    request, events = answer(session, doubtful("order"))

    assert request.is_last
    assert events == [UtteranceEnded(1, request.end)]


def test_a_vetoed_hypothesis_is_shown_to_nobody_and_agrees_with_nothing() -> None:
    session = Session(ENGLISH)
    feed(session, 4, FAINT)
    feed(session, 8, 0.4)

    assert answer(session, doubtful("the cat"))[1] == [PartialUpdated(1, ())]
    feed(session, 20, 0.9)
    events = answer(session, SURE)[1]
    # With the vetoed one in the history the two would agree on "the cat".
    assert not any(isinstance(event, WordsCommitted) for event in events)
    feed(session, 20, 0.9)
    events = answer(session, hypothesis("the cat sat down"))[1]
    assert WordsCommitted(1, words("the cat sat")) in events


def test_a_veto_between_two_hypotheses_does_not_keep_them_from_agreeing() -> None:
    session = Session(ENGLISH)
    feed(session, 40, 0.9)
    answer(session, SURE)
    feed(session, 20, 0.9)
    late = tuple(replace(w, start=w.start + 9, end=w.end + 9) for w in doubtful("thank you").words)

    vetoed = answer(session, Hypothesis(late, "en", average_logprob=-1.2))[1]
    feed(session, 20, 0.9)
    agreed = answer(session, hypothesis("the cat sat down"))[1]

    assert vetoed == [PartialUpdated(1, ())]
    assert WordsCommitted(1, words("the cat sat")) in agreed


def test_what_was_vetoed_at_an_end_leaves_no_context() -> None:
    session = Session(replace(ENGLISH, options=replace(ENGLISH.options, prompt="Names: Holmes.")))
    feed(session, 40, 0.9)
    session.receive_idle()
    answer(session, SURE)
    feed(session, 3, FAINT)
    feed(session, 20, 0.0)
    poisoned = answer(session, doubtful("order"))[0]
    assert poisoned.prompt == "Names: Holmes. the cat sat"
    feed(session, 20, 0.9)

    assert answer(session, SURE)[0].prompt == "Names: Holmes."


def test_a_detector_that_only_knows_loud_from_quiet_vetoes_nothing() -> None:
    session = Session(replace(ENGLISH, knows_voices=False))
    feed(session, 3, FAINT)
    feed(session, 20, 0.0)

    assert WordsCommitted(1, doubtful("order").words) in answer(session, doubtful("order"))[1]
