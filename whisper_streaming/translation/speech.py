"""English by ear: the loaded Whisper model hears a passage a second time and translates it."""

from dataclasses import replace
from typing import Final

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
        # Not into the passage before: its last word would be translated a second time.
        begin = max(samples_of(passage.start - MARGIN_S), self._translated_until)
        end = min(samples_of(passage.end + MARGIN_S), self._audio.end_sample)
        self._translated_until = min(samples_of(passage.end), end)
        if begin < self._audio.start_sample or begin >= end:
            raise TranslationError("it came too late for the audio that is kept")
        return DecodeRequest(
            samples=self._audio.read(begin, end),
            start_sample=begin,
            options=replace(self._options, language=passage.language),
            is_last=True,
            max_new_tokens=_MAX_NEW_TOKENS,
            is_background=True,
        )
