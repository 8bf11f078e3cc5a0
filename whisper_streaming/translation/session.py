"""What translates the passages of one session: a text model, or the loaded model by ear."""

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import TranslationError
from whisper_streaming.translation.passages import Passage
from whisper_streaming.translation.speech import SpeechTranslator
from whisper_streaming.translation.text_pool import TextPool


class SessionTranslator:
    """Takes a text model where one knows the languages, else the model that heard the words.

    Args:
        texts: Shared by all sessions.
        speech: For English; None if the session cannot have it.
        target: Wanted language.
    """

    def __init__(self, texts: TextPool, speech: SpeechTranslator | None, target: str) -> None:
        self._texts = texts
        self._speech = speech
        self.target = target

    def receive_audio(self, samples: FloatArray) -> None:
        """The next samples: float32, shape (n,), mono, 16 kHz."""
        if self._speech is not None:
            self._speech.receive_audio(samples)

    def hear(self, until_s: float) -> None:
        """Something was said about the audio up to ``until_s``."""
        if self._speech is not None:
            self._speech.hear(until_s)

    def finish(self) -> None:
        """No audio will follow."""
        if self._speech is not None:
            self._speech.finish()

    def needs_none(self, passage: Passage) -> bool:
        """Whether ``passage`` is in the wanted language already."""
        return passage.language == self.target

    async def translate(self, passage: Passage) -> str:
        """The translation of ``passage``; passages come in order.

        Raises:
            TranslationError: If it cannot be had; in words.
        """
        source = passage.language
        if source is not None and self._texts.supports(source, self.target):
            text = await self._texts.translate(passage.text, source, self.target)
            if not text.strip():
                raise TranslationError("the translator gave nothing")
            return " ".join(text.split())
        if self._speech is not None:
            return await self._speech.translate(passage)
        if source is None:
            raise TranslationError("the spoken language is not known yet")
        raise TranslationError(f"nothing here translates from {source!r} to {self.target!r}")

    async def translate_open(self, passage: Passage) -> str | None:
        """The translation of words that may change; None where that would cost too much.

        Raises:
            TranslationError: If it cannot be had.
        """
        source = passage.language
        if source is None or not self._texts.supports(source, self.target):
            return None
        text = await self._texts.translate(passage.text, source, self.target, when_idle=True)
        return " ".join(text.split())
