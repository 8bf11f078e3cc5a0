"""Voices of eSpeak NG, which runs in a process of its own.

It is under the GPL and written in C: as a process it stays separate from this package and from
the program that uses it, can be stopped when it hangs, and takes nobody along when it crashes.
"""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np

from whisper_streaming.errors import SpeechError, UnsupportedAudio
from whisper_streaming.media_wav import WavHeader, read_wav_header
from whisper_streaming.tts.speech import (
    Speech,
    can_be_said,
    from_int16,
    read_language,
    speakable,
)

_PROGRAM: Final = "espeak-ng"
_PACKAGE: Final = "espeakng_loader"
_RATE: Final = 22_050
_SLOWEST: Final = 80  # words per minute, as its manual has them
_FASTEST: Final = 450
# About 25 times what it takes.
_TIME_PER_CHARACTER_S: Final = 0.005
# Whisper's codes that eSpeak NG calls otherwise. Its "en" is British.
_VOICES: Final = {"en": "en-us", "zh": "cmn", "no": "nb", "nn": "nb"}
# What both programs write when -v names none of their voices.
UNKNOWN_VOICE: Final = "voice does not exist"
_LONGEST_COMPLAINT: Final = 200


class EspeakVoice:
    """eSpeak NG: small, quick, in about a hundred languages, and audibly a machine.

    Args:
        words_per_minute: How fast it speaks, 80 to 450.
        timeout_s: It is stopped when a text takes longer. Long ones get more: 5 ms per character.
        command: What runs it: takes ``-v VOICE -s SPEED --stdin --stdout``, text, and gives a WAV.
            None: the program ``espeak-ng`` if there is one, else the library of the extra
            ``[tts]``.

    Raises:
        SpeechError: If neither is installed, or nobody can speak so fast.
    """

    def __init__(
        self,
        *,
        words_per_minute: int = 175,
        timeout_s: float = 30.0,
        command: Sequence[str] | None = None,
    ) -> None:
        if not _SLOWEST <= words_per_minute <= _FASTEST:  # the engine would be silent, or ignore it
            raise SpeechError(
                f"{words_per_minute} words per minute: eSpeak NG speaks {_SLOWEST} to {_FASTEST}"
            )
        self._command = list(command or find_espeak())
        self._speed = str(words_per_minute)
        self._timeout_s = timeout_s

    def synthesize(self, text: str, language: str) -> Speech:
        """Speak ``text``; see :class:`Voice`."""
        code = read_language(language)
        if not can_be_said(text):
            return Speech(np.zeros(0, dtype=np.float32), _RATE)
        # The region is a wish: who has no Swiss voice speaks the language all the same.
        base = code.partition("-")[0]
        for voice in dict.fromkeys((_VOICES.get(code, code), _VOICES.get(base, base))):
            done = self._run(voice, speakable(text))
            if done.returncode == 0:
                return _read_speech(done.stdout)
            if UNKNOWN_VOICE not in _complaint(done):
                reason = f": {_complaint(done)}" if _complaint(done) else ""
                raise SpeechError(f"eSpeak NG failed with status {done.returncode}{reason}")
        raise SpeechError(f"eSpeak NG does not speak the language {language!r}")

    def _run(self, voice: str, text: str) -> subprocess.CompletedProcess[bytes]:
        timeout_s = self._timeout_s + len(text) * _TIME_PER_CHARACTER_S
        command = [*self._command, "-v", voice, "-s", self._speed, "--stdin", "--stdout"]
        try:
            return subprocess.run(
                command,
                input=text.encode(errors="replace"),
                capture_output=True,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as exc:
            raise SpeechError(
                f"eSpeak NG was stopped after {timeout_s:g} s without an end"
            ) from exc
        except OSError as exc:
            raise SpeechError(f"{self._command[0]} cannot be run: {exc.strerror}") from exc


def find_espeak() -> list[str]:
    """The command that runs eSpeak NG on this machine.

    Raises:
        SpeechError: If there is none.
    """
    program = shutil.which(_PROGRAM)
    if program is not None:
        return [program]
    if importlib.util.find_spec(_PACKAGE) is not None:
        # As a file, because as a module it would load this package first. -P keeps this folder
        # from the path: names of its files are names of packages, too.
        return [sys.executable, "-P", str(Path(__file__).with_name("espeak_library.py"))]
    raise SpeechError(
        "speech output needs eSpeak NG: run apt install espeak-ng (brew install espeak-ng), or "
        'pip install ".[tts]" in the clone'
    )


def _read_speech(output: bytes) -> Speech:
    stream = BytesIO(output)
    try:
        header = read_wav_header(partial(stream.read))
    except UnsupportedAudio as exc:
        raise SpeechError(f"eSpeak NG gave no audio that can be read: {exc}") from exc
    if header is None:
        raise SpeechError("eSpeak NG gave no audio")
    if (header.raw_format, header.channels) != ("s16le", 1):
        raise SpeechError(f"eSpeak NG gave audio as {_describe(header)}, which is not read here")
    return Speech(from_int16(stream.read()), header.sample_rate)


def _describe(header: WavHeader) -> str:
    return f"{header.raw_format} in {header.channels} channels"


def _complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode(errors="replace").strip()[-_LONGEST_COMPLAINT:]
