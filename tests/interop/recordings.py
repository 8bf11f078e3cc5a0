"""Pieces of the recordings that the embedded model hears without a mistake."""

import json
import re
import wave
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
    """Consecutive utterances of a recording, cut right after the last word.

    Attributes:
        path: 16 kHz mono WAV.
        text: What is said.
        english: The same in English.
    """

    path: Path
    text: str
    english: str


def cut(recording: Path, first: int, count: int, folder: Path) -> Excerpt:
    """``count`` utterances of ``recording`` (without suffix), written to ``folder``."""
    spoken = json.loads(recording.with_suffix(".json").read_text(encoding="utf-8"))
    utterances = spoken["utterances"][first : first + count]
    begin = round((utterances[0]["start"] - _BEFORE_FIRST_WORD_S) * SAMPLE_RATE)
    end = round((utterances[-1]["end"] + _AFTER_LAST_WORD_S) * SAMPLE_RATE)
    samples = np.concatenate(list(decode_media(recording.with_suffix(".flac"))))[begin:end]
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
