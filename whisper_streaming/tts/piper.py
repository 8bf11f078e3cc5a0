"""Voices of Piper, which sound like people; a voice is a file that its user has.

Piper is under the GPL, too, and it takes a second to load a voice: it runs in a process of its
own, which keeps the voice until it is closed.
"""

import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from whisper_streaming.errors import SpeechError, describe_problems
from whisper_streaming.tts.speech import Speech, can_be_said, read_language, speakable

_BYTES_OF_FLOAT: Final = 4
_TIME_PER_CHARACTER_S: Final = 0.06


class _Espeak(BaseModel):
    model_config = ConfigDict(extra="ignore")
    voice: str


class _Audio(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sample_rate: int


class _VoiceFile(BaseModel):
    """What is read of the JSON file beside a voice."""

    model_config = ConfigDict(extra="ignore")
    espeak: _Espeak
    audio: _Audio


class _Answer(BaseModel):
    """The line before the samples; see piper_program.py."""

    error: str | None = None
    samples: int = Field(default=0, ge=0)


class PiperVoice:
    """A voice of Piper.

    Args:
        model: The voice, ``NAME.onnx``, with ``NAME.onnx.json`` beside it.
        timeout_s: It is stopped when a text takes longer; the first one includes the loading. Long
            ones get more: 60 ms per character, which is about what it takes to say it.

    Raises:
        SpeechError: If Piper is not installed, or there is no such voice.
    """

    def __init__(self, model: str | os.PathLike[str], *, timeout_s: float = 60.0) -> None:
        if importlib.util.find_spec("piper") is None:
            raise SpeechError(
                'the voices of Piper need its package: run pip install ".[piper]" in the clone'
            )
        self._model = Path(model)
        voice = _read_voice_file(self._model)
        self._language = read_language(voice.espeak.voice).partition("-")[0]
        self._rate = voice.audio.sample_rate
        self._timeout_s = timeout_s
        self._lock = threading.Lock()  # one text at a time
        self._process: subprocess.Popen[bytes] | None = None

    def synthesize(self, text: str, language: str) -> Speech:
        """Speak ``text``; see :class:`Voice`. The language must be the voice's."""
        if read_language(language).partition("-")[0] != self._language:
            raise SpeechError(
                f"the voice {self._model.name} speaks {self._language!r}, not {language!r}"
            )
        if not can_be_said(text):
            return Speech(np.zeros(0, dtype=np.float32), self._rate)
        with self._lock:
            return self._ask(speakable(text))

    def close(self) -> None:
        """End the process. Idempotent; the next text starts another one."""
        with self._lock:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, text: str) -> Speech:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        process = self._process = self._process or self._start()
        was_late = threading.Event()

        def stop() -> None:
            was_late.set()
            process.kill()  # ends every wait below, wherever the process hangs

        timeout_s = self._timeout_s + len(text) * _TIME_PER_CHARACTER_S
        timer = threading.Timer(timeout_s, stop)
        timer.start()
        answer: _Answer | None = None
        try:
            answer, content = _exchange(process, text)
        except (OSError, EOFError, ValidationError) as exc:
            self._end()
            reason = f"did not answer in {timeout_s:g} s" if was_late.is_set() else "broke off"
            raise SpeechError(f"Piper {reason} (status {process.returncode})") from exc
        finally:
            timer.cancel()
            if answer is None:
                self._end()  # also after Ctrl-C, or the next text would get the rest of this one
        if answer.error is not None:
            raise SpeechError(f"Piper cannot speak with {self._model.name}: {answer.error}")
        return Speech(np.frombuffer(content, dtype="<f4").astype(np.float32), self._rate)

    def _start(self) -> "subprocess.Popen[bytes]":
        program = Path(__file__).with_name("piper_program.py")
        # -P: this file's own name would hide the package.
        return subprocess.Popen(
            [sys.executable, "-P", str(program), str(self._model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _exchange(process: "subprocess.Popen[bytes]", text: str) -> tuple[_Answer, bytes]:
    """Send a text; the answer and its samples.

    Raises:
        OSError, EOFError: If the process ends.
        ValidationError: If the answer is none.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"text": text}).encode() + b"\n")
    process.stdin.flush()
    answer = _Answer.model_validate_json(process.stdout.readline())
    return answer, _read_exactly(process.stdout, answer.samples * _BYTES_OF_FLOAT)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError(f"{len(content)} of {size} bytes")
    return content


def _read_voice_file(model: Path) -> _VoiceFile:
    path = model.with_name(f"{model.name}.json")
    if not model.is_file():
        raise SpeechError(f"there is no voice {model}")
    try:
        return _VoiceFile.model_validate_json(path.read_bytes())
    except OSError as exc:
        reason = exc.strerror
    except ValidationError as exc:
        reason = describe_problems(exc.errors(include_url=False, include_input=False))
    raise SpeechError(f"{path}, which belongs to the voice, cannot be read: {reason}")
