"""What changes or adds to a session's words between the core and the outside.

Each session has its own chain: core, stage after stage, then its observers and its client.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from whisper_streaming.backends.base import BackendInfo
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import Event, SessionNotice
from whisper_streaming.engine.base import Decoder
from whisper_streaming.live.session_log import Log
from whisper_streaming.live.session_setup import SessionSetup
from whisper_streaming.wire.base import Configure

NEWS_S: Final = 10.0
"""Between two signs of life of a second look: clients give up on a server that is silent."""

SECOND_LOOK_GOES_ON: Final = SessionNotice("a second look at the session is under way")

Emit = Callable[[Sequence[Event]], None]
"""Passes events on; returns at once."""


class EventSource(Protocol):
    """Where a stage gets events from."""

    async def take(self) -> list[Event]:
        """Everything that waits, as soon as something does; empty when nothing will follow.

        A partial that a newer one replaced is left out.
        """
        ...


class Stage(Protocol):
    """One step on the way of one session's events. Works outside the event loop if it works long.

    It passes on what it gets, in order and within a time that it bounds itself; a terminal
    event (``SessionEnded``, ``SessionFailed``) last. What fails in it is its own affair: words go
    on without it. It keeps a bounded amount of audio and of events.
    """

    def receive_audio(self, samples: FloatArray) -> None:
        """The next samples, before any event about them. Called in the event loop: be quick.

        Args:
            samples: float32, shape (n,), mono, 16 kHz; the silence in place of what was missing
                in a container comes, too, so that the samples make up the session's clock.
        """
        ...

    async def run(self, source: EventSource, emit: Emit) -> None:
        """Pass events on until ``source`` is drained. One task; may be cancelled."""
        ...


@dataclass(frozen=True, slots=True)
class StageContext:
    """What is known of a session when its stages are made.

    Attributes:
        wishes: What the client asked for.
        setup: What the session gets.
        decoder: Shared by all sessions.
        log: Of the session.
        stopping: Set when the server stops: nothing that takes long should begin or go on.
    """

    wishes: Configure
    setup: SessionSetup
    decoder: Decoder
    log: Log
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


CreateStage = Callable[[StageContext], Stage | None]
"""Makes the stage of a session that begins; None if that session needs none.

Raises ``InvalidMessage`` if what the client asks for cannot be had.
"""


class StageSet:
    """The stages that the settings ask for, with what all sessions share of them.

    Args:
        creators: Make the stages of a session, in the order of the way.
        sections: What the status page tells of each, by name.
        close: Frees what is shared; no session runs any more.
        targets: Languages that sessions of the default model can be translated to.
        check: Raises ``InvalidMessage`` where a session wants what cannot be had, so that it is
            known before the session begins.
    """

    def __init__(
        self,
        creators: Sequence[CreateStage] = (),
        *,
        sections: Mapping[str, Callable[[], object]] | None = None,
        close: Callable[[], None] = lambda: None,
        targets: Callable[[BackendInfo], Sequence[str]] = lambda backend: (),
        check: Callable[[Configure, SessionSetup], None] = lambda wishes, setup: None,
    ) -> None:
        self._creators = creators
        self.sections = dict(sections or {})
        self.close = close
        self.targets = targets
        self.check = check

    def create(self, context: StageContext) -> list[Stage]:
        """The stages of one session.

        Raises:
            InvalidMessage: If the client asks for something that cannot be had.
        """
        stages = (create(context) for create in self._creators)
        return [stage for stage in stages if stage is not None]
