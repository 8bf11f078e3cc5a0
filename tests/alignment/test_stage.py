"""Committed words get measured times on their way out; everything else passes as it is."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from whisper_streaming.alignment.stage import KEPT_WINDOW_S, AlignmentStage
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    SessionNotice,
    SpeechStarted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words, join_words

HOLD_S = 0.3
END = SessionEnded(AudioAccount(0, 0, 0, 0))


class ShiftingAligner:
    """Finds every word 10 ms later, as far as it is asked. Notes what it was asked."""

    def __init__(self, complaint: str | None = None) -> None:
        self.asked: list[tuple[str, str, int, int]] = []
        self._complaint = complaint

    async def align(
        self,
        language: str,
        words: Words,
        samples: FloatArray,
        start_sample: int,
        *,
        within_s: float,
    ) -> Words | None:
        assert within_s == HOLD_S
        self.asked.append((language, join_words(words), start_sample, len(samples)))
        if self._complaint is not None:
            return None
        return tuple(
            Word(word.text, word.start + 0.01, word.end + 0.01, is_aligned=True) for word in words
        )

    def complaint(self, language: str) -> str | None:
        return self._complaint


class Batches:
    """An event source of a few batches."""

    def __init__(self, *batches: Sequence[Event]) -> None:
        self._batches = [list(batch) for batch in batches]

    async def take(self) -> list[Event]:
        return self._batches.pop(0) if self._batches else []


def said(text: str, start: float) -> Words:
    """Words of 0.2 s each, one after the other."""
    return tuple(
        Word(f" {word}", start + 0.2 * index, start + 0.2 * (index + 1))
        for index, word in enumerate(text.split())
    )


def run(stage: AlignmentStage, *batches: Sequence[Event], audio_s: float = 20.0) -> list[Event]:
    stage.receive_audio(np.zeros(samples_of(audio_s), dtype=np.float32))
    sent: list[Event] = []
    asyncio.run(stage.run(Batches(*batches), sent.extend))
    return sent


def committed(events: Sequence[Event]) -> list[Word]:
    return [w for event in events if isinstance(event, WordsCommitted) for w in event.words]


def test_committed_words_get_times_and_keep_their_text() -> None:
    aligner = ShiftingAligner()

    sent = run(
        AlignmentStage(aligner, language="en", hold_s=HOLD_S),
        [WordsCommitted(0, said("the cat", 1.0)), END],
    )

    assert [(w.text, w.is_aligned) for w in committed(sent)] == [(" the", True), (" cat", True)]
    assert committed(sent)[0].start == pytest.approx(1.01)
    assert sent[-1] == END


def test_everything_else_passes_in_its_order() -> None:
    events = [
        SpeechStarted(0, 1.0),
        LanguageDetected("en", 0.9),
        PartialUpdated(0, said("the", 1.0)),
        UtteranceEnded(0, 2.0),
        END,
    ]

    assert run(AlignmentStage(ShiftingAligner(), language=None, hold_s=HOLD_S), events) == events


def test_neighbours_on_both_sides_are_aligned_too() -> None:
    aligner = ShiftingAligner()
    stage = AlignmentStage(aligner, language="en", hold_s=HOLD_S)

    sent = run(
        stage,
        [WordsCommitted(0, said("a b c", 1.0)), PartialUpdated(0, said("d e f", 1.6))],
        [WordsCommitted(0, said("d", 1.6)), PartialUpdated(0, ())],
        [WordsCommitted(0, said("e f", 1.8)), UtteranceEnded(0, 2.2)],
        [WordsCommitted(1, said("g", 5.0)), UtteranceEnded(1, 5.2), END],
    )

    assert [text for _, text, _, _ in aligner.asked] == [" a b c d e", " b c d", " c d e f", " g"]
    assert [w.text for w in committed(sent)] == [f" {letter}" for letter in "abcdefg"]
    first, *_, last = aligner.asked
    assert first[2:] == (0, samples_of(2.0))
    assert last[2:] == (samples_of(4.0), samples_of(1.7))


def test_an_utterance_is_not_looked_for_in_the_one_before() -> None:
    aligner = ShiftingAligner()

    run(
        AlignmentStage(aligner, language="en", hold_s=HOLD_S),
        [WordsCommitted(0, said("a", 1.0)), UtteranceEnded(0, 1.3)],
        [WordsCommitted(1, said("b", 1.7)), END],
    )

    _, (_, _, start, _) = aligner.asked
    assert start == samples_of(1.21)


def test_times_never_go_back_even_into_open_words() -> None:
    stage = AlignmentStage(ShiftingAligner(), language="en", hold_s=HOLD_S)

    sent = run(stage, [WordsCommitted(0, said("a", 1.0)), PartialUpdated(0, said("b", 1.2)), END])

    (partial,) = [event for event in sent if isinstance(event, PartialUpdated)]
    assert committed(sent)[0].end == pytest.approx(1.21)
    assert (partial.words[0].start, partial.words[0].end) == pytest.approx((1.21, 1.4))


def test_without_a_language_nothing_is_aligned() -> None:
    aligner = ShiftingAligner()
    events = [WordsCommitted(0, said("a", 1.0)), END]

    assert run(AlignmentStage(aligner, language=None, hold_s=HOLD_S), events) == events
    assert aligner.asked == []


def test_a_detected_language_is_aligned_from_then_on() -> None:
    aligner = ShiftingAligner()

    run(
        AlignmentStage(aligner, language=None, hold_s=HOLD_S),
        [LanguageDetected("de", 0.9), WordsCommitted(0, said("a", 1.0)), END],
    )

    assert [language for language, *_ in aligner.asked] == ["de"]


def test_words_of_audio_that_is_gone_keep_their_times() -> None:
    aligner = ShiftingAligner()
    events = [WordsCommitted(0, said("a", 1.0)), END]

    audio_s = KEPT_WINDOW_S + 5
    assert (
        run(AlignmentStage(aligner, language="en", hold_s=HOLD_S), events, audio_s=audio_s)
        == events
    )
    assert aligner.asked == []

    stage = AlignmentStage(aligner, language="en", hold_s=HOLD_S, backlog_s=5)
    assert run(stage, events, audio_s=audio_s) != events


def test_a_client_is_told_once_why_there_are_no_times() -> None:
    stage = AlignmentStage(ShiftingAligner("no model"), language="xx", hold_s=HOLD_S)

    sent = run(stage, [WordsCommitted(0, said("a", 1.0)), WordsCommitted(0, said("b", 1.2)), END])

    notices = [event for event in sent if isinstance(event, SessionNotice)]
    assert notices == [SessionNotice("no model")]
    assert [(w.text, w.start, w.is_aligned) for w in committed(sent)] == [
        (" a", 1.0, False),
        (" b", 1.2, False),
    ]
