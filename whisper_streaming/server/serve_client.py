"""One connection, from its first message to its close."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from websockets.exceptions import ConnectionClosed

from whisper_streaming.backends.base import BackendInfo
from whisper_streaming.config import ServerConfig
from whisper_streaming.core.audio import seconds
from whisper_streaming.core.session import Session
from whisper_streaming.engine.base import Decoder
from whisper_streaming.errors import (
    InvalidMessage,
    ServerFull,
    SlowConsumer,
    WhisperStreamingError,
)
from whisper_streaming.live.connection import Socket, check_size, send
from whisper_streaming.live.input_end import Ending, Outcome
from whisper_streaming.live.live_session import LiveSession, Timing
from whisper_streaming.live.media_pool import MediaPool
from whisper_streaming.live.observers import ObserveSession, SessionFacts, SessionObserver
from whisper_streaming.live.session_log import SessionLogger
from whisper_streaming.live.session_setup import SessionSetup, set_up_session
from whisper_streaming.live.session_stats import RecentLatencies, SessionStats
from whisper_streaming.live.stages import StageContext, StageSet
from whisper_streaming.live.vad_thread import VadThread
from whisper_streaming.server.client_manager import ClientManager, Place
from whisper_streaming.server.measured import Measured
from whisper_streaming.wire.base import NORMAL_CLOSURE, Configure, ServerCodec, Welcome

SERVICE_RESTART: Final = 1012

_CLOSE_TIMEOUT_S: Final = 5.0
# WhisperLive's client looks for WAIT only when it has opened its sound device, and by an older
# websocket-client it forgets it with the close: then it waits for a place for ever.
_HANG_UP_S: Final = 3.0
_STOP_REASON: Final = "the server stops"
_MAX_REASON_BYTES: Final = 123  # RFC 6455, section 5.5: a control frame holds 125 bytes

logger = logging.getLogger("whisper_streaming.session")


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of a server share."""

    config: ServerConfig
    backend: BackendInfo
    decoder: Decoder
    manager: ClientManager
    speech_vad: VadThread
    media: MediaPool
    measured: Measured | None = None
    observe: Sequence[ObserveSession] = ()
    stages: StageSet = field(default_factory=StageSet)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    latencies: RecentLatencies = field(default_factory=RecentLatencies)


