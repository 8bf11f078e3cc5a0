"""Long sessions as random events on the audio's clock: minutes and hours that take no time."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.events import (
    AudioAccount,
    AudioGap,
    Event,
    GapReason,
    InputFault,
    InputImpaired,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SpeechStarted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words

SPEAKERS = (None, "A", "B", "C")

_WORDS = (" so", " the", " cat", " Mr.", " “Ah", " naïve", " 3", " nothing", " Straße", " 猫")
_ENDS = (".", "?", "!”", "。", ",", ".14", "-based")


@dataclass(frozen=True, slots=True)
class Step:
    """What a connection drains in one go.

    Attributes:
        clock_s: How much was said by then.
        events: In order; they keep the promises of a session.
        lag_s: Seconds of speech that wait to be decoded then.
    """

    clock_s: float
    events: tuple[Event, ...]
    lag_s: float


def conversation(
    seed: int, duration_s: float, *, speakers: Sequence[str | None] = SPEAKERS
) -> Iterator[Step]:
    """Utterances of several speakers, with pauses, losses and second thoughts.

    The last event is ``SessionEnded``, or ``SessionFailed`` where ``seed`` is odd.
    """
    numbers = random.Random(seed)
    talk = _Talk(numbers, speakers)
    pending: tuple[Event, ...] = ()
    for events in talk.batches(duration_s, fails=seed % 2 == 1):
        pending += tuple(events)
        if numbers.random() < 0.8:  # else the connection was busy
            yield Step(talk.clock_s, pending, numbers.choice((0.0, 0.0, 0.26, 1.5)))
            pending = ()
    yield Step(talk.clock_s, pending, 0.0)


class _Talk:
    def __init__(self, numbers: random.Random, speakers: Sequence[str | None]) -> None:
        self._numbers = numbers
        self._speakers = speakers
        self.clock_s = 0.0

    def batches(self, duration_s: float, *, fails: bool) -> Iterator[list[Event]]:
        numbers = self._numbers
        yield [InputImpaired(InputFault.CLIPPED, 0.5)]
        utterance_id = 0
        while self.clock_s < duration_s:
            utterance_id += 1
            self.clock_s += numbers.choice((0.0, 0.3, 0.3, 2.0, 7.0, 20.0))
            yield from self._utterance(utterance_id)
            if utterance_id == 2:
                yield [LanguageDetected("de", 0.9)]
        received = round(self.clock_s * SAMPLE_RATE)
        account = AudioAccount(received=received, decoded=received, silence=0, gap=0)
        yield [SessionFailed(account, "the model broke") if fails else SessionEnded(account)]

    def _utterance(self, utterance_id: int) -> Iterator[list[Event]]:
        numbers = self._numbers
        yield [SpeechStarted(utterance_id, self.clock_s)]
        speaker = numbers.choice(self._speakers)
        for _ in range(numbers.randint(0, 25)):
            if numbers.random() < 0.05:
                speaker = numbers.choice(self._speakers)
            yield self._decode(utterance_id, speaker)
        yield [UtteranceEnded(utterance_id, self.clock_s)]

    def _decode(self, utterance_id: int, speaker: str | None) -> list[Event]:
        numbers = self._numbers
        if numbers.random() < 0.02:
            start, self.clock_s = self.clock_s, self.clock_s + numbers.uniform(0.1, 8.0)
            return [AudioGap(start, self.clock_s, GapReason.DECODE_FAILED)]
        events: list[Event] = []
        words = self._speak(speaker)
        if words:
            self.clock_s = words[-1].end
            events.append(WordsCommitted(utterance_id, words))
        if numbers.random() < 0.8:
            events.append(PartialUpdated(utterance_id, self._speak(speaker)))
        return events

    def _speak(self, speaker: str | None) -> Words:
        """Up to three words from now on; who said them is not always known at once."""
        numbers, clock = self._numbers, self.clock_s
        words: list[Word] = []
        for _ in range(numbers.randint(0, 3)):
            start = clock + numbers.choice((0.0, 0.0, 0.05, 0.9))
            clock = start + numbers.choice((0.0, 0.1, 0.3, 0.5))
            text = numbers.choice(_WORDS if numbers.random() < 0.8 else _ENDS)
            words.append(Word(text, start, clock, speaker=speaker))
        return tuple(words)
