"""Labels on the way of a session's events, whatever the embedder does."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.diarization.fakes import ScriptedEmbedder, voice
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    PartialUpdated,
    SessionEnded,
    SessionNotice,
    SpeakersRevised,
    SpeakerTurn,
    SpeechStarted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.diarization.embedder_thread import EmbedderThread
from whisper_streaming.diarization.stage import MAX_DUE, SpeakerStage
from whisper_streaming.diarization.voices import VoiceRules

RULES = VoiceRules(new_below=0.5, same_above=0.9)
ENDED = SessionEnded(AudioAccount(received=0, decoded=0, silence=0, gap=0))
PATIENT = 60.0
"""So long no test lasts: words wait for their labels."""


class Batches:
    """An event source."""

    def __init__(self, *batches: Sequence[Event]) -> None:
        self._batches = [list(batch) for batch in batches]

    async def take(self) -> list[Event]:
        return self._batches.pop(0) if self._batches else []


@pytest.fixture
def embedder() -> ScriptedEmbedder:
    return ScriptedEmbedder()


@pytest.fixture
async def thread(embedder: ScriptedEmbedder) -> AsyncIterator[EmbedderThread]:
    thread = EmbedderThread(embedder)
    yield thread
    embedder.gate.set()
    thread.close()


def word(text: str, start: float, end: float) -> Word:
    return Word(f" {text}", start, end)


def said(number: int, *words: Word) -> list[Event]:
    return [WordsCommitted(number, words), UtteranceEnded(number, words[-1].end)]


def stage_of(thread: EmbedderThread, *voices: int, hold_s: float = PATIENT) -> SpeakerStage:
    """The stage of a session in which each of ``voices`` was heard for a second."""
    stage = SpeakerStage(thread, RULES, hold_s=hold_s)
    for number in voices:
        stage.receive_audio(voice(number))
    return stage


async def run(stage: SpeakerStage, *batches: Sequence[Event]) -> list[list[Event]]:
    """What leaves for each batch."""
    emitted: list[list[Event]] = []
    await stage.run(Batches(*batches), lambda events: emitted.append(list(events)))
    return emitted


def labels(events: Sequence[Event]) -> list[tuple[str, str | None]]:
    words: Words = ()
    for event in events:
        if isinstance(event, WordsCommitted):
            words += event.words
    return [(word.text.strip(), word.speaker) for word in words]


async def settle(thread: EmbedderThread) -> None:
    """Wait until everything that was asked before is answered."""
    await thread.ask([voice(0)])


HELLO = word("hello", 0.0, 0.9)
WHO = word("who", 1.0, 1.4)
IS = word("is", 1.5, 1.9)
ME = word("me", 2.1, 2.9)


async def test_committed_words_get_their_speakers(thread: EmbedderThread) -> None:
    stage = stage_of(thread, 0, 1, 0)

    events = await run(stage, said(1, HELLO), said(2, WHO, IS), said(3, ME))

    assert labels([event for batch in events for event in batch]) == [
        ("hello", "SPEAKER_00"),
        ("who", "SPEAKER_01"),
        ("is", "SPEAKER_01"),
        ("me", "SPEAKER_00"),
    ]


async def test_everything_else_passes_as_it_is_and_in_order(thread: EmbedderThread) -> None:
    others = [SpeechStarted(1, 0.0), PartialUpdated(1, (WHO,)), ENDED]
    stage = stage_of(thread, 0)

    (events,) = await run(stage, [others[0], *said(1, HELLO), *others[1:]])

    assert [type(event) for event in events] == [
        SpeechStarted, WordsCommitted, UtteranceEnded, PartialUpdated, SessionEnded,
    ]  # fmt: skip
    assert [event for event in events if event in others] == others


async def test_what_is_not_committed_tells_more_of_a_voice(thread: EmbedderThread) -> None:
    """A short first word alone would be too little for a new speaker."""
    stage = stage_of(thread, 0, 1)
    short, rest = word("who", 1.0, 1.1), word("are you", 1.1, 1.95)

    events = await run(
        stage, said(1, HELLO), [WordsCommitted(2, (short,)), PartialUpdated(2, (rest,))]
    )

    assert labels(events[1]) == [("who", "SPEAKER_01")]


async def test_glued_text_belongs_to_the_word_before(thread: EmbedderThread) -> None:
    stage = stage_of(thread, 0, 1)

    events = await run(stage, said(1, HELLO), said(2, word("who", 1.0, 1.9), Word("?", 1.9, 1.9)))

    assert labels(events[1]) == [("who", "SPEAKER_01"), ("?", "SPEAKER_01")]


async def test_words_do_not_wait_for_a_slow_embedder_and_are_corrected(
    thread: EmbedderThread, embedder: ScriptedEmbedder
) -> None:
    stage = stage_of(thread, 0, 1, 0, hold_s=0.0)
    embedder.gate.clear()

    class Opening(Batches):
        async def take(self) -> list[Event]:
            if len(self._batches) == 1:
                embedder.gate.set()
                await settle(thread)
            return await super().take()

    emitted: list[list[Event]] = []
    source = Opening(said(1, HELLO), said(2, WHO, IS), [ENDED])
    await stage.run(source, lambda events: emitted.append(list(events)))

    assert labels(emitted[0]) + labels(emitted[1]) == [
        ("hello", "SPEAKER_00"),
        ("who", "SPEAKER_00"),
        ("is", "SPEAKER_00"),
    ]
    assert emitted[2] == [SpeakersRevised((SpeakerTurn(1.0, 1.9, "SPEAKER_01"),)), ENDED]


async def test_a_hanging_embedder_gets_only_so_many_questions(
    thread: EmbedderThread, embedder: ScriptedEmbedder
) -> None:
    embedder.gate.clear()
    stage = stage_of(thread, *([0] * 20), hold_s=0.0)
    utterances = [said(n, word(str(n), n + 0.1, n + 0.8)) for n in range(20)]

    events = await run(stage, *utterances, [ENDED])

    assert [name for batch in events for name, _ in labels(batch)] == [str(n) for n in range(20)]
    assert events[-1] == [ENDED]
    notices = [event for batch in events for event in batch if isinstance(event, SessionNotice)]
    assert len(notices) == 1
    embedder.gate.set()
    await settle(thread)
    assert thread.stats().stretches <= MAX_DUE + 1


async def test_a_short_session_is_told_that_the_embedder_hangs(
    thread: EmbedderThread, embedder: ScriptedEmbedder
) -> None:
    embedder.gate.clear()
    stage = stage_of(thread, 0, 1, hold_s=0.0)

    events = await run(stage, said(1, HELLO), said(2, WHO), [ENDED])

    assert [type(event) for event in events[-1]] == [SessionNotice, SessionEnded]


async def test_a_fault_costs_labels_and_no_words(
    thread: EmbedderThread, embedder: ScriptedEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    stage = stage_of(thread, 0, 1, 0)
    embedder.fails = True

    class Healing(Batches):
        async def take(self) -> list[Event]:
            embedder.fails = len(self._batches) > 1
            return await super().take()

    emitted: list[list[Event]] = []
    source = Healing(said(1, HELLO), said(2, WHO, IS), said(3, ME))
    with caplog.at_level(logging.ERROR):
        await stage.run(source, lambda events: emitted.append(list(events)))

    assert [labels(events) for events in emitted] == [
        [("hello", "SPEAKER_00")],
        [("who", "SPEAKER_00"), ("is", "SPEAKER_00")],
        [("me", "SPEAKER_00")],
    ]
    notices = [event for batch in emitted for event in batch if isinstance(event, SessionNotice)]
    assert (len(notices), len(caplog.records)) == (1, 1)
    assert thread.stats().failures == 2


async def test_what_is_no_number_spoils_no_voice(thread: EmbedderThread) -> None:
    """It would make the centre of a voice unlike everything, and so all that follow."""
    stage = stage_of(thread, 0)
    stage.receive_audio(np.zeros(SAMPLE_RATE, np.float32))
    stage.receive_audio(voice(1))

    events = await run(stage, said(1, HELLO), said(2, WHO, IS), said(3, ME))

    assert [labels(batch) for batch in events] == [
        [("hello", "SPEAKER_00")],
        [("who", "SPEAKER_00"), ("is", "SPEAKER_00")],
        [("me", "SPEAKER_01")],
    ]


async def test_a_word_whose_audio_is_gone_is_of_who_spoke_last(thread: EmbedderThread) -> None:
    stage = stage_of(thread, 0, 1)
    await run(stage, said(1, HELLO), said(2, WHO, IS))
    for _ in range(70):
        stage.receive_audio(voice(0))

    (events,) = await run(stage, said(3, ME))

    assert labels(events) == [("me", "SPEAKER_01")]


async def test_what_was_labelled_wrongly_is_said_when_it_is_known(thread: EmbedderThread) -> None:
    """Too short for a new voice; then the same voice goes on."""
    stage = stage_of(thread, 0, 1, 1)
    short, long = word("no", 1.0, 1.3), word("never", 1.7, 2.9)

    events = await run(stage, said(1, HELLO), said(2, short), said(3, long))

    assert labels(events[1]) == [("no", "SPEAKER_00")]
    assert events[2][0] == SpeakersRevised((SpeakerTurn(1.0, 1.3, "SPEAKER_01"),))
    assert labels(events[2]) == [("never", "SPEAKER_01")]


async def test_words_with_silence_between_them_are_one_turn_of_a_revision(
    thread: EmbedderThread,
) -> None:
    """A client that knows no words renames a segment if most of its time is in a turn."""
    stage = stage_of(thread, 0, 1, 1, 1, 0, 1, 1)
    digits = [word(str(n), 1.0 + n * 0.8, 1.3 + n * 0.8) for n in range(3)]
    of_anna, later = word("well", 4.1, 4.9), word("four", 5.0, 6.5)
    short = word("three", 3.3, 3.5)

    events = await run(
        stage, said(1, HELLO), said(2, *digits), said(3, short), said(4, of_anna), said(5, later)
    )

    assert [name for _, name in labels(events[1])] == ["SPEAKER_00"] * 3
    revisions = [each for batch in events for each in batch if isinstance(each, SpeakersRevised)]
    assert revisions == [SpeakersRevised((SpeakerTurn(1.0, 3.5, "SPEAKER_01"),))]
    assert revisions[0].speaker_of(digits[0].start, digits[-1].end) == "SPEAKER_01"


async def test_a_turn_of_a_revision_bridges_nobody_elses_word(thread: EmbedderThread) -> None:
    stage = stage_of(thread, 0, 1, 0, 1, 1, 1)
    no, never = word("no", 1.0, 1.3), word("never", 3.0, 3.3)

    events = await run(
        stage, said(1, HELLO), said(2, no), said(3, ME), said(4, never), said(5, word("so", 4, 6))
    )

    [revision] = [each for batch in events for each in batch if isinstance(each, SpeakersRevised)]
    assert revision.turns == (
        SpeakerTurn(1.0, 1.3, "SPEAKER_01"),
        SpeakerTurn(3.0, 3.3, "SPEAKER_01"),
    )


async def test_a_whole_recording_is_corrected_once_however_long_ago(
    thread: EmbedderThread,
) -> None:
    rules = replace(RULES, look_back_s=math.inf)
    stage = SpeakerStage(thread, rules, hold_s=PATIENT, is_live=False)
    for number in (0, 1, *([0] * 18), 1):
        stage.receive_audio(voice(number))
    short, others = word("no", 1.0, 1.3), [word(str(n), n + 0.1, n + 0.8) for n in range(2, 20)]
    late = word("never", 20.0, 20.95)

    events = await run(
        stage, said(1, HELLO), said(2, short), said(3, *others), said(4, late), [ENDED]
    )

    assert labels(events[1]) == [("no", "SPEAKER_00")]
    assert labels(events[3]) == [("never", "SPEAKER_01")]
    assert events[4] == [SpeakersRevised((SpeakerTurn(1.0, 1.3, "SPEAKER_01"),)), ENDED]


async def test_sessions_share_the_runs_of_the_embedder(
    thread: EmbedderThread, embedder: ScriptedEmbedder
) -> None:
    answers = [thread.ask([voice(n), voice(0)]) for n in range(3)]

    rows = [await answer for answer in answers]

    assert embedder.batches == [6]
    assert [int(np.argmax(row[0])) for row in rows] == [0, 1, 2]


def test_a_loop_that_ends_while_the_embedder_works_leaves_it_to_the_next_one() -> None:
    """A library's caller may run one loop after the other, and cut one off."""
    embedder = ScriptedEmbedder()
    thread = EmbedderThread(embedder)

    async def ask_and_leave() -> None:
        embedder.gate.clear()
        thread.ask([voice(0)])
        await asyncio.sleep(0)  # the run begins

    async def ask() -> int:
        embedder.gate.set()
        async with asyncio.timeout(PATIENT):
            return int(np.argmax((await thread.ask([voice(1)]))[0]))

    asyncio.run(ask_and_leave())

    assert asyncio.run(ask()) == 1
    thread.close()


async def test_one_bad_question_fails_alone(thread: EmbedderThread) -> None:
    good, bad = thread.ask([voice(1)]), thread.ask([voice(9)])

    assert int(np.argmax((await good)[0])) == 1
    with pytest.raises(Exception, match="1 stretches failed"):
        await bad


async def test_a_closed_embedder_answers_at_once(thread: EmbedderThread) -> None:
    thread.close()

    with pytest.raises(Exception, match="closed"):
        await thread.ask([voice(0)])