class ServeClient:
    """Serves one connection: options, a place, the session, the farewell.

    Args:
        socket: The accepted WebSocket.
        codec: Its protocol.
        service: What the server has.
        label: Protocol and peer, for the log.
    """

    def __init__(self, socket: Socket, codec: ServerCodec, service: Service, *, label: str) -> None:
        self._socket = socket
        self._codec = codec
        self._service = service
        self._label = label
        self._live: LiveSession[str] | None = None
        self._log = SessionLogger(logger, label)

    async def run(self) -> None:
        """Serve to the end and close the socket. Raises nothing but cancellation."""
        try:
            await self._serve()
        except ConnectionClosed:
            self._log.info("left before the session began")
        except ServerFull as full:
            self._log.warning("refused: %s", full)
            await self._turn_away(full)
        except WhisperStreamingError as error:
            self._log.warning("refused: %s", error)
            await self._fail(error)
        except Exception:  # noqa: BLE001 - the boundary: one session never harms another
            self._log.exception("! the session broke, which is a fault of this program")
            await self._fail(WhisperStreamingError())

    async def stop(self) -> None:
        """End the input because the server stops; what was heard is still sent."""
        if self._live is not None:
            self._live.end_input(Ending.STOPPED)
        else:
            await self.cut()

    async def cut(self) -> None:
        """Close at once because the server stops; the session notices."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._socket.close(SERVICE_RESTART, _STOP_REASON)

    async def _serve(self) -> None:
        wishes = await self._read_options()
        with self._service.manager.admit(wishes.max_connection_time_s) as place:
            setup = set_up_session(wishes, self._service.config, self._service.backend)
            live = self._live = self._create_session(wishes, setup, place)
            self._log.info("opened %s", _describe(wishes, setup, place))
            await self._say(self._codec.welcome(self._welcome(setup)))
            outcome = await live.run(self._open_observers(wishes, setup))
        speech_s = seconds(live.account.decoded) if live.account is not None else 0.0
        self._log.info("ended %s %s", outcome.ending.value, live.stats.summary(speech_s))
        await self._finish(outcome, live.stats.decode_s)

    async def _read_options(self) -> Configure:
        limits = self._service.config.limits
        commands = self._codec.open()
        try:
            async with asyncio.timeout(limits.options_timeout_s):
                while not commands:
                    message = await self._socket.recv()
                    check_size(message, limits.max_message_bytes)
                    commands = self._codec.receive(message)
        except TimeoutError as exc:
            raise InvalidMessage(
                f"no options within {limits.options_timeout_s:g} s: the first message must be "
                "a JSON object with them"
            ) from exc
        match commands:
            case [Configure() as wishes]:
                return wishes
        raise InvalidMessage("the first message must be the options")

    def _create_session(
        self, wishes: Configure, setup: SessionSetup, place: Place
    ) -> LiveSession[str]:
        service, session = self._service, Session(setup.session)
        self._log = SessionLogger(logger, f"{place.number} {self._label}")
        context = StageContext(wishes, setup, service.decoder, self._log, service.stopping)
        live = LiveSession(
            self._socket,
            self._codec,
            session,
            service.speech_vad.open_stream(),
            service.media.open_stream(),
            service.decoder,
            limits=service.config.limits,
            timing=Timing(
                deadline=asyncio.get_running_loop().time() + place.limit_s,
                idle_flush_s=service.config.endpoint.idle_flush_s,
                send_timeout_s=service.config.limits.send_timeout_s,
            ),
            log=self._log,
            stats=SessionStats(service.latencies),
            stages=service.stages.create(context),
            on_heard_out=place.release,
        )
        place.report_with(lambda: self._report(live, setup), lambda: not session.has_open_utterance)
        return live

    def _open_observers(self, wishes: Configure, setup: SessionSetup) -> list[SessionObserver]:
        options = setup.session.options
        facts = SessionFacts(
            id=uuid.uuid4().hex,
            uid=wishes.uid,
            model=setup.model.name,
            task=options.task,
            language=options.language,
            began=datetime.now(UTC),
        )
        return [observe(facts) for observe in self._service.observe]

    def _report(self, live: LiveSession[str], setup: SessionSetup) -> Mapping[str, object]:
        return {
            "client": self._label,
            "model": setup.model.name,
            "audio_s": round(live.stats.audio_s, 3),
            "lag_s": round(live.lag_s, 3),
            "decodes": live.stats.decodes,
            "commits": live.stats.commits,
        }

    def _welcome(self, setup: SessionSetup) -> Welcome:
        welcome = Welcome(
            engine=self._service.backend.engine, model=setup.model.name, notice=setup.notice
        )
        if self._service.measured is None:
            return welcome
        pace = self._service.measured.pace(setup.model.name)
        notices = [notice for notice in (setup.notice, pace.warning) if notice is not None]
        return replace(
            welcome,
            notice=" ".join(notices) or None,
            rtf=pace.rtf,
            largest_live_model=pace.largest_live_model,
        )

    async def _finish(self, outcome: Outcome, decode_s: float) -> None:
        farewell = self._codec.farewell(decode_s)
        match outcome:
            case Outcome(error=WhisperStreamingError() as error):
                await self._fail(error)
            case Outcome(ending=Ending.COMPLETE):
                await self._say_and_close(farewell, NORMAL_CLOSURE)
            case Outcome(ending=Ending.OVERTIME):
                await self._say_and_close([*farewell, *self._codec.overtime()], NORMAL_CLOSURE)
            case Outcome(ending=Ending.STOPPED):
                await self._say_and_close(farewell, SERVICE_RESTART, _STOP_REASON)

    async def _turn_away(self, full: ServerFull) -> None:
        """Say how long to wait, and give the client time to hang up by itself."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(_HANG_UP_S):
                await self._say(self._codec.refuse_full(full.retry_after_s))
                await self._discard()
        await self._close(self._codec.close_code(full), "")

    async def _fail(self, error: WhisperStreamingError) -> None:
        # A client that does not read would only hold its place in memory for longer.
        messages = [] if isinstance(error, SlowConsumer) else self._codec.fail(error)
        await self._say_and_close(messages, self._codec.close_code(error), error.public_reason)

    async def _say_and_close(self, messages: Sequence[str], code: int, reason: str = "") -> None:
        try:
            await self._say(messages)
        except ConnectionClosed:
            return
        except SlowConsumer as error:
            self._log.warning("the last messages did not get through: %s", error)
        await self._close(code, reason)

    async def _say(self, messages: Sequence[str]) -> None:
        for message in messages:
            self._log.debug("> %s", message)
            await send(self._socket, message, self._service.config.limits.send_timeout_s)

    async def _close(self, code: int, reason: str) -> None:
        async with asyncio.TaskGroup() as tasks:
            # A peer in the middle of sending can neither read the close nor answer it.
            reader = tasks.create_task(self._discard())
            try:
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await self._socket.close(code, _shorten(reason))
            except TimeoutError:
                self._log.debug("! the peer did not answer the close")
            reader.cancel()

    async def _discard(self) -> None:
        try:
            while True:
                await self._socket.recv()
                await asyncio.sleep(0)
        except ConnectionClosed:
            return


def _describe(wishes: Configure, setup: SessionSetup, place: Place) -> str:
    options = setup.session.options
    return (
        f"uid={wishes.uid!r} model={setup.model.name} language={options.language or 'detect'} "
        f"task={options.task} vad={'on' if setup.uses_vad else 'off'} limit={place.limit_s:g}s"
    )


def _shorten(reason: str) -> str:
    return reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
