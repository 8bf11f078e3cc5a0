"""Which align model a language gets, and what has to be there before the port opens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from whisper_streaming.alignment.models import AlignModels
from whisper_streaming.alignment.shared import SharedAligner
from whisper_streaming.alignment.words import AlignModel
from whisper_streaming.backends.base import DEMO
from whisper_streaming.backends.whisperx import require_whisperx
from whisper_streaming.config import ServerConfig
from whisper_streaming.errors import ModelLoadError

DEMO_PATH: Final = Path(__file__).parent.parent / "models" / "align-demo"
_DEMO_LANGUAGE: Final = "en"


def load_alignment(config: ServerConfig) -> SharedAligner | None:
    """What the settings ask for; None without the backend ``whisperx``.

    The model of the server's language is loaded here, so that what is missing is known at once.

    Raises:
        ModelLoadError: If whisperx is missing, or the model cannot be had or loaded.
    """
    if config.backend.kind != "whisperx" or not config.alignment.enabled:
        return None
    require_whisperx()
    names = model_names(config)
    is_demo = config.backend.models[:1] == (DEMO,)

    def load(language: str) -> AlignModel:
        # Brings torch and transformers: seconds, and an environment that most servers lack.
        from whisper_streaming.alignment.whisperx_model import load_whisperx_model

        name = names.get(language)
        if is_demo and name is None:
            # Who takes the embedded model expects nothing to be fetched.
            raise ModelLoadError(f"there is no embedded align model for {language!r}")
        token = config.hub.token
        return load_whisperx_model(
            language,
            str(DEMO_PATH) if name == DEMO else name,
            device=config.backend.device,
            threads=config.alignment.threads,
            token=token.get_secret_value() if token is not None else None,
        )

    wanted = {*names, *((config.only_language,) if config.only_language and not is_demo else ())}
    hold_s = config.alignment.hold_s
    return SharedAligner(
        AlignModels(load, hold_s=hold_s, languages=sorted(wanted)),
        hold_s=hold_s,
        backlog_s=config.limits.max_backlog_s,
    )


def model_names(config: ServerConfig) -> Mapping[str, str]:
    """The align models that the settings name, by language.

    Raises:
        ModelLoadError: If the language of one is not said.
    """
    is_demo = config.backend.models[:1] == (DEMO,)
    names = {_DEMO_LANGUAGE: DEMO} if is_demo else {}
    for entry in config.alignment.models:
        language, equals, name = entry.partition("=")
        if equals:
            names[language.strip().lower()] = name.strip()
        elif entry == DEMO:
            names[_DEMO_LANGUAGE] = DEMO
        elif config.only_language is None:
            raise ModelLoadError(
                f"of which language is the align model {entry}? Say --align-model LANGUAGE={entry}"
            )
        else:
            names[config.only_language] = entry
    return names
