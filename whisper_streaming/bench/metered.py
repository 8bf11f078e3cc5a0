"""A backend that counts what decodes cost, and pays for each only once."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from whisper_streaming.backends.base import Backend, BackendInfo
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis


@dataclass(frozen=True, slots=True)
class _Decoded:
    """An answer, and the processor time that it took."""

    hypothesis: Hypothesis
    cpu_s: float


class MeteredBackend:
    """Decodes one window at a time, remembers the answers, and counts processor time.

    Sessions under different policies ask for many of the same windows. A remembered answer counts
    for as much time as it took, so that what is counted is what a session alone would have cost.

    Attributes:
        time_shift_s: Added to all word times, to try another ``word_time_offset_s``.
        cpu_s: Processor seconds of the decodes so far, of all threads.
    """

    def __init__(self, backend: Backend) -> None:
        self.time_shift_s = 0.0
        self.cpu_s = 0.0
        self._backend = backend
        self._known: dict[Hashable, _Decoded] = {}

    @property
    def info(self) -> BackendInfo:
        return self._backend.info

    def warm_up(self) -> None:
        self._backend.warm_up()

    def batch_key(self, request: DecodeRequest) -> Hashable:
        return self._backend.batch_key(request)

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        return [_shifted(self._decode(each), each, self.time_shift_s) for each in requests]

    def close(self) -> None:
        self._backend.close()

    def _decode(self, request: DecodeRequest) -> Hypothesis:
        key = (
            blake2b(request.samples.tobytes()).digest(),
            request.start_sample,
            request.options,
            request.prefix,
            request.prompt,
            request.is_last,
            request.max_new_tokens,
        )
        if key not in self._known:
            began = time.process_time()
            hypothesis = self._backend.decode_batch([request])[0]
            self._known[key] = _Decoded(hypothesis, time.process_time() - began)
        decoded = self._known[key]
        self.cpu_s += decoded.cpu_s
        return decoded.hypothesis


def _shifted(hypothesis: Hypothesis, request: DecodeRequest, by_s: float) -> Hypothesis:
    """``hypothesis`` with its words ``by_s`` later, but inside the window."""
    if not by_s:
        return hypothesis
    earliest = request.prefix[-1].end if request.prefix else request.start
    words = []
    for word in hypothesis.words:
        start = min(max(word.start + by_s, earliest), request.end)
        earliest = min(max(word.end + by_s, start), request.end)
        words.append(replace(word, start=start, end=earliest))
    return replace(hypothesis, words=tuple(words))
