"""The server: starts the model, then the port; stops in order."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from typing import Final, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import Backend, BackendInfo
from whisper_streaming.config import BackendSettings, ServerConfig
from whisper_streaming.engine.local import open_local_decoder
from whisper_streaming.engine.priority import lower_priority_of_new_threads, native_threads
from whisper_streaming.engine.scheduler import Scheduler, SchedulerConfig
from whisper_streaming.errors import SessionStateError
from whisper_streaming.forward import Forwarder, create_forwarder
from whisper_streaming.live.media_pool import MediaPool
from whisper_streaming.live.session_setup import check_defaults, segment_rules
from whisper_streaming.live.stages import StageSet
from whisper_streaming.live.vad_thread import VadThread
from whisper_streaming.records import Recorder, create_recorder
from whisper_streaming.server.client_manager import ClientManager
from whisper_streaming.server.http import Routes
from whisper_streaming.server.info import public_info
from whisper_streaming.server.listen import bind_sockets, listen_error
from whisper_streaming.server.loop_watch import LoopWatch
from whisper_streaming.server.measured import Measured, measure
from whisper_streaming.server.pages import read_pages
from whisper_streaming.server.process_stats import process_stats
from whisper_streaming.server.serve_client import ServeClient, Service
from whisper_streaming.server.signals import Signals
from whisper_streaming.server.tls import create_tls_context
from whisper_streaming.stage_set import load_stages
from whisper_streaming.vad import create_vad

BackendFactory = Callable[[BackendSettings], Backend]

_MAX_QUEUED_MESSAGES: Final = 8
"""Messages read ahead per connection; when full, TCP pushes back."""
_CUT_OFF_FACTOR: Final = 4
_PING_INTERVAL_S: Final = 20.0
_OPEN_TIMEOUT_S: Final = 5.0
_CLOSE_TIMEOUT_S: Final = 5.0
_MAX_LOGGED_PATH: Final = 80
_DRAIN_GRACE_S: Final = 1.0
"""For the last messages and the closing handshake, after the time for decoding is over."""

logger = logging.getLogger("whisper_streaming.server")


class WhisperStreamingServer:
    """A live transcription server.

    ``WhisperStreamingServer().run(host="localhost", port=9090)`` blocks until SIGTERM or Ctrl-C.
    In an event loop: ``async with WhisperStreamingServer(config).serving() as server: ...``.
    A server object serves once.

    Args:
        config: All settings; the defaults without it.
        backend_factory: Loads the backend.

    Attributes:
        config: The settings.
        client_manager: Who is connected, and who may be.
        measured: How fast the models are here; None before the start, and if not measured.
    """

    def __init__(
        self,
        config: ServerConfig | None = None,
        *,
        backend_factory: BackendFactory = create_backend,
    ) -> None:
        self.config = config or ServerConfig()
        self.client_manager = ClientManager(
            self.config.limits.max_clients, self.config.limits.max_connection_time_s
        )
        self._backend_factory = backend_factory
        self._clients: set[ServeClient] = set()
        self._all_gone = asyncio.Event()
        self._running: _Running | None = None
        self.measured: Measured | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether it speaks TLS: ``wss://`` and ``https://``."""
        return self.config.tls.certfile is not None

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            SessionStateError: If it does not run.
        """
        return self._expect_running().port

    @property
    def backend(self) -> Backend:
        """The loaded backend.

        Raises:
            SessionStateError: If it does not run.
        """
        return self._expect_running().backend

    @property
    def is_healthy(self) -> bool:
        """Whether a new session would be served: it runs, and no decode hangs."""
        running = self._running
        return running is not None and not running.stopping.is_set() and running.scheduler.healthy

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        on_started: Callable[[Self], None] | None = None,
    ) -> None:
        """Serve until SIGTERM or Ctrl-C; then every client gets its last words. Blocking.

        Args:
            host: Instead of the one in the settings.
            port: Instead of the one in the settings.
            on_started: Called once the port is open.

        Raises:
            ListenError: If the address cannot be had.
            CertificateError: If the certificate or its key cannot be used.
            ForwardingError: If segments cannot be forwarded to the URL given.
            RecordError: If nothing can be recorded in the folder given.
            ModelLoadError: If the model cannot be had or does not decode.
            ConfigurationError: If the settings and the model do not fit.
        """
        # Not in a thread: Ctrl-C must be able to end a download or a slow load.
        with self._load(host, port) as loaded:
            asyncio.run(self._run(loaded, on_started))

    async def start(self, host: str | None = None, port: int | None = None) -> None:
        """Load the model, warm it up, and open the port.

        Raises:
            ListenError: If the address cannot be had.
            CertificateError: If the certificate or its key cannot be used.
            ForwardingError: If segments cannot be forwarded to the URL given.
            RecordError: If nothing can be recorded in the folder given.
            ModelLoadError: If the model cannot be had or does not decode.
            ConfigurationError: If the settings and the model do not fit.
        """
        async with AsyncExitStack() as stack:
            loading = self._load(host, port)
            loaded = await asyncio.to_thread(loading.__enter__)
            stack.push(loading)
            await self._open(loaded)
            self._expect_running().stack.push_async_exit(stack.pop_all())

    async def stop(self, *, drain: bool = True) -> None:
        """Stop: no new clients; the last words to every client; then the model. Idempotent.

        Args:
            drain: Give the sessions ``limits.drain_timeout_s`` for their last words. Without it
                they are cut; call again with False to cut a drain short.
        """
        running = self._expect_running()
        running.stop_listening()
        if drain and not running.stopping.is_set():
            running.stopping.set()
            await self._drain()
        if not drain and running.forwarder is not None:
            running.forwarder.give_up()
        running.stopping.set()
        await self._cut()
        await running.close()

    @asynccontextmanager
    async def serving(
        self, host: str | None = None, port: int | None = None
    ) -> AsyncIterator["WhisperStreamingServer"]:
        """Serve while the context is open."""
        await self.start(host, port)
        try:
            yield self
        finally:
            await self.stop()

    # -- connections

    async def _listen(
        self,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        routes: Routes,
        service: Service,
    ) -> Server:
        async def accept(connection: ServerConnection) -> None:
            await self._serve_client(connection, routes, service)

        def respond(connection: ServerConnection, request: Request) -> Response | None:
            return routes.respond(request)

        return await serve(
            accept,
            sock=listener,
            ssl=tls,
            # The library's are a minute and half of one, and are refused without TLS.
            ssl_handshake_timeout=_OPEN_TIMEOUT_S if tls is not None else None,
            ssl_shutdown_timeout=_CLOSE_TIMEOUT_S if tls is not None else None,
            process_request=respond,
            server_header=None,  # versions concern nobody but an attacker
            compression=None,  # of random bits it costs time and saves nothing
            # The limit is ours to enforce, with a message; far beyond it the connection is cut.
            max_size=_CUT_OFF_FACTOR * self.config.limits.max_message_bytes,
            max_queue=_MAX_QUEUED_MESSAGES,
            ping_interval=_PING_INTERVAL_S,
            # While a full backlog keeps us from reading, answers to our pings wait behind it.
            ping_timeout=self.config.limits.max_stall_s,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            logger=logging.getLogger("whisper_streaming.websocket"),
        )

    def _create_routes(self, backend: BackendInfo, stages: StageSet) -> Routes:
        return Routes(
            self.config.segment,
            lambda: self.is_healthy,
            self.client_manager.get_status,
            public_info(self.config, backend, stages.targets(backend)),
            read_pages() if self.config.pages else {},
            self.config.asr,
        )

    async def _serve_client(
        self, connection: ServerConnection, routes: Routes, service: Service
    ) -> None:
        assert connection.request is not None
        target = connection.request.path
        client = ServeClient(
            connection,
            routes.create_codec(target),
            service,
            label=f"{_loggable_path(target)} {_peer(connection)}",
        )
        self._clients.add(client)
        self._all_gone.clear()
        try:
            await client.run()
        finally:
            self._clients.discard(client)
            if not self._clients:
                self._all_gone.set()

    # -- start and stop

    @contextmanager
    def _load(self, host: str | None, port: int | None) -> Iterator["_Loaded"]:
        """Have the address and the backend; blocking."""
        if self._running is not None:
            raise SessionStateError("this server was started before")
        host = self.config.host if host is None else host
        port = self.config.port if port is None else port
        tls = create_tls_context(self.config.tls)
        rules = segment_rules(self.config.segment)
        forwarder = create_forwarder(self.config.forward, rules)
        recorder = create_recorder(self.config.record, self.config.captions, rules)
        with ExitStack() as stack:
            # The address first: a taken port should not cost the time that a model takes. Nobody
            # can connect, because the sockets do not listen before the model is ready.
            sockets = bind_sockets(host, port)
            for listener in sockets:
                stack.callback(listener.close)
            stages = load_stages(self.config)
            stack.callback(stages.close)
            threads = native_threads()
            backend = self._backend_factory(self.config.backend)
            yield _Loaded(host, sockets, tls, backend, threads, forwarder, recorder, stages)

    async def _open(self, loaded: "_Loaded") -> None:
        """Warm up, then listen."""
        async with AsyncExitStack() as stack:
            scheduler = await stack.enter_async_context(
                open_local_decoder(loaded.backend, self._scheduler_config())
            )
            check_defaults(self.config, loaded.backend.info)
            self.measured = await self._measure(loaded.backend, scheduler)
            if loaded.backend.info.is_processor_bound:
                lower_priority_of_new_threads(loaded.earlier_threads)
            service = await asyncio.to_thread(self._create_service, loaded, scheduler)
            stack.callback(service.speech_vad.close)
            stack.push_async_callback(service.media.close)
            if loaded.forwarder is not None:
                loaded.forwarder.open()
                stack.push_async_callback(loaded.forwarder.close)
            if loaded.recorder is not None:
                loaded.recorder.open()
                stack.push_async_callback(asyncio.to_thread, loaded.recorder.close)
            watch = LoopWatch()
            watch.open()
            stack.callback(watch.close)
            self._describe_in_status(service, scheduler, watch)
            self._describe_observers(loaded)
            for name, describe in loaded.stages.sections.items():
                self.client_manager.add_section(name, describe)
            running = _Running(
                loaded.port, loaded.backend, scheduler, loaded.forwarder, service.stopping
            )
            routes = self._create_routes(service.backend, loaded.stages)
            try:
                for listener in loaded.sockets:
                    server = await self._listen(listener, loaded.tls, routes, service)
                    running.servers.append(server)
            except OSError as exc:
                await running.close()
                raise listen_error(exc, loaded.host, loaded.port) from exc
            running.stack = stack.pop_all()
            self._running = running
        logger.info("listening on port %d", running.port)

    async def _measure(self, backend: Backend, scheduler: Scheduler) -> Measured | None:
        """Measure the models and admit clients by the result, unless the settings say not to."""
        limits = self.config.limits
        if limits.calibration_s == 0:
            return None
        calibrations = await asyncio.to_thread(measure, backend, limits.calibration_s)
        measured = Measured(calibrations, backend.info, scheduler.stats)
        logger.info("measured %s", measured.summary)
        self.client_manager.add_section("capacity", measured.describe)
        if limits.measured_admission:
            self.client_manager.limit_by(measured)
        return measured

    async def _run(self, loaded: "_Loaded", on_started: Callable[[Self], None] | None) -> None:
        signals = Signals()
        await self._open(loaded)
        with signals.installed():
            if on_started is not None:
                on_started(self)
            await signals.wait()
            logger.info("stopping; a second signal stops at once")
            async with asyncio.TaskGroup() as tasks:
                stopping = tasks.create_task(self.stop())
                again = tasks.create_task(signals.wait())
                await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
                if not stopping.done():
                    await self.stop(drain=False)
                again.cancel()

    async def _drain(self) -> None:
        for client in list(self._clients):
            await client.stop()
        limit_s = self.config.limits.drain_timeout_s + _DRAIN_GRACE_S
        try:
            async with asyncio.timeout(limit_s):
                await self._wait_until_gone()
        except TimeoutError:
            logger.warning("%d clients did not get their last words", len(self._clients))

    async def _cut(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for client in list(self._clients):
                tasks.create_task(client.cut())

    async def _wait_until_gone(self) -> None:
        while self._clients:
            await self._all_gone.wait()

    def _create_service(self, loaded: "_Loaded", scheduler: Scheduler) -> Service:
        return Service(
            config=self.config,
            backend=loaded.backend.info,
            decoder=scheduler,
            manager=self.client_manager,
            measured=self.measured,
            speech_vad=VadThread(create_vad(self.config.vad.detector)),
            media=MediaPool(self.config.media),
            observe=[each.observe for each in (loaded.forwarder, loaded.recorder) if each],
            stages=loaded.stages,
        )

    def _scheduler_config(self) -> SchedulerConfig:
        return SchedulerConfig(decode_timeout_s=self.config.scheduler.decode_timeout_s)

    def _describe_in_status(self, service: Service, scheduler: Scheduler, watch: LoopWatch) -> None:
        backend, speech_vad = service.backend, service.speech_vad
        self.client_manager.add_section("engine", lambda: backend.engine)
        self.client_manager.add_section("models", lambda: [model.name for model in backend.models])
        self.client_manager.add_section("is_healthy", lambda: self.is_healthy)
        self.client_manager.add_section("workers", lambda: backend.workers)
        self.client_manager.add_section("final_words", lambda: asdict(service.latencies.stats()))
        self.client_manager.add_section("scheduler", lambda: asdict(scheduler.stats()))
        self.client_manager.add_section("vad", lambda: asdict(speech_vad.stats()))
        self.client_manager.add_section("media", lambda: asdict(service.media.stats()))
        self.client_manager.add_section("event_loop", lambda: asdict(watch.stats()))
        self.client_manager.add_section("process", lambda: asdict(process_stats()))

    def _describe_observers(self, loaded: "_Loaded") -> None:
        forwarder, recorder = loaded.forwarder, loaded.recorder
        if forwarder is not None:
            self.client_manager.add_section("forwarding", lambda: asdict(forwarder.stats()))
        if recorder is not None:
            self.client_manager.add_section("records", lambda: asdict(recorder.stats()))

    def _expect_running(self) -> "_Running":
        if self._running is None:
            raise SessionStateError("the server does not run")
        return self._running


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What is there before the port opens."""

    host: str
    sockets: Sequence[socket.socket]
    tls: ssl.SSLContext | None
    backend: Backend
    earlier_threads: frozenset[int]  # before the backend was loaded
    forwarder: Forwarder | None
    recorder: Recorder | None
    stages: StageSet

    @property
    def port(self) -> int:
        port: int = self.sockets[0].getsockname()[1]
        return port


class _Running:
    """What exists while the server runs."""

    def __init__(
        self,
        port: int,
        backend: Backend,
        scheduler: Scheduler,
        forwarder: Forwarder | None,
        stopping: asyncio.Event,
    ) -> None:
        self.port = port
        self.backend = backend
        self.scheduler = scheduler
        self.forwarder = forwarder
        self.stopping = stopping
        self.servers: list[Server] = []
        self.stack = AsyncExitStack()

    def stop_listening(self) -> None:
        for server in self.servers:
            server.close(close_connections=False)

    async def close(self) -> None:
        """Wait for the connections, then close the scheduler and the backend. Idempotent."""
        self.stop_listening()
        for server in self.servers:
            await server.wait_closed()
        await self.stack.aclose()


def _loggable_path(target: str) -> str:
    """The path of ``target`` for log lines, which a peer must neither forge nor flood."""
    path = target.partition("?")[0][:_MAX_LOGGED_PATH]
    return "".join(char if char.isprintable() else "?" for char in path)


def _peer(connection: ServerConnection) -> str:
    address = connection.remote_address
    return f"{address[0]}:{address[1]}" if address else "unknown"
