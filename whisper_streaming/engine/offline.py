"""A session driven without a clock, a network or a scheduler.

What comes out is what the policy does with the audio. Decodes take no time, or as long as they
are said to take on the audio clock: then the session meets a decoder that is as slow on every
machine. Tests and benchmarks use it to tell the policy's latency from the machine's.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from whisper_streaming.backends.base import Backend
from whisper_streaming.core.audio import FloatArray, samples_of, seconds
from whisper_streaming.core.events import Event
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.core.session import Session, SessionConfig

DecodeTime = Callable[[DecodeRequest], float]
"""Seconds on the audio clock that a request keeps the decoder busy."""


def instantly(request: DecodeRequest) -> float:
    """Decodes take no time."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Emission:
    """Events, and when they came.

    Attributes:
        audio_s: Seconds on the audio clock: how much audio had been given. Past the end of the
            audio, where a slow decoder still had to answer, the clock goes on.
        events: In order.
        decode_s: Model seconds spent so far.
    """

    audio_s: float
    events: tuple[Event, ...]
    decode_s: float


def run_session(
    backend: Backend,
    config: SessionConfig,
    samples: FloatArray,
    speech_probs: FloatArray,
    *,
    chunk_s: float = 0.1,
    decode_time: DecodeTime = instantly,
) -> Iterator[Emission]:
    """Feed ``samples`` in chunks, decode whenever the session wants to, yield what it says.

    Args:
        backend: Called directly, one window at a time.
        config: The session's.
        samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
        speech_probs: float32, shape (k,): a probability for each whole frame of the samples.
        chunk_s: Audio per message.
        decode_time: How long each decode takes on the audio clock.

    Raises:
        DecodeError: If the backend fails; nothing is retried here.
    """
    run = _Run(backend, Session(config), decode_time)
    frame = config.endpoint.frame_samples
    step = samples_of(chunk_s)
    for start in range(0, len(samples) + step, step):
        chunk = samples[start : start + step]
        now_s = seconds(min(start + step, len(samples)))
        yield from run.advance(now_s)
        if len(chunk):
            first, last = start // frame, (start + len(chunk)) // frame
            run.session.receive_audio(chunk, speech_probs[first:last])
        else:
            run.session.receive_eof()
        run.ask(now_s)
        yield from run.advance(now_s)
        yield from run.emit(now_s)
    yield from run.advance(float("inf"))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the decoder will say, and when."""

    due_s: float
    hypothesis: Hypothesis


class _Run:
    """A session and its decoder, which works on one request at a time."""

    def __init__(self, backend: Backend, session: Session, decode_time: DecodeTime) -> None:
        self.session = session
        self._backend = backend
        self._decode_time = decode_time
        self._answer: _Answer | None = None
        self._decode_s = 0.0

    def ask(self, now_s: float) -> None:
        """Give the decoder what the session wants, unless it is busy."""
        if self._answer is None and (request := self.session.decode_to_run()) is not None:
            hypothesis = self._backend.decode_batch([request])[0]
            self._answer = _Answer(now_s + self._decode_time(request), hypothesis)

    def advance(self, until_s: float) -> Iterator[Emission]:
        """Let the decoder answer up to a time; events of the same moment come together."""
        while (answer := self._answer) is not None and answer.due_s <= until_s:
            self._answer = None
            self._decode_s += answer.hypothesis.decode_s
            self.session.receive_hypothesis(answer.hypothesis)
            self.ask(answer.due_s)
            if self._answer is None or self._answer.due_s > answer.due_s:
                yield from self.emit(answer.due_s)

    def emit(self, now_s: float) -> Iterator[Emission]:
        """What the session says now, if anything."""
        if events := self.session.events_to_send():
            yield Emission(now_s, tuple(events), self._decode_s)
