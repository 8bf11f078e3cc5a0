"""The recordings of the tests, with what is said in them and when."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.media import decode_media

FOLDER = Path("tests/data")


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples, the text, and each word with the time its sound ends."""

    samples: FloatArray
    text: str
    words: Sequence[tuple[str, float]]


def load_all(match: str) -> list[Recording]:
    """The recordings whose names match the shell pattern ``match``, by name."""
    return [_load(path) for path in sorted(FOLDER.glob(f"{match}.json"))]


def _load(path: Path) -> Recording:
    truth = json.loads(path.read_text(encoding="utf-8"))
    samples = np.concatenate(list(decode_media(path.with_name(truth["audio"]))))
    return Recording(samples, truth["text"], [(w["word"], w["end"]) for w in truth["words"]])
