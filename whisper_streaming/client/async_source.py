"""Reading of sources without blocking the event loop."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, TypeVar

from whisper_streaming.client.source import (
    AudioArray,
    AudioInput,
    AudioSource,
    PushedAudio,
    SourceFormat,
    open_source,
)
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import ClientError

T = TypeVar("T")


class AsyncReader(Protocol):
    """Gives chunks: float32, shape (n,), mono, 16 kHz, in [-1, 1]."""

    @property
    def is_live(self) -> bool:
        """The chunks come at the pace of a clock by themselves."""
        ...

    async def read(self) -> FloatArray | None:
        """The next chunk; None at the end. A cancelled call loses it."""
        ...


class ThreadReader:
    """Reads a blocking source in a thread of its own, as an async context manager.

    The thread closes the source when its current read is over, so that leaving never waits for
    a pipe that stays silent.
    """

    def __init__(self, source: AudioInput, form: SourceFormat) -> None:
        self._input = source
        self._form = form
        self._source: AudioSource | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="whisper-streaming-source")

    @property
    def is_live(self) -> bool:
        return self._opened().is_live

    async def __aenter__(self) -> "ThreadReader":
        """Open the source.

        Raises:
            AudioSourceError: If it cannot be opened.
        """
        try:
            self._source = await self._run(lambda: open_source(self._input, self._form))
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.submit(self._opened().close)
        self._thread.shutdown(wait=False)

    async def read(self) -> FloatArray | None:
        """The next chunk; None at the end.

        Raises:
            AudioSourceError: If the source breaks.
        """
        chunks = iter(self._opened())
        return await self._run(lambda: next(chunks, None))

    def _opened(self) -> AudioSource:
        if self._source is None:
            raise ClientError("the source is not open")
        return self._source

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


class ArrayReader:
    """Reads the arrays that a program gives asynchronously."""

    is_live = False

    def __init__(self, arrays: AsyncIterable[AudioArray], form: SourceFormat) -> None:
        self._arrays = aiter(arrays)
        self._form = form
        self._pushed = PushedAudio(form.sample_rate)
        self._ready: deque[FloatArray] = deque()
        self._is_over = False

    async def read(self) -> FloatArray | None:
        """The next chunk; None at the end.

        Raises:
            AudioSourceError: If an array cannot be audio.
        """
        while not self._ready and not self._is_over:
            try:
                array = await anext(self._arrays)
            except StopAsyncIteration:
                self._is_over = True
                self._add(self._pushed.flush())
            else:
                self._add(self._pushed.receive(array, self._form.sample_rate))
        return self._ready.popleft() if self._ready else None

    def _add(self, samples: FloatArray) -> None:
        size = self._form.chunk_samples
        self._ready.extend(samples[begin : begin + size] for begin in range(0, len(samples), size))
