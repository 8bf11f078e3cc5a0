"""Pieces of the recordings that the embedded model hears without a mistake."""

import json
import re
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.media import decode_media

# The audio ends with the last word: no silence says that the speaker has finished.
_AFTER_LAST_WORD_S = 0.05
_BEFORE_FIRST_WORD_S = 0.35


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Utterances of a recording, each with the pause after it, cut right after the last word.

    Attributes:
        path: 16 kHz mono WAV.
        text: What is said.
        english: The same in English.
    """

    path: Path
    text: str
    english: str


def cut(recording: Path, numbers: Sequence[int], folder: Path) -> Excerpt:
    """The utterances with these ``numbers`` of ``recording`` (without suffix), in ``folder``."""
    spoken = json.loads(recording.with_suffix(".json").read_text(encoding="utf-8"))["utterances"]
    decoded = np.concatenate(list(decode_media(recording.with_suffix(".flac"))))

    def begin(number: int) -> int:
        return round((spoken[number]["start"] - _BEFORE_FIRST_WORD_S) * SAMPLE_RATE)

    *others, last = numbers
    end = round((spoken[last]["end"] + _AFTER_LAST_WORD_S) * SAMPLE_RATE)
    pieces = [decoded[begin(number) : begin(number + 1)] for number in others]
    samples = np.concatenate([*pieces, decoded[begin(last) : end]])
    utterances = [spoken[number] for number in numbers]
    path = folder / f"{recording.stem}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.clip(samples * 32768.0, -32768, 32767).astype("<i2").tobytes())
    text = " ".join(utterance["text"] for utterance in utterances)
    return Excerpt(path, text, " ".join(u.get("english", u["text"]) for u in utterances))


def words_of(text: str) -> list[str]:
    """The words alone, for comparing."""
    return re.findall(r"[\w']+", text.lower())
