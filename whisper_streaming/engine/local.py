"""A decoder in this process: one backend, its workers."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from whisper_streaming.backends.base import Backend
from whisper_streaming.engine.scheduler import Clock, Scheduler, SchedulerConfig

logger = logging.getLogger("whisper_streaming.scheduler")


@asynccontextmanager
async def open_local_decoder(
    backend: Backend, config: SchedulerConfig | None = None, *, clock: Clock = time.monotonic
) -> AsyncIterator[Scheduler]:
    """Warm ``backend`` up, give a scheduler for it, and close both in the end.

    Raises:
        ModelLoadError: If the first real decode fails.
    """
    scheduler = Scheduler(backend, config, clock=clock)
    try:
        # In a thread, so that a signal can still stop a slow start.
        await asyncio.to_thread(backend.warm_up)
        async with scheduler:
            yield scheduler
    finally:
        if scheduler.stats().running:
            logger.error("the backend is left open: a decode hangs in it")
        else:
            backend.close()
