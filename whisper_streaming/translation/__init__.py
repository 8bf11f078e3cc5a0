"""Translations beside the words: by models for text, or by the loaded Whisper model itself."""

from whisper_streaming.translation.base import Translator
from whisper_streaming.translation.service import Translation

__all__ = ["Translation", "Translator"]
