"""A program of the operator's over all outgoing text: redaction, glossaries."""

from whisper_streaming.text_hook.facts import TextFacts
from whisper_streaming.text_hook.loading import load_text_hook
from whisper_streaming.text_hook.runner import HookStats, TextHook
from whisper_streaming.text_hook.stage import TextHookStage

__all__ = ["HookStats", "TextFacts", "TextHook", "TextHookStage", "load_text_hook"]
