"""WhisperLiveKit's keyword names for an engine, and what becomes of each here.

docs/API.md has the same table for people, and a test compares them.
"""

import difflib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from whisper_streaming.config import ServerConfig, load_config
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.wire.whisper_live_kit_lines import Retention

Flags = dict[str, object]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What a program told its engine.

    Attributes:
        config: The settings.
        pcm_input: Whether sessions get raw samples; None tells by the first bytes of each.
        retention: Which lines sessions keep; None is what the settings say.
        prompt: Text that precedes each session.
        notices: What was asked for and has no effect, in words.
    """

    config: ServerConfig
    pcm_input: bool | None = None
    retention: Retention | None = None
    prompt: str = ""
    notices: tuple[str, ...] = field(default=())


def read_options(options: Mapping[str, object], base: ServerConfig | None) -> EngineOptions:
    """Read keyword arguments as WhisperLiveKit's programs give them.

    Args:
        options: By name. ``None``, ``False`` and an empty text ask for nothing where that is
            what the name means.
        base: Settings that the options change. Without them sessions detect their language, as
            in WhisperLiveKit.

    Raises:
        ConfigurationError: If a name is unknown, a value is wrong, or what is asked for cannot be
            had and would change the transcript.
    """
    for name, value in options.items():
        _check_name(name)
        _refuse(name, value)
    given = {name: value for name, value in options.items() if value is not None and value != ""}
    flags: Flags = {"language": None} if base is None else _flatten(base.model_dump())
    for read in _READERS:
        flags |= read(given)
    config = _load(flags, given)
    return EngineOptions(
        config=config,
        pcm_input=_switch(given, "pcm_input"),
        retention=_read_retention(given),
        prompt=str(given.get("init_prompt", "")),
        notices=(*_notices(given), *_notices_of_settings(config)),
    )


def _load(flags: Flags, given: Mapping[str, object]) -> ServerConfig:
    try:
        return load_config(flags=flags)
    except ConfigurationError as exc:
        if not isinstance(exc.__cause__, ValidationError):
            raise
        problems = exc.__cause__.errors(include_url=False, include_input=False)
        told = [_tell(problem["loc"], problem["msg"], given) for problem in problems]
        raise ConfigurationError("; ".join(told)) from exc.__cause__


def _tell(place: Sequence[int | str], reason: str, given: Mapping[str, object]) -> str:
    """What is wrong, by the name that the program's author typed."""
    setting = ".".join(str(part) for part in place)
    for name in _TYPED.get(setting, ()):
        if name in given:
            return f"{name}={given[name]!r}: {reason}"
    return f"{setting}: {reason}"


# -- names

HONOURED: Final = (
    "model", "model_size", "model_path", "model_dir", "lan", "language", "task",
    "direct_english_translation", "backend", "backend_policy", "beams", "vac", "no_vac", "vad",
    "no_vad", "min_chunk_size", "init_prompt", "pcm_input", "retention_seconds",
    "transcription", "diarization", "target_language",
)  # fmt: skip
"""Names that do what they say."""

_NOTHING_TO_DO: Final = "an engine has nothing else to do"
_OTHER_FOLDER: Final = "give one folder in CTranslate2's format as model"
_OTHER_SPEAKERS: Final = "speakers are told apart in another way; see docs/diarization.md"
_OTHER_TRANSLATORS: Final = "translators are given in another way; see docs/translation.md"

REFUSED: Final[Mapping[str, str]] = {
    "no_transcription": _NOTHING_TO_DO,
    "lora_path": "merge the adapter into the model and convert it to CTranslate2's format",
    "decoder_model_path": _OTHER_FOLDER,
    "encoder_model_path": _OTHER_FOLDER,
}
"""Names whose meaning cannot be had here; an error if they are set."""

_PROGRAMS_OWN: Final = "it belongs to a server, and the engine has none"
_OTHER_ALGORITHM: Final = "it belongs to an algorithm that this project does not use"
_LINES: Final = "lines always end at sentences"

WITHOUT_EFFECT: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "host", "port", "ssl_certfile", "ssl_keyfile", "forwarded_allow_ips", "cors_origins",
            "api_token", "rest_timeout", "log_level",
        ),
        _PROGRAMS_OWN,
    ),
    **dict.fromkeys(
        (
            "vac_chunk_size", "confidence_validation", "buffer_trimming", "buffer_trimming_sec",
            "disable_fast_encoder", "custom_alignment_heads", "frame_threshold", "decoder",
            "decoder_type", "audio_max_len", "audio_min_len", "cif_ckpt_path", "never_fire",
            "static_init_prompt", "max_context_tokens", "asr_coalesce_min_s",
        ),
        _OTHER_ALGORITHM,
    ),
    **dict.fromkeys(("punctuation_split", "disable_punctuation_split"), _LINES),
    **dict.fromkeys(
        (
            "diarization_backend", "segmentation_model", "embedding_model",
            "sortformer_model_path", "sortformer_max_speakers",
        ),
        _OTHER_SPEAKERS,
    ),
    **dict.fromkeys(
        ("nllb_backend", "nllb_size", "translation_backend", "translate_on_complete"),
        _OTHER_TRANSLATORS,
    ),
    "warmup_file": "the model is always warmed up",
    "model_cache_dir": "set HF_HOME in the environment",
    "pause_segmentation_seconds": "give config=ServerConfig(segment=SegmentSettings(pause_s=...))",
}  # fmt: skip
"""Names that change nothing of the text; a warning if they are set."""

_KNOWN: Final = frozenset({*HONOURED, *REFUSED, *WITHOUT_EFFECT})


