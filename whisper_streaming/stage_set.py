"""The stages that the settings ask for, ready before the port opens."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from whisper_streaming.alignment import load_alignment
from whisper_streaming.config import DiarizationSettings, ServerConfig
from whisper_streaming.diarization import load_diarization
from whisper_streaming.live.session_setup import segment_rules
from whisper_streaming.live.stages import CreateStage, StageSet
from whisper_streaming.second_pass import SecondPass
from whisper_streaming.text_hook import load_text_hook
from whisper_streaming.translation import Translation
from whisper_streaming.vad import create_vad

PYANNOTE: Final = "pyannote/speaker-diarization-community-1"
"""Its speaker embedding is behind a login, so it is taken only with a token."""


def load_stages(config: ServerConfig) -> StageSet:
    """Load what the stages need; blocking.

    They stand in this order: the text hook is the last, so that nothing gets past it.

    Raises:
        ConfigurationError: If something cannot be had; which and why.
        ModelLoadError: If a model cannot be loaded.
    """
    creators: list[CreateStage] = []
    relabel: list[CreateStage] = []  # what the second pass has in their place
    sections: dict[str, Callable[[], object]] = {}
    with ExitStack() as stack:
        alignment = load_alignment(config)
        if alignment is not None:
            stack.callback(alignment.close)
            creators.append(alignment.create_stage)
            relabel.append(alignment.create_patient_stage)
            sections["alignment"] = alignment.describe
        diarization = load_diarization(_with_pyannote(config))
        if diarization is not None:
            stack.callback(diarization.close)
            creators.append(diarization.create_stage)
            relabel.append(diarization.create_patient_stage)
            sections["diarization"] = diarization.describe
        is_recorded = config.record.dir is not None
        translation = Translation(
            config.translation, segment_rules(config.segment), is_recorded=is_recorded
        )
        stack.callback(translation.close)
        creators.append(translation.create_stage)
        sections["translation"] = translation.describe
        if config.second_pass.enabled:
            second_pass = SecondPass(
                config.second_pass,
                create_vad(config.vad.detector),
                knows_voices=config.vad.detector == "silero",
                relabel=relabel,
                is_recorded=is_recorded,
            )
            creators.append(second_pass.create_stage)
            sections["second_pass"] = second_pass.describe
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


def _with_pyannote(config: ServerConfig) -> DiarizationSettings:
    """Who speaks as pyannote hears it, where the backend is whisperx and a token is given.

    Raises:
        ModelLoadError: If the hub does not give its models to the token, or cannot be reached.
    """
    settings, token = config.diarization, config.hub.token
    is_wanted = settings.enabled and settings.model is None and config.backend.kind == "whisperx"
    if not is_wanted or token is None:
        return settings
    # The hub's client takes a second to load, and hardly anybody needs it.
    from whisper_streaming.backends.hub_access import fetch_repository

    folder = fetch_repository(
        PYANNOTE, token.get_secret_value(), is_complete=_has_speaker_embedding
    )
    return settings.model_copy(update={"model": str(folder)})


def _has_speaker_embedding(folder: Path) -> bool:
    return any((folder / each / "pytorch_model.bin").is_file() for each in ("embedding", "."))
