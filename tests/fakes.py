"""Hand-written stand-ins that several test modules share."""

import asyncio
import threading
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from whisper_streaming.backends.base import BackendInfo, ModelInfo, StreamingProfile
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Hypothesis, Word


class FakeClock:
    """A monotonic clock that moves when it is told to."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def advance(self, duration_s: float) -> None:
        self._now += duration_s


class GatedBackend:
    """A backend that stands still inside ``decode_batch`` until the test lets it go.

    The name of a request is its prompt; its hypothesis says that name. Every call is noted in
    ``batches`` when it begins.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        max_batch: int = 8,
        key: Callable[[DecodeRequest], Hashable] = lambda request: "any",
        fails: Callable[[Sequence[str]], Exception | None] = lambda names: None,
    ) -> None:
        self.batches: list[list[str]] = []
        self._key = key
        self._fails = fails
        self._begun = threading.Semaphore(0)
        self._gate = threading.Semaphore(0)
        self._is_open = False
        self.is_closed = False
        model = ModelInfo("gated", ("en",), False, StreamingProfile())
        self._info = BackendInfo("gated", (model,), workers, max_batch)

    @property
    def info(self) -> BackendInfo:
        return self._info

    def warm_up(self) -> None: ...

    def batch_key(self, request: DecodeRequest) -> Hashable:
        return self._key(request)

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        names = [request.prompt for request in requests]
        self.batches.append(names)
        self._begun.release()
        if not self._is_open:
            self._gate.acquire()
        error = self._fails(names)
        if error is not None:
            raise error
        return [hypothesis_of(name) for name in names]

    def close(self) -> None:
        self.is_closed = True

    async def begun(self) -> None:
        """Wait until one more call has begun."""
        acquired = await asyncio.to_thread(self._begun.acquire, timeout=10)
        assert acquired, "no call began"

    def release(self, calls: int = 1) -> None:
        """Let so many calls go, present or future."""
        self._gate.release(calls)

    def open(self) -> None:
        """Let all calls go, now and later."""
        self._is_open = True
        self._gate.release(1000)


def request_named(name: str, *, is_last: bool = False, duration_s: float = 0.1) -> DecodeRequest:
    """A silent window with a name that :class:`GatedBackend` answers with."""
    samples = np.zeros(round(duration_s * 16_000), dtype=np.float32)
    return DecodeRequest(samples, 0, DecodeOptions(language="en"), prompt=name, is_last=is_last)


def hypothesis_of(name: str) -> Hypothesis:
    """What :class:`GatedBackend` answers to :func:`request_named`."""
    return Hypothesis((Word(f" {name}", 0.0, 0.1),), language="en")
