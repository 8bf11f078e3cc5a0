"""From a client's wishes and the server's settings to a session."""

from dataclasses import dataclass, fields, replace
from typing import Final

from whisper_streaming.backends.base import BackendInfo, ModelInfo, StreamingProfile
from whisper_streaming.config import AsrSettings, PolicySettings, SegmentSettings, ServerConfig
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.hypothesis import DecodeOptions
from whisper_streaming.core.language import LanguageRules
from whisper_streaming.core.policy import CommitPolicy, EdgeCommit, create_policy
from whisper_streaming.core.quality import QualityRules
from whisper_streaming.core.session import SessionConfig
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import ConfigurationError, InvalidMessage
from whisper_streaming.wire.base import Configure, VadWishes
from whisper_streaming.wire.whisper_live_kit_lines import Retention

_LISTED_LANGUAGES: Final = 12
_COMMIT_NUMBERS: Final = {field.name for field in fields(EdgeCommit)}


@dataclass(frozen=True, slots=True)
class SessionSetup:
    """What one session gets.

    Attributes:
        session: For the core.
        model: The model that serves it.
        uses_vad: Audio without speech is withheld from decoding; else everything is decoded, and
            the detector only says where to cut and whether a voice was heard.
        notice: What the client should be told, or None.
    """

    session: SessionConfig
    model: ModelInfo
    uses_vad: bool
    notice: str | None


def set_up_session(wishes: Configure, config: ServerConfig, backend: BackendInfo) -> SessionSetup:
    """Merge a client's wishes with the server's settings.

    Raises:
        InvalidMessage: If no loaded model can do what the client asks for.
    """
    model = backend.model(wishes.model)
    uses_vad = config.vad.enabled if wishes.use_vad is None else wishes.use_vad
    languages = _choose_languages(wishes, config, model)
    options = DecodeOptions(
        language=languages[0] if len(languages) == 1 else None,
        task=_choose_task(wishes, config, model),
        model=model.name,
        hotwords=wishes.hotwords,
        prompt=wishes.prompt,
        candidates=languages if len(languages) > 1 else (),
    )
    session = SessionConfig(
        options=options,
        window=model.profile.window_rules(options.task),
        policy=_choose_policy(config.policy, model.profile, options.task),
        endpoint=_endpoint_rules(wishes.vad, config),
        min_chunk_s=config.policy.min_chunk_s,
        decodes_last_anew=config.backend.beam_size > 1 or model.profile.pads_last_windows,
        withhold_silence=uses_vad,
        language=LanguageRules(
            min_speech_s=config.policy.language_min_speech_s,
            min_probability=config.policy.language_min_probability,
            is_per_utterance=config.policy.language_lock == "utterance",
        ),
        quality=_quality_rules(config),
        knows_voices=config.vad.detector == "silero",
    )
    return SessionSetup(session, model, uses_vad, _notice(wishes, config, model))


def check_defaults(config: ServerConfig, backend: BackendInfo) -> None:
    """Check that the default model can do what sessions without wishes get.

    Raises:
        ConfigurationError: If it does not know the language, or does not translate.
    """
    model = backend.model(None)
    for language in _split_languages(config.language):
        if language not in model.languages:
            raise ConfigurationError(
                f"the model {model.name!r} does not know the language {language!r}; "
                f"it knows {_list_languages(model)}"
            )
    if config.task == "translate" and not model.is_multilingual:
        raise ConfigurationError(
            f"the model {model.name!r} is English-only and does not translate; take another model"
        )


def segment_rules(settings: SegmentSettings) -> SegmentRules:
    """When segments are completed, for all who fold a session's events."""
    return SegmentRules(max_s=settings.segment_max_s, pause_s=settings.pause_s)


def retention(settings: AsrSettings, *, for_diffs: bool) -> Retention:
    """Which lines the states of `/asr` and of the library list."""
    max_age_s = settings.diff_retention_s if for_diffs else settings.retention_s
    return Retention(max_age_s, settings.max_lines)


