"""A decoder without a scheduler."""

from collections.abc import Callable, Sequence

from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.engine.base import DecodeJob


class DirectDecoder:
    """Answers each job at once, and remembers it."""

    def __init__(self, decode: Callable[[Sequence[DecodeRequest]], list[Hypothesis]]) -> None:
        self._decode = decode
        self.requests: list[DecodeRequest] = []

    async def decode(self, job: DecodeJob) -> Hypothesis | None:
        request = job.take()
        self.requests.append(request)
        return self._decode([request])[0]