def _check_name(name: str) -> None:
    if name in _KNOWN:
        return
    near = difflib.get_close_matches(name, _KNOWN, 1)
    hint = f"; did you mean {near[0]!r}?" if near else "; docs/API.md lists them"
    raise ConfigurationError(f"an engine has no option {name!r}{hint}")


def _refuse(name: str, value: object) -> None:
    if name in REFUSED and value:
        raise ConfigurationError(f"leave out {name}={value!r}: {REFUSED[name]}")
    if name == "transcription" and value is False:
        raise ConfigurationError(f"leave out transcription=False: {_NOTHING_TO_DO}")


def _notices(given: Mapping[str, object]) -> list[str]:
    notices = [
        f"{name} ({WITHOUT_EFFECT[name]})"
        for name, value in given.items()
        if name in WITHOUT_EFFECT and value is not False
    ]
    if _policy(given) == "simulstreaming":
        notices.append("backend_policy (it is simulstreaming, which this project does not use)")
    return notices


def _notices_of_settings(config: ServerConfig) -> list[str]:
    """What is silently missed in the end, unlike a port that nothing listens on."""
    missed = {"record.dir": config.record.dir, "forward.url": config.forward.url}
    return [f"{name} ({_PROGRAMS_OWN})" for name, value in missed.items() if value is not None]


# -- values

_TYPED: Final[Mapping[str, Sequence[str]]] = {
    "backend.beam_size": ("beams",),
    "policy.min_chunk_s": ("min_chunk_size",),
    "task": ("task",),
    "language": ("lan", "language"),
    "translation.target_language": ("target_language",),
}
"""Settings whose value is an option's, as it was given."""


def _read_model(given: Mapping[str, object]) -> Flags:
    """A folder wins over a name, as in WhisperLiveKit, where the name always has a value."""
    for names in (("model_path", "model_dir"), ("model", "model_size")):
        values = {str(given[name]) for name in names if name in given}
        if len(values) > 1:
            raise ConfigurationError(f"{' and '.join(names)} name different models")
        if values:
            return {"backend.models": tuple(values)}
    return {}


def _read_language(given: Mapping[str, object]) -> Flags:
    values = {given[name] for name in ("lan", "language") if name in given}
    if len(values) > 1:
        raise ConfigurationError("lan and language are different")
    return {"language": values.pop()} if values else {}


def _read_target(given: Mapping[str, object]) -> Flags:
    target = given.get("target_language")
    return {"translation.target_language": target} if target else {}


def _read_task(given: Mapping[str, object]) -> Flags:
    if not _switch(given, "direct_english_translation"):
        return {"task": given["task"]} if "task" in given else {}
    if given.get("task", "translate") != "translate":
        raise ConfigurationError("direct_english_translation is a translation, and task is none")
    return {"task": "translate"}


def _read_backend(given: Mapping[str, object]) -> Flags:
    name = str(given.get("backend", "auto")).replace("-", "_")
    if name not in ("auto", "faster_whisper"):
        raise ConfigurationError(
            f"backend={given['backend']!r}: take 'faster-whisper', the only one here, or 'auto'"
        )
    return {} if name == "auto" else {"backend.kind": name}


def _read_policy(given: Mapping[str, object]) -> Flags:
    return {"policy.kind": "local_agreement"} if _policy(given) == "localagreement" else {}


def _policy(given: Mapping[str, object]) -> str | None:
    """The policy's long name; WhisperLiveKit also takes its number."""
    value = given.get("backend_policy")
    name = {"1": "simulstreaming", "2": "localagreement"}.get(str(value), value)
    if name not in (None, "simulstreaming", "localagreement"):
        raise ConfigurationError(
            f"backend_policy={value!r}: take 'localagreement', or leave it out for the policy "
            "that suits the model"
        )
    return None if name is None else str(name)


def _read_detection(given: Mapping[str, object]) -> Flags:
    wishes = [_switch(given, "vac"), _switch(given, "vad")]
    wishes += [not off for name in ("no_vac", "no_vad") if (off := _switch(given, name))]
    known = [wish for wish in wishes if wish is not None]
    return {"vad.enabled": all(known)} if known else {}


def _read_diarization(given: Mapping[str, object]) -> Flags:
    wish = _switch(given, "diarization")
    return {} if wish is None else {"diarization.enabled": wish}


def _read_numbers(given: Mapping[str, object]) -> Flags:
    return {
        setting: given[name]
        for setting in ("backend.beam_size", "policy.min_chunk_s")
        for name in _TYPED[setting]
        if name in given
    }


_READERS: Final[tuple[Callable[[Mapping[str, object]], Flags], ...]] = (
    _read_model,
    _read_language,
    _read_task,
    _read_target,
    _read_backend,
    _read_policy,
    _read_detection,
    _read_diarization,
    _read_numbers,
)


def _read_retention(given: Mapping[str, object]) -> Retention | None:
    if "retention_seconds" not in given:
        return None
    age_s = given["retention_seconds"]
    if isinstance(age_s, bool) or not isinstance(age_s, int | float) or not age_s >= 0:
        raise ConfigurationError(f"retention_seconds={age_s!r}: take seconds, or 0 for no limit")
    return Retention(age_s) if age_s else Retention(math.inf, max_lines=sys.maxsize)


def _switch(given: Mapping[str, object], name: str) -> bool | None:
    value = given.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise ConfigurationError(f"{name}={value!r}: take True or False")


def _flatten(tree: Mapping[str, object], prefix: str = "") -> Flags:
    """Nested settings by their dotted names."""
    flags: Flags = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flags |= _flatten(value, f"{prefix}{name}.")
        else:
            flags[f"{prefix}{name}"] = value
    return flags
