"""The hook of the settings, ready before the port opens."""

from whisper_streaming.config import TextHookSettings
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.text_hook.hook_process import HookProcess
from whisper_streaming.text_hook.runner import TextHook


def load_text_hook(settings: TextHookSettings, rules: SegmentRules) -> TextHook | None:
    """The hook of the settings; None if there is none. Blocking.

    Raises:
        ConfigurationError: If it cannot be had, or cannot be called with a text.
    """
    if settings.name is None:
        return None
    process = HookProcess(settings.name)
    process.start()
    return TextHook(
        process.ask,
        settings.name,
        timeout_s=settings.timeout_s,
        rules=rules,
        prepare=process.prepare,
        stop=process.stop,
        end=process.close,
    )
