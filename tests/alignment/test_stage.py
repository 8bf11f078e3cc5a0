"""Committed words get measured times on their way out; everything else passes as it is."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from whisper_streaming.alignment.stage import (
    CONTEXT_WORDS,
    KEPT_WINDOW_S,
    SHOWN_AFTER_S,
    AlignmentStage,
)
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
from whisper_streaming.errors import SlowConsumer
from whisper_streaming.live.outbox import Outbox

PATIENCE_S = 30.0
TURNS = 10
"""Of the event loop, more than a stage needs for what nothing holds up."""
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
        wanted: slice,
        within_s: float | None,
    ) -> Words | None:
        assert within_s is not None
        assert 0 < within_s <= PATIENCE_S
        self.asked.append((language, join_words(words), start_sample, len(samples)))
        if self._complaint is not None:
            return None
        return tuple(
            Word(word.text, word.start + 0.01, word.end + 0.01, is_aligned=True)
            for word in words[wanted]
        )

    def complaint(self, language: str) -> str | None:
        return self._complaint and f"{self._complaint} for {language}"


class Batches:
    """An event source of a few batches, each once the stage is done with the one before."""

    def __init__(self, *batches: Sequence[Event]) -> None:
        self._batches = [list(batch) for batch in batches]

    async def take(self) -> list[Event]:
        for _ in range(TURNS):
            await asyncio.sleep(0)
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
        AlignmentStage(aligner, language="en", hold_s=PATIENCE_S),
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

    assert (
        run(AlignmentStage(ShiftingAligner(), language=None, hold_s=PATIENCE_S), events) == events
    )


def test_neighbours_on_both_sides_are_aligned_too() -> None:
    aligner = ShiftingAligner()
    stage = AlignmentStage(aligner, language="en", hold_s=PATIENCE_S)

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


def test_many_words_are_aligned_in_passages_so_that_others_get_their_turn() -> None:
    aligner = ShiftingAligner()
    words = said(" ".join(f"w{index}" for index in range(50)), 1.0)

    sent = run(
        AlignmentStage(aligner, language="en", hold_s=PATIENCE_S),
        [WordsCommitted(0, words), UtteranceEnded(0, 11.0), END],
    )

    assert [w.text for w in committed(sent)] == [w.text for w in words]
    assert all(w.is_aligned for w in committed(sent))
    assert [len(text.split()) for _, text, _, _ in aligner.asked] == [
        20 + CONTEXT_WORDS, CONTEXT_WORDS + 20 + CONTEXT_WORDS, CONTEXT_WORDS + 10,
    ]  # fmt: skip


def test_an_utterance_is_not_looked_for_in_the_one_before() -> None:
    aligner = ShiftingAligner()

    run(
        AlignmentStage(aligner, language="en", hold_s=PATIENCE_S),
        [WordsCommitted(0, said("a", 1.0)), UtteranceEnded(0, 1.3)],
        [WordsCommitted(1, said("b", 1.7)), END],
    )

    _, (_, _, start, _) = aligner.asked
    assert start == samples_of(1.21)


def test_times_never_go_back_even_into_open_words() -> None:
    stage = AlignmentStage(ShiftingAligner(), language="en", hold_s=PATIENCE_S)

    sent = run(stage, [WordsCommitted(0, said("a", 1.0)), PartialUpdated(0, said("b", 1.2)), END])

    (partial,) = [event for event in sent if isinstance(event, PartialUpdated)]
    assert committed(sent)[0].end == pytest.approx(1.21)
    assert (partial.words[0].start, partial.words[0].end) == pytest.approx((1.21, 1.4))


def test_without_a_language_nothing_is_aligned() -> None:
    aligner = ShiftingAligner()
    events = [WordsCommitted(0, said("a", 1.0)), END]

    assert run(AlignmentStage(aligner, language=None, hold_s=PATIENCE_S), events) == events
    assert aligner.asked == []


def test_a_detected_language_is_aligned_from_then_on() -> None:
    aligner = ShiftingAligner()

    run(
        AlignmentStage(aligner, language=None, hold_s=PATIENCE_S),
        [LanguageDetected("de", 0.9), WordsCommitted(0, said("a", 1.0)), END],
    )

    assert [language for language, *_ in aligner.asked] == ["de"]


def test_words_of_audio_that_is_gone_keep_their_times() -> None:
    aligner = ShiftingAligner()
    events = [WordsCommitted(0, said("a", 1.0)), END]

    audio_s = KEPT_WINDOW_S + 5
    assert (
        run(AlignmentStage(aligner, language="en", hold_s=PATIENCE_S), events, audio_s=audio_s)
        == events
    )
    assert aligner.asked == []

    stage = AlignmentStage(aligner, language="en", hold_s=PATIENCE_S, backlog_s=5)
    assert run(stage, events, audio_s=audio_s) != events


class GatedAligner(ShiftingAligner):
    """Answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def align(
        self,
        language: str,
        words: Words,
        samples: FloatArray,
        start_sample: int,
        *,
        wanted: slice,
        within_s: float | None,
    ) -> Words | None:
        await self.may_answer.wait()
        return await super().align(
            language, words, samples, start_sample, wanted=wanted, within_s=within_s
        )


