"""What a server or a program can translate, and the stage of each session that asks for it."""

import importlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from whisper_streaming.backends.base import BackendInfo
from whisper_streaming.config import TranslationSettings
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.engine.priority import lower_priority_of_new_threads, native_threads
from whisper_streaming.errors import ConfigurationError, InvalidMessage
from whisper_streaming.live.session_setup import SessionSetup
from whisper_streaming.live.stages import StageContext
from whisper_streaming.operator_code import look_in_this_folder
from whisper_streaming.translation.base import Translator
from whisper_streaming.translation.cuts import REACH_S
from whisper_streaming.translation.languages import normal_code
from whisper_streaming.translation.passages import LONGEST_S, PassageFeed
from whisper_streaming.translation.session import SessionTranslator
from whisper_streaming.translation.speech import SpeechTranslator
from whisper_streaming.translation.stage import TranslationStage
from whisper_streaming.translation.text_pool import TextPool
from whisper_streaming.wire.base import Configure

ENGLISH: Final = "en"

_PYTHON: Final = "python:"
_HANG_FACTOR: Final = 2.0  # of the time after which a single text is given up
_MAX_SHOWN: Final = 40  # characters of a client's wrong value in an error


class Translation:
    """All that sessions share. Blocking to make: it loads models.

    Args:
        settings: Which translators, and for whom.
        rules: When a segment is completed.
        translators: In place of those of the settings.
        is_recorded: Sessions are recorded, so that a translation is kept where no client shows it.

    Raises:
        ConfigurationError: If a translator cannot be had, or the default target by none.
        ModelLoadError: If a model cannot be loaded.
    """

    def __init__(
        self,
        settings: TranslationSettings,
        rules: SegmentRules,
        translators: Sequence[Translator] | None = None,
        *,
        is_recorded: bool = False,
    ) -> None:
        self._settings = settings
        self._is_recorded = is_recorded
        self._rules = rules
        if translators is None:
            translators = _load(settings)
        self._pool = TextPool(translators, hang_s=_HANG_FACTOR * settings.timeout_s)
        default = settings.target_language
        if default is not None and not self._may_write(normal_code(default)):
            self.close()
            raise ConfigurationError(
                f"nothing here translates to {default!r} (translation.target_language): give a "
                "translation model (--translator-model, translation.models)"
            )

    def targets(self, backend: BackendInfo) -> tuple[str, ...]:
        """Languages that sessions of the default model can ask for, in alphabetical order."""
        hears = self._settings.by_ear and backend.model(None).is_multilingual
        return tuple(sorted({*self._pool.targets, *((ENGLISH,) if hears else ())}))

    def describe(self) -> dict[str, object]:
        """For the status page."""
        return asdict(self._pool.stats())

    def create_stage(self, context: StageContext) -> TranslationStage | None:
        """The stage of a session that gets a translation; None for the others.

        Raises:
            InvalidMessage: If the client asks for one that cannot be had; in words for its author.
        """
        job = self._job(context.wishes, context.setup)
        return None if job is None else self._create_stage(context, job)

    def check(self, wishes: Configure, setup: SessionSetup) -> None:
        """Raise what :meth:`create_stage` would."""
        self._job(wishes, setup)

    def _job(self, wishes: Configure, setup: SessionSetup) -> "_Job | None":
        wished = wishes.target_language
        is_kept = wishes.takes_translation or self._is_recorded
        default = self._settings.target_language if is_kept else None
        target = normal_code(wished or default or "")
        if not target:
            return None
        job = _Job.of(setup, target, by_ear=self._settings.by_ear)
        is_possible = job.by_ear or self._knows(job.written, target)
        if wished is None and (job.written == target or not is_possible):
            return None  # the operator's default is for those whom it fits
        if job.written != target and not is_possible:
            raise InvalidMessage(self._refusal(setup, job))
        return job

    def _create_stage(self, context: StageContext, job: "_Job") -> TranslationStage:
        setup = context.setup
        options = setup.session.options
        speech = SpeechTranslator(context.decoder, options) if job.by_ear else None
        window_s = setup.model.profile.window_rules("translate").max_window_s
        longest_s = min(LONGEST_S, window_s - 2 * REACH_S)
        return TranslationStage(
            SessionTranslator(self._pool, speech, job.target),
            PassageFeed(self._rules, job.written, longest_s=longest_s, listens=not job.is_english),
            timeout_s=self._settings.timeout_s,
            log=context.log,
            was_asked=context.wishes.target_language is not None,
            is_shown=context.wishes.target_language is not None or context.wishes.takes_translation,
        )

    def close(self) -> None:
        """Free the translators."""
        self._pool.close()

    def _may_write(self, target: str) -> bool:
        return target in self._pool.targets or (target == ENGLISH and self._settings.by_ear)

    def _knows(self, source: str | None, target: str) -> bool:
        """Whether a text model may do it; a language that is detected is seen later."""
        if source is None:
            return target in self._pool.targets
        return self._pool.supports(source, target)

    def _refusal(self, setup: SessionSetup, job: "_Job") -> str:
        possible = {each for each in self._pool.targets if self._knows(job.written, each)}
        if job.written != ENGLISH and _Job.of(setup, ENGLISH, by_ear=self._settings.by_ear).by_ear:
            possible.add(ENGLISH)
        origin = "" if job.written is None else f"from {job.written!r} "
        choice = f", or take {' or '.join(sorted(possible))}" if possible else ""
        return (
            f"target_language {job.target[:_MAX_SHOWN]!r}: this server does not translate "
            f"{origin}to it; leave it out{choice}"
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """What one session wants translated.

    Attributes:
        written: Language of its words; None while it is to be detected.
        target: Wanted language.
        is_english: Its words are English whatever is spoken, because that is its task.
        by_ear: The loaded model can hear it.
    """

    written: str | None
    target: str
    is_english: bool
    by_ear: bool

    @classmethod
    def of(cls, setup: SessionSetup, target: str, *, by_ear: bool) -> "_Job":
        model, options = setup.model, setup.session.options
        is_english = options.task == "translate" or not model.is_multilingual
        return cls(
            written=ENGLISH if is_english else options.language,
            target=target,
            is_english=is_english,
            by_ear=by_ear and target == ENGLISH and not is_english,
        )


def _load(settings: TranslationSettings) -> list[Translator]:
    translators: list[Translator] = []
    threads = native_threads()
    try:
        for name in settings.models:
            translators.append(_load_one(name, settings))
    except BaseException:
        for translator in translators:
            translator.close()
        raise
    # They compute on the cores that the event loop needs.
    lower_priority_of_new_threads(threads)
    return translators


def _load_one(name: str, settings: TranslationSettings) -> Translator:
    if not name.startswith(_PYTHON):
        from whisper_streaming.translation.ctranslate2_model import CTranslate2Translator

        return CTranslate2Translator(name, settings)
    module, _, function = name.removeprefix(_PYTHON).partition(":")
    look_in_this_folder()
    try:
        translator: Translator = getattr(importlib.import_module(module), function)()
        _ = translator.name, translator.targets, translator.supports, translator.translate
    except (Exception, SystemExit) as exc:  # whatever a program of the operator's does
        raise ConfigurationError(
            f"the translator {name} cannot be made: {type(exc).__name__}: {exc}; "
            "write python:MODULE:FUNCTION"
        ) from exc
    return translator
