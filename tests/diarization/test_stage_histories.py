"""What a client is told in random conversations, however late the embedder answers."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.diarization.fakes import ScriptedEmbedder, voice
from tests.diarization.test_stage import ENDED, RULES, settle, word
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.events import Event, SpeakersRevised, UtteranceEnded, WordsCommitted
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.diarization.embedder_thread import EmbedderThread
from whisper_streaming.diarization.stage import MAX_DUE, SpeakerStage
from whisper_streaming.errors import BackendError

LOOK_BACK_S = 5.0


@dataclass(frozen=True, slots=True)
class Turn:
    """An utterance, of words of a second each.

    Attributes:
        who: Whose voice.
        words: How many.
        pause_s: Silence before it, in whole seconds.
        answers: The embedder has answered everything when it begins.
        fails: What it answers then are failures.
    """

    who: int
    words: int = 1
    pause_s: int = 1
    answers: bool = False
    fails: bool = False


@dataclass(slots=True)
class Client:
    """Keeps the words with their speakers, as clients do.

    Attributes:
        words: All, in order, with their speakers as they are known now.
        reach_s: How far before the newest word the oldest correction went.
    """

    words: list[Word] = field(default_factory=list)
    reach_s: float = 0.0

    def receive(self, events: Sequence[Event]) -> None:
        said = [
            each for event in events if isinstance(event, WordsCommitted) for each in event.words
        ]
        newest_s = max((each.end for each in [*self.words, *said]), default=0.0)
        for event in events:
            if isinstance(event, SpeakersRevised):
                self._revise(event, newest_s)
        self.words += said

    def _revise(self, event: SpeakersRevised, newest_s: float) -> None:
        for index, each in enumerate(self.words):
            speaker = event.speaker_of(each.start, each.end)
            if speaker is not None:
                self.words[index] = replace(each, speaker=speaker)
                self.reach_s = max(self.reach_s, newest_s - each.end)


TURNS = st.builds(
    Turn, st.integers(0, 3), st.integers(1, 4), st.integers(1, 4), st.booleans(), st.booleans()
)


async def play(history: Sequence[Turn], look_back_s: float) -> Client:
    """What a client has after a session whose words never wait for their labels."""
    embedder, client = ScriptedEmbedder(), Client()
    embedder.gate.clear()
    thread = EmbedderThread(embedder)
    stage = SpeakerStage(thread, replace(RULES, look_back_s=look_back_s), hold_s=0.0)

    async def answer(*, fails: bool) -> None:
        embedder.fails = fails
        embedder.gate.set()
        with contextlib.suppress(BackendError):
            await settle(thread)
        embedder.gate.clear()

    async def batches() -> AsyncIterator[list[Event]]:
        clock_s = 0
        for number, turn in enumerate(history):
            if turn.answers:
                await answer(fails=turn.fails)
            stage.receive_audio(np.zeros(turn.pause_s * SAMPLE_RATE, np.float32))
            stage.receive_audio(voice(turn.who, turn.words))
            clock_s += turn.pause_s
            said = tuple(
                word(str(n), clock_s + n + 0.05, clock_s + n + 0.95) for n in range(turn.words)
            )
            clock_s += turn.words
            yield [WordsCommitted(number, said), UtteranceEnded(number, said[-1].end)]
        await answer(fails=False)
        yield [ENDED]

    events = batches()

    class Source:
        async def take(self) -> list[Event]:
            return await anext(events, [])

    await stage.run(Source(), client.receive)
    thread.close()
    embedder.gate.set()
    return client


@given(st.lists(TURNS, max_size=25))
def test_labels_are_corrected_no_further_back_than_they_may(history: list[Turn]) -> None:
    client = asyncio.run(play(history, LOOK_BACK_S))

    assert len(client.words) == sum(turn.words for turn in history)
    assert None not in {each.speaker for each in client.words}
    assert client.reach_s <= LOOK_BACK_S


def test_an_answer_that_is_late_by_minutes_corrects_the_newest_words_only() -> None:
    hanging = [Turn(0), *(Turn(1) for _ in range(7))]

    client = asyncio.run(play(hanging, LOOK_BACK_S))

    assert [each.speaker for each in client.words] == ["SPEAKER_00"] * 5 + ["SPEAKER_01"] * 3


@given(st.lists(TURNS, max_size=MAX_DUE))
def test_late_labels_are_right_in_the_end(history: list[Turn]) -> None:
    client = asyncio.run(play([replace(turn, fails=False) for turn in history], math.inf))

    truth = [turn.who for turn in history for _ in range(turn.words)]
    order = list(dict.fromkeys(truth))
    assert [each.speaker for each in client.words] == [
        f"SPEAKER_{order.index(who):02d}" for who in truth
    ]