def texts(events: Sequence[Event]) -> list[str]:
    """What each event says: final words with a full stop."""
    return [
        join_words(event.words) + ("." if isinstance(event, WordsCommitted) else "")
        for event in events
        if isinstance(event, WordsCommitted | PartialUpdated)
    ]


async def test_what_is_heard_while_words_are_held_is_shown() -> None:
    aligner, source, sent = GatedAligner(), Outbox(None), list[Event]()
    stage = AlignmentStage(aligner, language="en", hold_s=PATIENCE_S)
    stage.receive_audio(np.zeros(samples_of(5.0), dtype=np.float32))
    arrived = asyncio.Event()

    def emit(events: Sequence[Event]) -> None:
        sent.extend(events)
        arrived.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.run(source, emit))
        source.put([WordsCommitted(0, said("a b", 1.0)), PartialUpdated(0, said("c", 1.4))])
        await arrived.wait()
        assert texts(sent) == [" a b c"]
        source.put([WordsCommitted(0, said("c", 1.4)), PartialUpdated(0, said("d", 1.6))])
        source.put([WordsCommitted(0, said("d", 1.6)), UtteranceEnded(0, 1.8)])
        source.put([SpeechStarted(1, 2.0), PartialUpdated(1, said("e", 2.0)), END])
        source.close()
        while len(sent) < 2:
            await asyncio.sleep(0)
        aligner.may_answer.set()

    # What waited behind the first words is aligned at once, and nothing goes before its place.
    assert texts(sent) == [" a b c", " a b c d", " a b.", " c d.", " e"]
    assert [w.is_aligned for w in committed(sent)] == [True] * 4
    assert sent[-1] == END


async def test_a_client_that_is_too_slow_for_what_is_shown_ends_the_session() -> None:
    stage, source = AlignmentStage(GatedAligner(), language="en", hold_s=PATIENCE_S), Outbox(None)
    stage.receive_audio(np.zeros(samples_of(5.0), dtype=np.float32))
    source.put([WordsCommitted(0, said("a", 1.0))])

    def refuse(events: Sequence[Event]) -> None:
        raise SlowConsumer("11 messages wait and none is being read")

    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.timeout(PATIENCE_S):
            await stage.run(source, refuse)
    assert caught.value.subgroup(SlowConsumer) is not None


async def test_words_that_are_not_held_for_long_are_sent_once() -> None:
    stage = AlignmentStage(ShiftingAligner(), language="en", hold_s=PATIENCE_S)
    stage.receive_audio(np.zeros(samples_of(5.0), dtype=np.float32))
    sent: list[Event] = []

    batches = [[WordsCommitted(0, said("a", 1.0))], [PartialUpdated(0, said("b", 1.2))]]
    await stage.run(Batches(*batches), sent.extend)
    await asyncio.sleep(2 * SHOWN_AFTER_S)

    assert texts(sent) == [" a.", " b"]


def test_an_utterance_that_begins_before_the_last_one_ended_is_aligned() -> None:
    aligner = ShiftingAligner()

    run(
        AlignmentStage(aligner, language="en", hold_s=PATIENCE_S),
        [WordsCommitted(0, said("a", 1.0)), UtteranceEnded(0, 5.0)],
        [WordsCommitted(1, said("b", 4.8)), END],
    )

    assert [start for _, _, start, _ in aligner.asked] == [0, samples_of(4.0)]


def test_a_client_is_told_once_for_each_language_why_there_are_no_times() -> None:
    stage = AlignmentStage(ShiftingAligner("no model"), language="xx", hold_s=PATIENCE_S)

    sent = run(
        stage,
        [WordsCommitted(0, said("a", 1.0))],
        [WordsCommitted(0, said("b", 1.2))],
        [LanguageDetected("yy", 0.9), WordsCommitted(0, said("c", 1.4)), END],
    )

    notices = [event for event in sent if isinstance(event, SessionNotice)]
    assert notices == [SessionNotice("no model for xx"), SessionNotice("no model for yy")]
    assert [(w.text, w.start, w.is_aligned) for w in committed(sent)] == [
        (" a", 1.0, False),
        (" b", 1.2, False),
        (" c", 1.4, False),
    ]
