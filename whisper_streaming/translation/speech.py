"""English by ear: the loaded Whisper model hears a passage a second time and translates it."""

from dataclasses import replace
from typing import Final

import numpy as np

from whisper_streaming.core.audio import AudioBuffer, FloatArray, samples_of
from whisper_streaming.core.filters import cut_loop, is_silence
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, join_words
from whisper_streaming.engine.base import Decoder
from whisper_streaming.errors import DecodeError, DecodeTimeout, TranslationError
from whisper_streaming.translation.passages import Passage

KEPT_S: Final = 120.0
"""Audio kept per session for passages that wait: 8 MB."""

MARGIN_S: Final = 0.3
"""Heard before and after a passage, because word times come from attention and are not exact."""

_MARGIN: Final = samples_of(MARGIN_S)
_FRAME_SAMPLES: Final = samples_of(0.02)
_MAX_NEW_TOKENS: Final = 224  # half of what a Whisper decoder holds, as faster-whisper


class SpeechTranslator:
    """Decodes passages of one session once more, with the task ``translate``.

    Args:
        decoder: Shared with live words, which go first.
        options: Of the session.
    """

    def __init__(self, decoder: Decoder, options: DecodeOptions) -> None:
        self._decoder = decoder
        self._options = replace(options, task="translate", hotwords="", prompt="")
        self._audio = AudioBuffer()
        self._translated_until = 0

    def receive_audio(self, samples: FloatArray) -> None:
        """Keep the next samples: float32, shape (n,), mono, 16 kHz."""
        self._audio.append(samples)
        self._audio.drop_before(self._audio.end_sample - samples_of(KEPT_S))

    async def translate(self, passage: Passage) -> str:
        """English for ``passage``. Passages come in order.

        Raises:
            TranslationError: If its audio is gone, or cannot be decoded; in words.
        """
        try:
            hypothesis = await self._decoder.decode(self._request(passage))
        except (DecodeError, DecodeTimeout) as error:
            raise TranslationError(error.public_reason) from error
        if hypothesis is None or is_silence(hypothesis):
            raise TranslationError("the model heard nothing to translate")
        text = join_words(cut_loop(hypothesis.words)).strip()
        if not text:
            raise TranslationError("the model heard nothing to translate")
        return text

    def _request(self, passage: Passage) -> DecodeRequest:
        begin, end = self._cut(passage)
        return DecodeRequest(
            samples=self._audio.read(begin, end),
            start_sample=begin,
            options=replace(self._options, language=passage.language),
            is_last=True,
            max_new_tokens=_MAX_NEW_TOKENS,
            is_background=True,
        )

    def _cut(self, passage: Passage) -> tuple[int, int]:
        """Where to cut the audio: where the speech begins and ends, else where it is quietest.

        A model makes a whole sentence of the end of a word of the passage before.
        """
        start, speech_start = samples_of(passage.start), samples_of(passage.speech_start)
        earliest = max(start - _MARGIN, self._translated_until, speech_start)
        end = samples_of(max(passage.end, passage.speech_end or 0.0))
        latest = min(end + _MARGIN, self._audio.end_sample)
        self._translated_until = min(samples_of(passage.end), latest)
        if earliest < self._audio.start_sample or earliest >= latest:
            raise TranslationError("it came too late for the audio that is kept")
        begin = self._quietest(earliest, max(start, earliest))
        return begin, latest if passage.speech_end is not None else self._quietest(end, latest)

    def _quietest(self, begin: int, end: int) -> int:
        """Where between two samples the quietest moment is; the last one of several."""
        frames = (end - begin) // _FRAME_SAMPLES
        if frames < 1:
            return max(begin, end)
        samples = self._audio.read(begin, begin + frames * _FRAME_SAMPLES)
        energies = np.square(samples.reshape(frames, _FRAME_SAMPLES)).sum(axis=1)
        quietest = frames - 1 - int(np.argmin(energies[::-1]))
        return begin + quietest * _FRAME_SAMPLES + _FRAME_SAMPLES // 2
