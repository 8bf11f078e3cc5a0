"""One loaded model for all sessions of a program."""

import logging
import threading
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import DEMO, Backend, BackendInfo
from whisper_streaming.config import BackendSettings, ServerConfig
from whisper_streaming.engine.priority import lower_priority_of_new_threads, native_threads
from whisper_streaming.errors import SessionStateError
from whisper_streaming.live.session_setup import SessionSetup, check_defaults
from whisper_streaming.live.stages import StageSet
from whisper_streaming.live_kit.options import EngineOptions, read_options
from whisper_streaming.live_kit.runtime import Runtime, when_gone
from whisper_streaming.stage_set import load_stages
from whisper_streaming.vad import Vad, create_vad
from whisper_streaming.wire.base import Configure

BackendFactory = Callable[[BackendSettings], Backend]

_VOICES: Final = "The embedded model 'demo' understands synthetic voices only, not people."
_HOW_TO_HEAR_PEOPLE: Final = (
    f"the default model is not on this machine and could not be fetched. {_VOICES} For people, "
    "connect to the model hub once, or give model='FOLDER', in CTranslate2's format. For the demo "
    "without this warning, give model='demo'."
)

logger = logging.getLogger("whisper_streaming.backend")


class OptionWithoutEffect(UserWarning):
    """An option of WhisperLiveKit was given that does nothing here."""


class DefaultModelMissing(UserWarning):
    """No model was named, and the default one cannot be had: the embedded demo was loaded."""


class TranscriptionEngine:
    """A loaded, warm model. Make one, and give it to every :class:`AudioProcessor`.

    Making it blocks until the model is loaded, in any thread, with or without an event loop. Its
    sessions run in one event loop at a time. Closing is optional: it gives sessions that still
    run their last words and frees the model's memory; a loop that ends frees the rest.

    Args:
        config: All settings; those of a listening server (``host``, ``max_clients`` ...) are
            without effect.
        backend_factory: Loads the backend.
        options: WhisperLiveKit's names, see docs/API.md. They change ``config``.

    Raises:
        ConfigurationError: If an option is unknown, wrong, or cannot be had, or the model cannot
            do what the settings say.
        ModelLoadError: If the model cannot be had or does not decode.
        TypeError: If ``config`` is no ``ServerConfig``.

    Warns:
        OptionWithoutEffect: If an option does nothing here.
        DefaultModelMissing: If no model is named, and it is the embedded demo for that reason.
    """

    def __init__(
        self,
        config: ServerConfig | None = None,
        *,
        backend_factory: BackendFactory = create_backend,
        **options: object,
    ) -> None:
        if config is not None and not isinstance(config, ServerConfig):
            raise TypeError(
                f"config must be a ServerConfig, not {type(config).__name__}; options are given by "
                "name: TranscriptionEngine(model=..., lan=...)"
            )
        self.options: EngineOptions = read_options(options, config)
        if self.options.notices:
            text = ", ".join(self.options.notices)
            warnings.warn(f"without effect: {text}", OptionWithoutEffect, stacklevel=2)
        self._backend, self._vad, self._stages = _load(self.config, backend_factory)
        self._info = _without_advice(self._backend.info)
        if not self.config.backend.models and self._info is not self._backend.info:
            logger.info("%s", self._backend.info.model(None).notice)  # has the cause
            warnings.warn(_HOW_TO_HEAR_PEOPLE, DefaultModelMissing, stacklevel=2)
        self._runtime: Runtime | None = None
        self._is_closed = False
        self._holds_model = True
        self._lock = threading.Lock()  # two threads may each have an event loop

    @property
    def config(self) -> ServerConfig:
        """The settings."""
        return self.options.config

    @property
    def backend(self) -> BackendInfo:
        """The loaded models."""
        return self._info

    def check(self, wishes: Configure, setup: SessionSetup) -> None:
        """Find out whether a session can have what it wishes; for :class:`AudioProcessor`.

        Raises:
            InvalidMessage: If it cannot; in words.
        """
        self._stages.check(wishes, setup)

    def runtime(self) -> Runtime:
        """What the sessions of the running event loop share; for :class:`AudioProcessor`.

        Raises:
            SessionStateError: If the engine is closed, or another event loop uses it.
        """
        with self._lock:
            if self._is_closed:
                raise SessionStateError("the engine is closed")
            if self._runtime is None or self._runtime.is_over:
                self._runtime = Runtime(self._backend, self._vad, self._stages, self.config)
                when_gone(self, self._runtime.loop, self._runtime.close_soon)
            elif not self._runtime.is_here:
                raise SessionStateError(
                    "another event loop uses the engine; make one for each loop that runs"
                )
            return self._runtime

    async def close(self) -> None:
        """End the audio of all sessions, wait for their last words, and free the model. Idempotent.

        Words that take longer than ``limits.drain_timeout_s`` are lost; so are the states that a
        program does not read.

        Raises:
            SessionStateError: If another event loop uses the engine.
        """
        with self._lock:
            runtime = self._runtime
            if runtime is not None and not runtime.is_over and not runtime.is_here:
                raise SessionStateError("another event loop uses the engine; close it there")
            self._is_closed = True
        if runtime is not None and not runtime.is_over:
            await runtime.close()
        if self._holds_model and (runtime is None or not runtime.hangs):
            self._holds_model = False
            self._stages.close()
            self._backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _without_advice(info: BackendInfo) -> BackendInfo:
    """``info`` with a notice that a program's clients can read: no flags, no causes."""
    if not any(model.name == DEMO and model.notice is not None for model in info.models):
        return info
    models = tuple(
        replace(model, notice=_VOICES) if model.name == DEMO else model for model in info.models
    )
    return replace(info, models=models)


def _load(config: ServerConfig, backend_factory: BackendFactory) -> tuple[Backend, Vad, StageSet]:
    earlier_threads = native_threads()
    with ExitStack() as stack:
        stages = load_stages(config)
        stack.callback(stages.close)
        backend = backend_factory(config.backend)
        stack.callback(backend.close)
        backend.warm_up()
        check_defaults(config, backend.info)
        vad = create_vad(config.vad.detector)
        stack.pop_all()
    if backend.info.is_processor_bound:
        lower_priority_of_new_threads(earlier_threads)
    return backend, vad, stages
