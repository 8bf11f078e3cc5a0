"""What all sessions of one event loop share."""

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from typing import Final, Protocol

from whisper_streaming.backends.base import Backend
from whisper_streaming.config import ServerConfig
from whisper_streaming.engine.base import Decoder
from whisper_streaming.engine.scheduler import Scheduler, SchedulerConfig
from whisper_streaming.live.media_pool import MediaPool
from whisper_streaming.live.stages import StageSet
from whisper_streaming.live.vad_thread import VadThread
from whisper_streaming.vad import Vad

_DRAIN_GRACE_S: Final = 1.0
"""For the last states, after the time for decoding is over."""

logger = logging.getLogger("whisper_streaming.session")


class Runnable(Protocol):
    """A session."""

    async def run(self) -> None: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class Runtime:
    """Scheduler, detector thread and decoder processes. Make it inside the event loop.

    A task keeps them until :meth:`close`, or until the loop ends and cancels all tasks: most
    programs end without closing anything, and no process may be left behind then.

    Attributes:
        loop: The event loop.
        vad: Finds speech for all sessions.
        media: Decodes containers for all sessions.
        stages: What happens to the words of all sessions.
        closing: Set when it closes.
    """

    def __init__(self, backend: Backend, vad: Vad, stages: StageSet, config: ServerConfig) -> None:
        self.loop = asyncio.get_running_loop()
        self._scheduler = Scheduler(
            backend, SchedulerConfig(decode_timeout_s=config.scheduler.decode_timeout_s)
        )
        self.vad = VadThread(vad)
        self.media = MediaPool(config.media)
        self.stages = stages
        self._drain_timeout_s = config.limits.drain_timeout_s + _DRAIN_GRACE_S
        self._sessions: dict[asyncio.Task[None], Runnable] = {}
        self._numbers = count(1)
        self.closing = asyncio.Event()
        # Begins before any session's task, so that the scheduler is open when those begin.
        self._keeper = self.loop.create_task(self._keep(), name="engine")

    @property
    def is_over(self) -> bool:
        """Whether no session can run any more."""
        return self._keeper.done() or self.loop.is_closed()

    @property
    def is_here(self) -> bool:
        """Whether its event loop is the one that runs here."""
        return self.loop is asyncio.get_running_loop()

    @property
    def decoder(self) -> Decoder:
        """Decodes for all sessions."""
        return self._scheduler

    @property
    def hangs(self) -> bool:
        """Whether the backend has not answered; it must not be closed then."""
        return self._scheduler.stats().running > 0

    def number_session(self) -> int:
        """A number for the log."""
        return next(self._numbers)

    def start(self, session: Runnable) -> asyncio.Task[None]:
        """Run a session; its task may be cancelled."""
        task = self.loop.create_task(session.run(), name="session")
        self._sessions[task] = session
        task.add_done_callback(self._forget)
        return task

    def close_soon(self) -> None:
        """Begin what :meth:`close` does."""
        self.closing.set()

    async def close(self) -> None:
        """End the audio of all sessions, give them time for their last words, and free all."""
        self.closing.set()
        await asyncio.wait({self._keeper})

    def _forget(self, task: asyncio.Task[None]) -> None:
        # Not at the end of run(): a task that is cancelled before its first step never gets there.
        self._sessions.pop(task).close()

    async def _keep(self) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._scheduler)
            stack.callback(self.vad.close)
            stack.push_async_callback(self.media.close)
            stack.push_async_callback(self._cut)
            await self.closing.wait()
            await self._drain()

    async def _drain(self) -> None:
        for session in list(self._sessions.values()):
            session.stop()
        if self._sessions:
            _, late = await asyncio.wait(self._sessions, timeout=self._drain_timeout_s)
            if late:
                logger.warning("%d sessions did not get their last words", len(late))

    async def _cut(self) -> None:
        for task in list(self._sessions):
            task.cancel()
        if self._sessions:
            await asyncio.wait(self._sessions)


def when_gone(owner: object, loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Call ``act`` in the loop when ``owner`` is garbage, which may be found in any thread."""

    def call() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and all its tasks with it
            loop.call_soon_threadsafe(act)

    weakref.finalize(owner, call).atexit = False
