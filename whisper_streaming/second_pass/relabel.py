"""Lets a chain of stages work on utterances that are known as a whole."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    LanguageDetected,
    SessionEnded,
    SpeakersRevised,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.live.outbox import Outbox
from whisper_streaming.live.stages import Stage

_NOTHING = AudioAccount(0, 0, 0, 0)  # no stage looks at it


class Relabelling:
    """What alignment and diarization make of one utterance after the other.

    Args:
        stages: Fresh ones, in order.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self._queues = [Outbox(None) for _ in range(len(stages) + 1)]
        self._utterances: list[Words] = []
        self._language: str | None = None
        self._revisions: list[SpeakersRevised] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The stages work within this context, and end with it."""
        failure: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(stage.run(queue, following.put))
                for stage, (queue, following) in zip(
                    self._stages, pairwise(self._queues), strict=True
                )
            ]
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised again, and not in a group
                failure = error
            finally:
                for task in working:
                    task.cancel()
        if failure is not None:
            raise failure

    def receive_audio(self, samples: FloatArray) -> None:
        """The next samples of the recording, up to the end of the utterance that follows."""
        for stage in self._stages:
            stage.receive_audio(samples)

    async def label(self, words: Words, end_s: float, language: str | None) -> None:
        """Give the next utterance to the stages, and wait for what they make of it."""
        number = len(self._utterances) + 1
        if language is not None and language != self._language:
            self._language = language
            self._queues[0].put([LanguageDetected(language, 1.0)])
        self._queues[0].put([WordsCommitted(number, words), UtteranceEnded(number, end_s)])
        labelled: Words = ()
        async for event in self._results(UtteranceEnded):
            if isinstance(event, WordsCommitted):
                labelled += event.words
        self._utterances.append(labelled)

    async def finish(self) -> tuple[Words, ...]:
        """All utterances, with everything that was found out about them since."""
        self._queues[0].put([SessionEnded(_NOTHING)])
        async for _ in self._results(SessionEnded):
            pass
        return tuple(tuple(map(self._revised, words)) for words in self._utterances)

    async def _results(self, last: type[Event]) -> AsyncIterator[Event]:
        """What leaves the stages, up to an event of the type ``last``."""
        while events := await self._queues[-1].take():
            for event in events:
                if isinstance(event, SpeakersRevised):
                    self._revisions.append(event)
                yield event
            if any(isinstance(event, last) for event in events):
                return

    def _revised(self, word: Word) -> Word:
        for revision in self._revisions:
            speaker = revision.speaker_of(word.start, word.end)
            word = word if speaker is None else replace(word, speaker=speaker)
        return word
