"""Spoken text: what a voice gives, and what can be done with it."""

import importlib
import os
import re
import unicodedata
import wave
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple, Protocol

import numpy as np

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import SpeechError

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[a-z0-9]+)*")
_LARGEST_INT16: Final = 32767
_PIECE_S: Final = 0.1


class Speech(NamedTuple):
    """Spoken text.

    Attributes:
        samples: float32, shape (n,), mono, in [-1, 1].
        rate: Samples of a second.
    """

    samples: FloatArray
    rate: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


class Voice(Protocol):
    """Speaks text. May be called from any thread."""

    def synthesize(self, text: str, language: str) -> Speech:
        """Speak ``text``; no samples where there is nothing to say in it.

        Raises:
            SpeechError: If the voice does not know the language, fails, or does not answer.
        """
        ...


def save(speech: Speech, path: str | os.PathLike[str]) -> None:
    """Write a WAV file: 16 bit, mono, at the rate of the speech.

    Raises:
        SpeechError: If the file cannot be written.
    """
    try:
        with Path(path).open("wb") as file, wave.open(file, "wb") as recording:
            recording.setnchannels(1)
            recording.setsampwidth(2)
            recording.setframerate(speech.rate)
            recording.writeframes(_to_int16(speech.samples))
    except OSError as exc:
        raise SpeechError(f"{os.fspath(path)} cannot be written: {exc.strerror}") from exc


def play(speech: Speech) -> None:
    """Play through the default loudspeaker; returns when the last sample was given to it.

    Raises:
        SpeechError: If PyAudio is missing, or there is no loudspeaker.
    """
    pyaudio = _import_pyaudio()
    audio = pyaudio.PyAudio()
    try:
        stream = audio.open(format=pyaudio.paInt16, channels=1, rate=speech.rate, output=True)
        try:
            # In pieces, so that Ctrl-C need not wait for the end.
            piece = max(1, round(speech.rate * _PIECE_S))
            for start in range(0, len(speech.samples), piece):
                stream.write(_to_int16(speech.samples[start : start + piece]))
            stream.stop_stream()  # waits until all of it was heard
        finally:
            stream.close()
    except OSError as exc:
        raise SpeechError(f"the loudspeaker cannot be used: {exc}") from exc
    finally:
        audio.terminate()


def from_int16(pcm: bytes) -> FloatArray:
    """Little-endian 16 bit samples as float32, shape (n,), in [-1, 1]; half a sample is cut."""
    whole = np.frombuffer(pcm[: len(pcm) - len(pcm) % 2], dtype="<i2")
    return whole.astype(np.float32) / np.float32(_LARGEST_INT16 + 1)


def can_be_said(text: str) -> bool:
    """Whether there is a letter or a digit in it."""
    return any(map(str.isalnum, text))


def speakable(text: str) -> str:
    """``text`` without what engines take for commands: control characters, ``[[phonemes]]``."""
    plain = "".join(" " if unicodedata.category(each) == "Cc" else each for each in text)
    while "[[" in plain:
        plain = plain.replace("[[", "[ [")
    return plain


def read_language(language: str) -> str:
    """``"en-gb"`` of ``"en_GB"``.

    Raises:
        SpeechError: If it is no language code; it may end up in a command line.
    """
    code = language.lower().replace("_", "-")
    if not _LANGUAGE.fullmatch(code):
        raise SpeechError(f"{language[:40]!r} is no language code, such as 'en' or 'pt-BR'")
    return code


def _to_int16(samples: FloatArray) -> bytes:
    # A voice of somebody's own may give anything; what is no number is silence.
    scaled = np.clip(np.nan_to_num(samples), -1.0, 1.0) * _LARGEST_INT16
    return np.round(scaled).astype("<i2").tobytes()


def _import_pyaudio() -> ModuleType:
    try:
        return importlib.import_module("pyaudio")
    except ImportError as exc:
        raise SpeechError(
            'playing needs PyAudio: run pip install "pyaudio", or pip install ".[mic]" in the '
            "clone; on Debian and Ubuntu run apt install portaudio19-dev before"
        ) from exc
