"""One admitted session: audio from a peer into the core, its events back to the peer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic

import numpy as np
from websockets.exceptions import ConnectionClosed

from whisper_streaming.config import LimitSettings
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, seconds
from whisper_streaming.core.events import (
    AudioAccount,
    AudioGap,
    Event,
    GapReason,
    SessionEnded,
    SessionFailed,
)
from whisper_streaming.core.hypothesis import DecodeRequest
from whisper_streaming.core.session import Session
from whisper_streaming.engine.base import Decoder
from whisper_streaming.errors import (
    AudioDecoderError,
    BackendError,
    CapacityError,
    DecodeError,
    DecodeTimeout,
    DetectorError,
    ProtocolError,
    SessionOverrun,
    SessionStateError,
    SlowConsumer,
    WhisperStreamingError,
)
from whisper_streaming.live.connection import Connection, Message, SessionCodec, check_size
from whisper_streaming.live.delivery import Delivery, Loss
from whisper_streaming.live.idle_timer import IdleTimer
from whisper_streaming.live.input_end import Ending, InputEnd, Outcome
from whisper_streaming.live.media_pool import MediaStream, Missing
from whisper_streaming.live.observers import SessionObserver
from whisper_streaming.live.session_log import Log
from whisper_streaming.live.session_stats import SessionStats
from whisper_streaming.live.stages import Stage
from whisper_streaming.live.vad_thread import SharedVadStream
from whisper_streaming.wire.base import Audio, Command, EncodedAudio, EndOfAudio

MESSAGES_PER_TURN: Final = 8
"""Messages of a flood that are taken before the other sessions get a turn; about 1 ms of work."""

SILENCE_SAMPLES: Final = 10 * SAMPLE_RATE
"""A long hole is filled piece by piece."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Limits of one session.

    Attributes:
        deadline: When its time is over, on the event loop's clock; None for no limit.
        idle_flush_s: No message for so long flushes the open utterance.
        send_timeout_s: A peer that takes no message for so long is gone; None for no limit.
    """

    deadline: float | None
    idle_flush_s: float
    send_timeout_s: float | None


class LiveSession(Generic[Message]):
    """Three tasks around a :class:`Session`: read, decode, deliver. One event loop, no locks.

    Whatever ends the input (the client, the clock, an error, a stopping server), what was heard
    is decoded and sent before :meth:`run` returns; only a client's own end of audio is given
    all the time it needs, the others get ``limits.drain_timeout_s``. A client that vanishes ends
    the session at once, unless observers wait for its last words.

    Args:
        stages: What happens to its events on their way.
        on_heard_out: Called when everything is decoded: what still follows is work of the stages.
    """

    def __init__(
        self,
        socket: Connection[Message],
        codec: SessionCodec[Message],
        session: Session,
        vad: SharedVadStream,
        media: MediaStream,
        decoder: Decoder,
        *,
        limits: LimitSettings,
        timing: Timing,
        log: Log,
        stats: SessionStats | None = None,
        stages: Sequence[Stage] = (),
        on_heard_out: Callable[[], None] = lambda: None,
    ) -> None:
        self._socket = socket
        self._codec = codec
        self._session = session
        self._job = _Job(session)
        self._vad = vad
        self._media = media
        self._decoder = decoder
        self._limits = limits
        self._timing = timing
        self._log = log
        self._work = _Work()
        self._idle = IdleTimer(timing.idle_flush_s, self._flush)
        self._end = InputEnd()
        self._on_heard_out = on_heard_out
        self.stats = stats or SessionStats()
        self._delivery = Delivery(
            socket,
            codec,
            stages,
            max_pending=limits.max_pending_messages,
            send_timeout_s=timing.send_timeout_s,
            stats=self.stats,
            lag=lambda: session.lag_s,
            log=log,
        )
        self.account: AudioAccount | None = None

    @property
    def lag_s(self) -> float:
        """Seconds of received audio that wait to be decoded."""
        return self._session.lag_s

    def end_input(self, ending: Ending, error: WhisperStreamingError | None = None) -> None:
        """Take no more audio and finish; the first call decides how the session ended."""
        if ending is not Ending.COMPLETE:
            give_up_at = asyncio.get_running_loop().time() + self._limits.drain_timeout_s
            self._end.limit(ending, give_up_at)
        if self._end.outcome is None:
            self._end.outcome = Outcome(ending, error)
            self._session.receive_eof()
            self._work.arrived.set()

    async def run(self, observers: Sequence[SessionObserver] = ()) -> Outcome:
        """Serve until everything was sent, or cannot be: the client is gone or does not read.

        Args:
            observers: Hear the session, too; each is told when it ends, whatever happens.
        """
        self._delivery.open(observers, self._go_on_without_peer)
        outcome = Outcome(Ending.FAILED)  # of a session that breaks
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._read(), name="read")
                tasks.create_task(self._decode(), name="decode")
                delivery = tasks.create_task(self._delivery.run(), name="deliver")
                delivery.add_done_callback(lambda _: reader.cancel())
            outcome = self._end.outcome or Outcome(Ending.COMPLETE)
        except* (ConnectionClosed, SlowConsumer) as group:
            outcome = _loss_outcome(_first(group))
        finally:
            self._media.close()
            for observer in observers:
                observer.end(outcome.ending)
        return outcome if self._delivery.loss is None else _loss_outcome(self._delivery.loss)

    def _go_on_without_peer(self, loss: Loss) -> None:
        outcome = _loss_outcome(loss)
        self._log.debug("= the client gets nothing any more: %s", outcome.ending.value)
        self.end_input(outcome.ending, outcome.error)

    # -- read

    async def _read(self) -> None:
        try:
            await self._read_to_the_end()
        except ConnectionClosed as error:
            self._delivery.lose(error)

    async def _read_to_the_end(self) -> None:
        try:
            async with asyncio.timeout_at(self._timing.deadline):
                await self._read_audio()
                await self._discard()
        except TimeoutError:
            self._log.debug("= the time of the session is over")
            self.end_input(Ending.OVERTIME)
        except (ProtocolError, CapacityError, DetectorError, AudioDecoderError) as error:
            self._log.warning("input ended: %s", error)
            self.end_input(Ending.FAILED, error)
        # A closed connection must be noticed, and a peer that cannot send cannot close.
        await self._discard()

    async def _read_audio(self) -> None:
        """Take audio until the input ends."""
        taken = 0
        try:
            while self._end.outcome is None:
                message = await self._receive()
                check_size(message, self._limits.max_message_bytes)
                for command in self._codec.receive(message):
                    await self._obey(command)
                taken += 1
                # A flood of tiny messages is always ready to be read: let the others run.
                if taken % MESSAGES_PER_TURN == 0:
                    await asyncio.sleep(0)
                if self._session.lag_s > self._limits.max_backlog_s:
                    await self._wait_for_room()
        finally:
            self._idle.close()

    async def _receive(self) -> str | bytes:
        """The next message; an open utterance is flushed when none comes."""
        if self._session.has_open_utterance:
            self._idle.begin()
        try:
            return await self._socket.recv()
        finally:
            self._idle.end()

    def _flush(self) -> None:
        self._log.debug("= idle input, flushing")
        self._session.receive_idle()
        self._work.arrived.set()

    async def _obey(self, command: Command) -> None:
        match command:
            case Audio(samples=samples):
                await self._take_audio(samples)
            case EncodedAudio(data=data):
                await self._take_pieces(self._media.decode(data))
            case EndOfAudio():
                await self._take_pieces(self._media.finish())
                self.end_input(Ending.COMPLETE)

    async def _take_pieces(self, pieces: AsyncIterator[FloatArray | Missing]) -> None:
        """Take decoded audio; a small message may hold hours, so look for room at each piece."""
        async for piece in pieces:
            if isinstance(piece, Missing):
                await self._take_silence(piece.samples)
            else:
                await self._take_audio(piece)
            await self._wait_for_room()
            if self._end.outcome is not None:
                return

    async def _take_silence(self, samples: int) -> None:
        """Tell that audio is missing, and keep the times of what follows."""
        begin = self.stats.received_samples
        gap = AudioGap(seconds(begin), seconds(begin + samples), GapReason.MISSING)
        if not self.stats.holes:  # a stream that is damaged everywhere must not fill the log
            self._log.warning(
                "%.2f s of audio are missing after %.2f s", seconds(samples), gap.start
            )
        self.stats.miss(samples)
        self._publish([gap])
        for done in range(0, samples, SILENCE_SAMPLES):
            await self._take_audio(np.zeros(min(SILENCE_SAMPLES, samples - done), np.float32))

    async def _take_audio(self, samples: FloatArray) -> None:
        speech_probs = await self._vad.judge(samples)
        if self._end.outcome is not None:  # the server was stopped meanwhile
            return
        self.stats.receive(len(samples), asyncio.get_running_loop().time())
        self._delivery.receive_audio(samples)
        self._session.receive_audio(samples, speech_probs)
        # Here too, because the decode task may wait for its turn just now.
        if events := self._session.events_to_send():
            self._publish(events)
        # In silence there is nothing to decode: spare the change of tasks.
        if self._session.has_open_utterance:
            self._work.arrived.set()

    async def _wait_for_room(self) -> None:
        """Leave the rest in the socket while too much waits, so that TCP slows the client down."""
        while self._session.lag_s > self._limits.max_backlog_s and self._end.outcome is None:
            self._work.done.clear()
            try:
                async with asyncio.timeout(self._limits.max_stall_s):
                    await self._work.done.wait()
            except TimeoutError as exc:
                raise SessionOverrun(self._session.lag_s) from exc

    async def _discard(self) -> None:
        while True:
            await self._socket.recv()
            await asyncio.sleep(0)

    # -- decode

    async def _decode(self) -> None:
        try:
            async with self._end.patience():
                await self._decode_all()
        except TimeoutError:
            self._give_up()
        self._delivery.close()

    async def _decode_all(self) -> None:
        while True:
            # Alone in its turn: a client that does not read ends the input, which is more to say.
            if events := self._session.events_to_send():
                self._publish(events)
            elif self._job.peek() is not None:
                await self._decode_one()
                self._work.done.set()
            elif self._session.is_over:
                return
            else:
                await self._work.arrived.wait()
                self._work.arrived.clear()

    async def _decode_one(self) -> None:
        try:
            hypothesis = await self._decoder.decode(self._job)
        except (DecodeError, DecodeTimeout) as error:
            self._log.warning("a window is lost: %s", error)
            self.stats.fail()
            self._session.receive_failure()
        else:
            if hypothesis is not None:
                self._session.receive_hypothesis(hypothesis)
                self.stats.decode(hypothesis, self._session.lag_s)

    def _give_up(self) -> None:
        """Report what was not decoded in time as lost."""
        self._session.abandon()
        self._publish(self._session.events_to_send())
        self._end.give_up()

    def _publish(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case SessionEnded(account=account):
                    self.account = account
                    self._on_heard_out()
                case SessionFailed(account=account, public_reason=reason):
                    self.account = account
                    self._end.outcome = Outcome(Ending.FAILED, BackendError(reason))
        self._delivery.put(events)


@dataclass(frozen=True, slots=True)
class _Job:
    """The next decode of a session, as a decoder asks for it."""

    session: Session

    @property
    def is_last(self) -> bool:
        return self.session.is_last_due

    def peek(self) -> DecodeRequest | None:
        return self.session.decode_due()

    def take(self) -> DecodeRequest:
        request = self.session.decode_to_run()
        if request is None:
            raise SessionStateError("a decode was taken that the session does not want")
        return request


class _Work:
    """Signals between the tasks."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()  # the session may have something to decode or to say
        self.done = asyncio.Event()  # a decode ended


def _first(group: BaseExceptionGroup[Loss]) -> Loss:
    """The first error in a group of groups."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _loss_outcome(loss: Loss) -> Outcome:
    if isinstance(loss, SlowConsumer):
        return Outcome(Ending.FAILED, loss)
    return Outcome(Ending.GONE)
