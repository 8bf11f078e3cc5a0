"""The way of one session's events: through its stages to its observers and its peer."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Generic

from websockets.exceptions import ConnectionClosed

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import Event, TranscriptRevised
from whisper_streaming.errors import SlowConsumer
from whisper_streaming.live.connection import Connection, Message, SessionCodec, send
from whisper_streaming.live.observers import SessionObserver
from whisper_streaming.live.outbox import Outbox
from whisper_streaming.live.session_log import Log
from whisper_streaming.live.session_stats import SessionStats
from whisper_streaming.live.stages import Stage

Loss = ConnectionClosed | SlowConsumer
"""Why a peer gets nothing any more: it is gone, or it does not read."""


class Delivery(Generic[Message]):
    """A chain of queues, each with a task that empties it; the last one writes to the peer.

    Args:
        socket: The peer.
        codec: Its protocol.
        stages: In the order of the way.
        max_pending: Events that may wait for the peer.
        send_timeout_s: A peer that takes no message for so long is gone; None for no limit.
        stats: Told of the events that leave.
        lag: Seconds of audio that wait to be decoded.
        log: Of the session.

    Attributes:
        loss: Why the peer was given up while observers went on hearing; None if it was not.
    """

    def __init__(
        self,
        socket: Connection[Message],
        codec: SessionCodec[Message],
        stages: Sequence[Stage] = (),
        *,
        max_pending: int,
        send_timeout_s: float | None,
        stats: SessionStats,
        lag: Callable[[], float],
        log: Log,
    ) -> None:
        self._socket = socket
        self._codec = codec
        self._stages = stages
        # A stage bounds its time itself, and a client is not to blame for what waits there.
        self._queues = [*(Outbox(None) for _ in stages), Outbox(max_pending)]
        self._send_timeout_s = send_timeout_s
        self._stats = stats
        self._lag = lag
        self._log = log
        self._observers: Sequence[SessionObserver] = ()
        self._when_lost: Callable[[Loss], None] | None = None
        self._sending: asyncio.Timeout | None = None  # what ends a send that waits
        self.loss: Loss | None = None

    def open(self, observers: Sequence[SessionObserver], when_lost: Callable[[Loss], None]) -> None:
        """Begin.

        Args:
            observers: Hear what leaves the last stage.
            when_lost: Called once when the peer is lost and observers remain.
        """
        self._observers = observers
        self._when_lost = when_lost

    def receive_audio(self, samples: FloatArray) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        for stage in self._stages:
            stage.receive_audio(samples)
        for observer in self._observers:
            observer.receive_audio(samples)

    def put(self, events: Sequence[Event]) -> None:
        """Send events on their way.

        Raises:
            SlowConsumer: If the peer leaves too many unread, and nobody else hears.
        """
        if self._stages:
            self._queues[0].put(events)
        else:
            self._leave(events)

    def close(self) -> None:
        """Nothing will be put; what is on its way still arrives."""
        self._queues[0].close()

    async def run(self) -> None:
        """Move everything to its end.

        Raises:
            ConnectionClosed: If the peer is gone, and nobody else hears. In a group.
            SlowConsumer: If it does not read, and nobody else hears. In a group.
        """
        async with asyncio.TaskGroup() as tasks:
            for stage, (queue, following) in zip(self._stages, pairwise(self._queues), strict=True):
                tasks.create_task(self._run_stage(stage, queue, following))
            tasks.create_task(self._write())

    def lose(self, loss: Loss) -> None:
        """The peer gets nothing any more. Observers still do; without them, raises ``loss``."""
        if not self._observers:
            raise loss
        if self.loss is None:
            self.loss = loss
            if self._sending is not None:
                self._sending.reschedule(asyncio.get_running_loop().time())
            if self._when_lost is not None:
                self._when_lost(loss)

    async def _run_stage(self, stage: Stage, queue: Outbox, following: Outbox) -> None:
        await stage.run(queue, self._leave if following is self._queues[-1] else following.put)
        following.close()

    def _leave(self, events: Sequence[Event]) -> None:
        self._stats.observe(events, asyncio.get_running_loop().time())
        # Before the client, who may read too slowly to get them.
        for observer in self._observers:
            observer.receive(events)
        if self.loss is None:
            try:
                self._queues[-1].put(events)
            except SlowConsumer as error:
                self.lose(error)

    async def _write(self) -> None:
        while events := await self._queues[-1].take():
            if self.loss is None:
                try:
                    await self._send(events)
                except (ConnectionClosed, SlowConsumer) as error:
                    self.lose(error)

    async def _send(self, events: Sequence[Event]) -> None:
        try:
            async with asyncio.timeout(None) as self._sending:
                for message in await self._encode(events):
                    self._log.debug("> %s", message)
                    await send(self._socket, message, self._send_timeout_s)
        except TimeoutError:
            pass  # the peer was lost meanwhile
        finally:
            self._sending = None

    async def _encode(self, events: Sequence[Event]) -> Sequence[Message]:
        """The messages of ``events``. Nothing else is asked of the codec meanwhile."""
        if not any(isinstance(event, TranscriptRevised) for event in events):
            return self._codec.encode(events, self._lag())
        # The whole session anew: after hours a second of work, that others would wait for.
        return await asyncio.to_thread(self._codec.encode, events, self._lag())
