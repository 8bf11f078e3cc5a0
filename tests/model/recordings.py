"""The recordings in ``tests/data``: audio, and what was said when."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.evaluate import normalised_words

FOLDER: Final = Path(__file__).parent.parent / "data"

SINGLE_SPEAKER: Final = (
    "en-1-slt",
    "en-2-rms",
    "en-3-awb",
    "en-4-en-us",
    "en-5-en-gb_f2",
    "en-6-en-us_m3",
)
ENGLISH: Final = (*SINGLE_SPEAKER, "en-dialogue-2spk", "en-long-pauses", "en-noisy-15db")
OTHER_LANGUAGES: Final = ("lang-de", "lang-es", "lang-fr", "lang-tr")


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word that was said, normalised; times in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that was said, as it is written; times in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One recording.

    Attributes:
        name: Of its files.
        language: Whisper language code.
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1]; read-only.
        text: What was said.
        english: What that means in English; empty for an English recording.
        words: What was said, word by word. A hyphenated word is several with the same times.
        sentences: What was said, sentence by sentence.
    """

    name: str
    language: str
    samples: FloatArray
    text: str
    english: str
    words: tuple[TimedWord, ...]
    sentences: tuple[Sentence, ...]

    def cut(self, start: float, end: float) -> FloatArray:
        """The audio between two times, in seconds."""
        return self.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


@cache
def load(name: str) -> Recording:
    """The recording called ``name``."""
    truth = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    samples, rate = soundfile.read(FOLDER / f"{name}.flac", dtype="float32")
    assert rate == SAMPLE_RATE
    samples = np.asarray(samples)
    samples.flags.writeable = False
    return Recording(
        name=name,
        language=truth["language"],
        samples=samples,
        text=truth["text"],
        english=" ".join(each.get("english", "") for each in truth["utterances"]).strip(),
        words=tuple(
            TimedWord(text, word["start"], word["end"])
            for word in truth["words"]
            for text in normalised_words(word["word"])
        ),
        sentences=tuple(
            Sentence(each["text"], each["start"], each["end"]) for each in truth["utterances"]
        ),
    )
