"""One loaded model for all sessions of a program."""

import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Self

from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import Backend, BackendInfo
from whisper_streaming.config import BackendSettings, ServerConfig
from whisper_streaming.engine.priority import lower_priority_of_new_threads, native_threads
from whisper_streaming.errors import SessionStateError
from whisper_streaming.live.session_setup import check_defaults
from whisper_streaming.live_kit.options import EngineOptions, read_options
from whisper_streaming.live_kit.runtime import Runtime, when_gone
from whisper_streaming.vad import Vad, create_vad

BackendFactory = Callable[[BackendSettings], Backend]


class OptionWithoutEffect(UserWarning):
    """An option of WhisperLiveKit was given that does nothing here."""


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
    """

    def __init__(
        self,
        config: ServerConfig | None = None,
        *,
        backend_factory: BackendFactory = create_backend,
        **options: object,
    ) -> None:
        self.options: EngineOptions = read_options(options, config)
        if self.options.notices:
            text = ", ".join(self.options.notices)
            warnings.warn(f"without effect: {text}", OptionWithoutEffect, stacklevel=2)
        self._backend, self._vad = _load(self.config, backend_factory)
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
        return self._backend.info

    def runtime(self) -> Runtime:
        """What the sessions of the running event loop share; for :class:`AudioProcessor`.

        Raises:
            SessionStateError: If the engine is closed, or another event loop uses it.
        """
        with self._lock:
            if self._is_closed:
                raise SessionStateError("the engine is closed")
            if self._runtime is None or self._runtime.is_over:
                self._runtime = Runtime(self._backend, self._vad, self.config)
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


def _load(config: ServerConfig, backend_factory: BackendFactory) -> tuple[Backend, Vad]:
    earlier_threads = native_threads()
    backend = backend_factory(config.backend)
    try:
        backend.warm_up()
        check_defaults(config, backend.info)
        vad = create_vad(config.vad.detector)
    except BaseException:
        backend.close()
        raise
    if backend.info.is_processor_bound:
        lower_priority_of_new_threads(earlier_threads)
    return backend, vad