def _choose_languages(wishes: Configure, config: ServerConfig, model: ModelInfo) -> tuple[str, ...]:
    """The session's language; several, or none for all that there are, are to be detected."""
    if wishes.detect_language:
        return ()
    if wishes.language is None:
        # Only the first model is checked against the default; the others detect.
        named = _split_languages(config.language)
        return tuple(language for language in named if language in model.languages)
    named = _split_languages(wishes.language) or [wishes.language]
    return tuple(dict.fromkeys(_known_language(language, model) for language in named))


def _split_languages(languages: str | None) -> list[str]:
    """``["en", "tr"]`` of ``"en, tr"``."""
    parts = (part.strip() for part in (languages or "").split(","))
    return list(dict.fromkeys(filter(None, parts)))


def _known_language(language: str, model: ModelInfo) -> str:
    for code in (language.lower(), _without_region(language)):
        if code in model.languages:
            return code
    raise InvalidMessage(
        f"the model {model.name!r} does not know the language {language[:40]!r}; "
        f"it knows {_list_languages(model)}; 'auto' lets it detect the language"
    )


def _without_region(language: str) -> str:
    """``"en"`` of ``"en-US"``, which browsers say."""
    return language.lower().replace("_", "-").partition("-")[0]


def _choose_task(wishes: Configure, config: ServerConfig, model: ModelInfo) -> str:
    task = wishes.task or config.task
    if task == "translate" and not model.is_multilingual:
        raise InvalidMessage(
            f"the model {model.name!r} is English-only and does not translate; "
            "ask for the task 'transcribe'"
        )
    return task


def _choose_policy(settings: PolicySettings, profile: StreamingProfile, task: str) -> CommitPolicy:
    """The policy of the model's profile, with what the operator set in its place."""
    given = {
        name: value
        for name, value in settings.model_dump(include=_COMMIT_NUMBERS).items()
        if value is not None
    }
    numbers = replace(profile.commit_numbers(task), **given)
    return create_policy(settings.kind or profile.policy, numbers)


def _endpoint_rules(wishes: VadWishes, config: ServerConfig) -> EndpointRules:
    threshold = _first(wishes.threshold, config.vad.threshold)
    hysteresis = config.vad.threshold - config.vad.release
    return EndpointRules(
        threshold=threshold,
        # A client that only moves the threshold keeps the distance to the release.
        release=min(threshold, _first(wishes.release, max(0.0, threshold - hysteresis))),
        min_speech_s=_first(wishes.min_speech_s, config.vad.min_speech_s),
        silence_s=_first(wishes.silence_s, config.endpoint.silence_s),
        pre_roll_s=_first(wishes.pre_roll_s, config.vad.pre_roll_s),
    )


def _quality_rules(config: ServerConfig) -> QualityRules | None:
    if not config.input.notices:
        return None
    return QualityRules(
        muted_start_s=config.input.muted_after_s, judges_speech=config.vad.detector == "silero"
    )


def _first(wish: float | None, setting: float) -> float:
    return setting if wish is None else wish


def _notice(wishes: Configure, config: ServerConfig, model: ModelInfo) -> str | None:
    notices = []
    if wishes.model is not None and wishes.model != model.name:
        notices.append(
            f"The model {wishes.model[:80]!r} is not loaded here; {model.name!r} serves you."
        )
    if wishes.wants_speakers and not config.diarization.enabled:
        notices.append("This server does not tell who speaks.")
    if model.notice is not None:
        notices.append(model.notice)
    return " ".join(notices) or None


def _list_languages(model: ModelInfo) -> str:
    listed = ", ".join(model.languages[:_LISTED_LANGUAGES])
    more = len(model.languages) - _LISTED_LANGUAGES
    return f"{listed} and {more} more" if more > 0 else listed
