"""English by ear: the loaded Whisper model hears a passage a second time and translates it."""

import asyncio
from dataclasses import replace
from typing import Final

import numpy as np

from whisper_streaming.core.audio import AudioBuffer, FloatArray, samples_of
from whisper_streaming.core.filters import cut_loop, is_silence
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, join_words
from whisper_streaming.engine.base import Decoder
from whisper_streaming.errors import DecodeError, DecodeTimeout, TranslationError
from whisper_streaming.translation.cuts import REACH_S, cut_after, cut_before
from whisper_streaming.translation.passages import Passage

KEPT_S: Final = 120.0
"""Audio kept per session for passages that wait, behind the newest words: 8 MB."""

MOST_KEPT_S: Final = 800.0
"""The same, with audio that waits to be heard; more than a server lets wait by default."""

QUIET_S: Final = 60.0
"""Who says nothing for so long is silent, and not behind."""

_REACH: Final = samples_of(REACH_S)
_PATIENCE_S: Final = 2.0  # after which a server takes an input for idle by default
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
        self._heard_until = 0
        self._heard_at: float | None = None
        self._arrived = asyncio.Event()
        self._is_complete = False

    def receive_audio(self, samples: FloatArray) -> None:
        """Keep the next samples: float32, shape (n,), mono, 16 kHz."""
        self._audio.append(samples)
        self._drop_old(asyncio.get_running_loop().time())
        self._arrived.set()

    def hear(self, until_s: float) -> None:
        """Something was said about the audio up to ``until_s``, so it is not waiting any more."""
        self._heard_until = max(self._heard_until, samples_of(until_s))
        self._heard_at = asyncio.get_running_loop().time()

    def finish(self) -> None:
        """No audio will follow."""
        self._is_complete = True
        self._arrived.set()

    async def translate(self, passage: Passage) -> str:
        """English for ``passage``. Passages come in order.

        Raises:
            TranslationError: If its audio is gone, or cannot be decoded; in words.
        """
        await self._wait_for_audio_after(passage)
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

    def _drop_old(self, now: float) -> None:
        """Forget what is not needed: a recording that comes at once waits to be heard for long."""
        if self._heard_at is None:
            self._heard_at = now
        end = self._audio.end_sample
        known = end if now - self._heard_at > QUIET_S else min(self._heard_until, end)
        self._audio.drop_before(max(known - samples_of(KEPT_S), end - samples_of(MOST_KEPT_S)))

    async def _wait_for_audio_after(self, passage: Passage) -> None:
        """Words may be final before their last sound is certain to be there.

        Who sends no more for a while is not waited for.
        """
        needed = samples_of(_words_end(passage)) + _REACH
        try:
            while self._audio.end_sample < needed and not self._is_complete:
                self._arrived.clear()
                async with asyncio.timeout(_PATIENCE_S):
                    await self._arrived.wait()
        except TimeoutError:
            return

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
        """First sample and end of what is heard of ``passage``."""
        audio = self._audio
        earliest = max(
            samples_of(passage.start) - _REACH,
            samples_of(passage.speech_start),
            self._translated_until,
        )
        start = max(samples_of(passage.start), earliest)
        words_end = min(samples_of(_words_end(passage)), audio.end_sample)
        if earliest < audio.start_sample or start >= words_end:
            raise TranslationError("it came too late for the audio that is kept")
        self._translated_until = min(samples_of(passage.end), words_end)
        power = float(np.mean(np.square(audio.read(start, words_end))))
        before = audio.read(earliest, min(start + _REACH, words_end))
        begin = earliest + cut_before(before, start - earliest, power)
        after = audio.read(words_end, min(words_end + _REACH, audio.end_sample))
        return begin, words_end + cut_after(after, power, is_end=len(after) < _REACH)


def _words_end(passage: Passage) -> float:
    """Where its last word ends at the earliest: with its utterance, which ends in a pause.

    What was found to be speech long after the last word is no words.
    """
    if passage.speech_end is None or passage.speech_end > passage.end + REACH_S:
        return passage.end
    return max(passage.end, passage.speech_end)
