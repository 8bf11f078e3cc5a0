"""The stages that the settings ask for, ready before the port opens."""

from collections.abc import Callable
from contextlib import ExitStack

from whisper_streaming.alignment import load_alignment
from whisper_streaming.config import ServerConfig
from whisper_streaming.diarization import load_diarization
from whisper_streaming.live.session_setup import segment_rules
from whisper_streaming.live.stages import CreateStage, StageSet
from whisper_streaming.text_hook import load_text_hook
from whisper_streaming.translation import Translation


def load_stages(config: ServerConfig) -> StageSet:
    """Load what the stages need; blocking.

    They stand in this order: the text hook is the last, so that nothing gets past it.

    Raises:
        ConfigurationError: If something cannot be had; which and why.
        ModelLoadError: If a model cannot be loaded.
    """
    creators: list[CreateStage] = []
    sections: dict[str, Callable[[], object]] = {}
    with ExitStack() as stack:
        alignment = load_alignment(config)
        if alignment is not None:
            stack.callback(alignment.close)
            creators.append(alignment.create_stage)
            sections["alignment"] = alignment.describe
        diarization = load_diarization(config.diarization)
        if diarization is not None:
            stack.callback(diarization.close)
            creators.append(diarization.create_stage)
            sections["diarization"] = diarization.describe
        translation = Translation(config.translation, segment_rules(config.segment))
        stack.callback(translation.close)
        creators.append(translation.create_stage)
        sections["translation"] = translation.describe
        hook = load_text_hook(config.text_hook, segment_rules(config.segment))
        if hook is not None:
            stack.callback(hook.close)
            creators.append(hook.create_stage)
            sections["text_hook"] = hook.describe
        return StageSet(
            creators,
            sections=sections,
            close=stack.pop_all().close,
            targets=translation.targets,
            check=translation.check,
        )
