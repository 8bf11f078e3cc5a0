"""Recordings with exact word times: what measurements stream and compare with."""

import argparse
import json
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field, NonNegativeFloat, ValidationError

from whisper_streaming.backends.model_store import DEMO_PATH
from whisper_streaming.core.audio import FloatArray, seconds
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.evaluate import normalised_words
from whisper_streaming.media import decode_media


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word that was said; times in seconds from the first sample."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded, said, and when.

    Attributes:
        name: Of the files, without suffix.
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
        language: Whisper code; None if it is not known.
        text: All that was said.
        words: With exact times.
        utterance_ends: When each utterance's last word ended, in seconds.
    """

    name: str
    samples: FloatArray
    language: str | None
    text: str
    words: tuple[TimedWord, ...]
    utterance_ends: tuple[float, ...]

    @property
    def duration_s(self) -> float:
        return seconds(len(self.samples))


def add_recording_arguments(parser: argparse.ArgumentParser) -> None:
    """``--audio`` and ``--match``, for :func:`chosen_recordings`."""
    group = parser.add_argument_group("recordings")
    group.add_argument(
        "--audio",
        type=Path,
        default=DEMO_PATH,
        metavar="FOLDER",
        help="folder of NAME.json (text, words with start and end, utterances) and the audio file "
        "that it names; in a clone: tests/data (default: the recording inside the package)",
    )
    group.add_argument(
        "--match",
        default="*",
        metavar="PATTERN",
        help="only recordings whose name matches, such as 'en-[1-6]*' (default: all)",
    )


def chosen_recordings(arguments: argparse.Namespace) -> tuple[Recording, ...]:
    """The recordings that the flags of :func:`add_recording_arguments` name.

    Raises:
        ConfigurationError: If there is none.
        MediaError: If one cannot be read.
    """
    return load_recordings(arguments.audio, arguments.match)


def load_recordings(folder: Path, match: str = "*") -> tuple[Recording, ...]:
    """The recordings of ``folder`` with word times, by name.

    Args:
        folder: With NAME.json and audio files.
        match: Shell pattern of the names.

    Raises:
        ConfigurationError: If there is none, or a file of a recording is broken: what is left
            out silently would change the numbers.
        MediaError: If one cannot be read.
    """
    found = [
        _load(path, truth)
        for path in sorted(folder.glob("*.json"))
        if fnmatch(path.stem, match) and (truth := _truth(path)) is not None
    ]
    if not found:
        raise ConfigurationError(
            f"no recording with word times in {folder} matches {match!r}: there must be a "
            "NAME.json with text, audio and words beside each audio file"
        )
    return tuple(found)


class _TimedText(BaseModel):
    word: str
    start: NonNegativeFloat = Field(allow_inf_nan=False)
    end: NonNegativeFloat = Field(allow_inf_nan=False)


class _Utterance(BaseModel):
    end: NonNegativeFloat = Field(allow_inf_nan=False)


class _Truth(BaseModel):
    """NAME.json; other keys are for other readers."""

    audio: str
    text: str
    words: tuple[_TimedText, ...]
    utterances: tuple[_Utterance, ...] = ()
    language: str | None = None


def _truth(path: Path) -> _Truth | None:
    """What ``path`` says of a recording; None if it is some other JSON or has no word times.

    Raises:
        ConfigurationError: If it is neither.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc
    if not isinstance(fields, dict) or not {"audio", "text", "words"} <= fields.keys():
        return None
    if not fields["words"]:
        return None
    try:
        truth = _Truth.model_validate(fields)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False)[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise ConfigurationError(f"{path}: {place}: {wrong['msg']}") from exc
    if not any(normalised_words(each.word) for each in truth.words):
        raise ConfigurationError(f"{path} has no word that can be compared")
    return truth


def _load(path: Path, truth: _Truth) -> Recording:
    samples = np.concatenate(list(decode_media(path.with_name(truth.audio))))
    words = tuple(TimedWord(each.word, each.start, each.end) for each in truth.words)
    return Recording(
        name=path.stem,
        samples=samples,
        language=truth.language,
        text=truth.text,
        words=words,
        utterance_ends=tuple(each.end for each in truth.utterances) or (words[-1].end,),
    )
