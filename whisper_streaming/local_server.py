"""A server in a thread of this process, for programs that need one for a moment."""

import argparse
import asyncio
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final

from whisper_streaming.config import ServerConfig, TlsSettings, load_config, read_assignments
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.server import WhisperStreamingServer

LOCAL_HOST = "127.0.0.1"

# The limit protects a server from its clients; here both are the same person.
_NO_TIME_LIMIT_S: Final = 30 * 24 * 3600.0


def own_config(flags: Mapping[str, object | None], assignments: Iterable[str] = ()) -> ServerConfig:
    """Settings for a server of one person, who has no time limit.

    Args:
        flags: Dotted names to values; None was not given.
        assignments: ``GROUP.FIELD=VALUE``, which win.

    Raises:
        ConfigurationError: Naming each wrong setting and what is wrong with it.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    settings = {
        "limits.max_connection_time_s": _NO_TIME_LIMIT_S,
        **given,
        **read_assignments(assignments),
    }
    return load_config(flags=settings, environ=os.environ)


def refuse_own_settings(arguments: argparse.Namespace, names: Iterable[str]) -> None:
    """Refuse flags that do nothing where the user names a server.

    Args:
        arguments: Parsed; what was not given is None, False or empty.
        names: Of the flags, as attributes.

    Raises:
        ConfigurationError: Naming those that were given.
    """
    given = [f"--{name.replace('_', '-')}" for name in names if vars(arguments)[name]]
    if given:
        raise ConfigurationError(
            f"{', '.join(given)}: only a server of its own can be told that, which is not started "
            "where --host, --port or --url names one"
        )


@contextmanager
def local_server(config: ServerConfig) -> Iterator[int]:
    """Serve on a free port of this machine only, while the context is open.

    Args:
        config: All settings; host and port are not used, nor is a certificate, which would be for
            another name than this machine's own.

    Yields:
        The port. The model is loaded and warm.

    Raises:
        ModelLoadError: If the model cannot be had or does not decode.
        ConfigurationError: If the settings and the model do not fit.
    """
    serving = _Serving(config)
    # A daemon, so that Ctrl-C ends the process while a model is being fetched.
    thread = threading.Thread(target=serving.run, name="local-server", daemon=True)
    thread.start()
    port = serving.port.result()
    try:
        yield port
    finally:
        serving.stop()
        thread.join()


class _Serving:
    """What the two threads share."""

    def __init__(self, config: ServerConfig) -> None:
        self.port: Future[int] = Future()
        self._config = config.model_copy(update={"tls": TlsSettings()})
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as exc:
            if self.port.done():
                raise
            self.port.set_exception(exc)  # raised again by whoever waits for the port

    def stop(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with WhisperStreamingServer(self._config).serving(LOCAL_HOST, 0) as server:
            self.port.set_result(server.port)
            await self._stopped.wait()
