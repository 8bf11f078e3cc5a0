"""Who speaks in a recording: the truth, and what a live session says with the embedded models."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from tests.model.listening import Listener, given
from tests.model.recordings import FOLDER
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.core.events import Event, SpeakersRevised, WordsCommitted
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.diarization.stage import SpeakerStage

_PAUSE = np.zeros(SAMPLE_RATE * 7 // 10, np.float32)


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks from ``start`` to ``end``."""

    start: float
    end: float
    speaker: str


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """Audio, and who speaks in it."""

    samples: FloatArray
    turns: tuple[Turn, ...]

    def speaker_at(self, word: Word) -> str:
        """Who really speaks a word: whose turn is nearest to its middle."""
        middle = (word.start + word.end) / 2
        return min(
            self.turns, key=lambda turn: max(turn.start - middle, middle - turn.end, 0.0)
        ).speaker


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What a session said.

    Attributes:
        sent: The committed words, labelled as they were sent.
        final: The same words after all revisions.
    """

    sent: tuple[Word, ...]
    final: tuple[Word, ...]


def sentences_of(name: str) -> list[Turn]:
    """The utterances of a recording."""
    truth = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return [Turn(each["start"], each["end"], each["speaker"]) for each in truth["utterances"]]


def meeting(recordings: dict[str, FloatArray], sentences: int) -> Talk:
    """The first sentences of several recordings of one voice each, in turn, with pauses."""
    pieces: list[FloatArray] = []
    turns: list[Turn] = []
    clock = 0
    for index in range(sentences):
        for name, samples in recordings.items():
            told = sentences_of(name)[index]
            begin, end = (round(time_s * SAMPLE_RATE) for time_s in (told.start, told.end))
            pieces += [samples[begin:end], _PAUSE]
            turns.append(
                Turn(clock / SAMPLE_RATE, (clock + end - begin) / SAMPLE_RATE, told.speaker)
            )
            clock += end - begin + len(_PAUSE)
    return Talk(np.concatenate(pieces), tuple(turns))


async def label_live(listener: Listener, samples: FloatArray, stage: SpeakerStage) -> Labelled:
    """Stream the audio and send what is said through the stage, as a live session does."""
    timed = listener.hear_timed(samples, given("en-dialogue-2spk"))
    left: list[Event] = []
    given_samples = 0

    class Live:
        async def take(self) -> list[Event]:
            nonlocal given_samples
            if not timed:
                return []
            audio_s, events = timed.pop(0)
            heard = min(len(samples), round(audio_s * SAMPLE_RATE))
            stage.receive_audio(samples[given_samples:heard])
            given_samples = heard
            return list(events)

    await stage.run(Live(), left.extend)
    sent = [word for each in left if isinstance(each, WordsCommitted) for word in each.words]
    labels = [word.speaker for word in sent]
    for event in left:
        if isinstance(event, SpeakersRevised):
            labels = [
                event.speaker_of(word.start, word.end) or label
                for word, label in zip(sent, labels, strict=True)
            ]
    final = [
        Word(word.text, word.start, word.end, speaker=label)
        for word, label in zip(sent, labels, strict=True)
    ]
    return Labelled(tuple(sent), tuple(final))


def rightly_labelled(talk: Talk, words: Sequence[Word]) -> float:
    """The share of words with the right speaker, under the best assignment of labels."""
    truth = [talk.speaker_at(word) for word in words]
    labels = [word.speaker for word in words]
    names = sorted(set(truth))
    found: list[str | None] = [*dict.fromkeys(labels)]
    found += [None] * (len(names) - len(found))
    return max(
        sum(
            dict(zip(chosen, names, strict=True)).get(label) == name
            for label, name in zip(labels, truth, strict=True)
        )
        for chosen in permutations(found, len(names))
    ) / len(words)
