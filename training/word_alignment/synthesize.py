"""Speaks the training sentences of the embedded align model: writes them to a file.

It needs flite, espeak-ng and the word list of wamerican (Debian packages of these names), and
takes some minutes of two cores:

    python -m training.word_alignment.synthesize sentences.npz
"""

import argparse
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from pydoc_data import topics
from typing import Final

import numpy as np

from training.word_alignment.voices import (
    ESPEAK_ACCENTS,
    ESPEAK_VARIANTS,
    FLITE_VOICES,
    Espeak,
    Flite,
    Times,
)
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray

WORD_LIST: Final = Path("/usr/share/dict/words")
LICENCES: Final = Path("/usr/share/common-licenses")
NUMBERS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen twenty thirty "
    "forty fifty sixty seventy eighty ninety hundred thousand million and dollars percent"
)
FLITE_HOURS: Final = 2.0
ESPEAK_HOURS: Final = 2.5
MIN_WORD_S: Final = 0.03


def letters_of(word: str) -> str:
    """What the model learns of a word."""
    return re.sub(r"[^a-z']", "", word.lower())


class Sentences:
    """Made-up sentences: fragments of prose, numbers, and words in no order."""

    def __init__(self, numbers: random.Random) -> None:
        self._random = numbers
        prose = " ".join(topics.topics.values())
        for name in ("GPL-3", "GFDL-1.3", "Artistic", "MPL-2.0", "CC0-1.0"):
            prose += " " + (LICENCES / name).read_text(encoding="utf-8")
        self._prose = list(_plain_sentences(prose))
        self._frequent = [word.rstrip(",") for sentence in self._prose for word in sentence]
        words = WORD_LIST.read_text(encoding="utf-8").split()
        self._any = [word for word in words if re.fullmatch(r"[A-Za-z]?[a-z]+('s)?", word)]

    def next(self) -> list[str]:
        choice = self._random
        kind, count = choice.random(), choice.randint(3, 9)
        if kind < 0.3:
            sentence = choice.choice(self._prose)
            first = choice.randrange(max(1, len(sentence) - count))
            words = sentence[first : first + count]
        elif kind < 0.45:
            words = [choice.choice(NUMBERS.split()) for _ in range(count)]
        else:
            words = [
                choice.choice(self._any if choice.random() < 0.5 else self._frequent)
                for _ in range(count)
            ]
        if len(words) > 4 and choice.random() < 0.3:
            words[len(words) // 2] = words[len(words) // 2].rstrip(",") + ","
        return words


def _plain_sentences(prose: str) -> Iterator[list[str]]:
    for sentence in re.split(r"[.;:\n]\s|\n\n", re.sub(r"[ \n]+", " ", prose)):
        words = [word.replace("’", "'") for word in sentence.split()]
        plain = [re.fullmatch(r"[A-Za-z]+('[a-z]+)?,?", word) for word in words]
        if 3 <= len(words) <= 40 and all(plain):
            yield words


def main(arguments: Sequence[str] | None = None) -> None:
    """Write samples (int16) and words with times of each sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    output: Path = parser.parse_args(arguments).output
    numbers = random.Random(1)
    sentences = Sentences(numbers)
    flite, espeak = Flite(), Espeak()

    def say_with_flite(text: str) -> tuple[FloatArray, Times]:
        return flite.say(text, numbers.choice(FLITE_VOICES))

    def say_with_espeak(text: str) -> tuple[FloatArray, Times]:
        voice = numbers.choice(ESPEAK_ACCENTS) + numbers.choice(ESPEAK_VARIANTS)
        samples, times = espeak.say(
            text, voice, rate=numbers.randint(130, 200), pitch=numbers.randint(35, 65)
        )
        return _resample(samples, espeak.sample_rate), times

    kept: list[tuple[FloatArray, Times]] = []
    for say, hours in ((say_with_flite, FLITE_HOURS), (say_with_espeak, ESPEAK_HOURS)):
        spoken_s = 0.0
        while spoken_s < 3600 * hours:
            words = sentences.next()
            samples, times = say(" ".join(words) + numbers.choice(".?"))
            times = [(letters_of(word), start, end) for word, start, end in times]
            # A synthesizer may say several words as one, or spell one out: these are left out.
            is_whole = [word for word, _, _ in times] == [letters_of(word) for word in words]
            if is_whole and all(end - start >= MIN_WORD_S for _, start, end in times):
                kept.append((samples, times))
                spoken_s += len(samples) / SAMPLE_RATE
    _save(output, kept)


def _resample(samples: FloatArray, rate: int) -> FloatArray:
    from scipy.signal import resample_poly

    resampled: FloatArray = resample_poly(samples, SAMPLE_RATE, rate).astype(np.float32)
    return resampled


def _save(output: Path, kept: Sequence[tuple[FloatArray, Times]]) -> None:
    ends = np.cumsum([len(samples) for samples, _ in kept])
    np.savez(
        output,
        samples=np.concatenate([(samples * 32767).astype(np.int16) for samples, _ in kept]),
        ends=ends,
        words=np.array([" ".join(word for word, _, _ in times) for _, times in kept]),
        starts=np.array([" ".join(f"{start:.4f}" for _, start, _ in times) for _, times in kept]),
        stops=np.array([" ".join(f"{end:.4f}" for _, _, end in times) for _, times in kept]),
    )


if __name__ == "__main__":
    main()
