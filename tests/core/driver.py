"""A session in a world where the words are known: audio, detector and decoder are computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.core.builders import FRAME
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.core.events import Event, SessionEnded, SessionFailed, WordsCommitted
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, Word, Words
from whisper_streaming.core.session import Session


@dataclass(frozen=True)
class Truth:
    """What is said: word ``n`` is called ``n`` and takes ``spans[n]`` seconds of the clock."""

    spans: Sequence[tuple[float, float]]
    duration_s: float

    def speech_probs(self, frames: int, first: int = 0) -> FloatArray:
        """1 for each frame that touches a word."""
        probs = np.zeros(frames, dtype=np.float32)
        for start, end in self.spans:
            low = int(start * SAMPLE_RATE) // FRAME - first
            high = -(-int(end * SAMPLE_RATE) // FRAME) - first
            probs[max(0, low) : max(0, high)] = 1.0
        return probs

    def hear(self, request: DecodeRequest) -> Hypothesis:
        """What an honest decoder says: words cut by the edge of the window are heard wrong."""
        if request.prefix:
            first = int(request.prefix[-1].text) + 1
        else:
            first = sum(1 for start, _ in self.spans if start < request.start - 1e-6)
        heard = []
        for number in range(first, len(self.spans)):
            start, end = self.spans[number]
            if start >= request.end:
                break
            text = f" {number}" if end <= request.end + 1e-6 else f" {number}cut{request.end:.2f}"
            heard.append(Word(text, start, min(end, request.end)))
        return Hypothesis(tuple(heard), request.options.language or "en")


@dataclass
class Driver:
    """Feeds a session, answers its requests late, and keeps everything it says."""

    session: Session
    truth: Truth
    events: list[Event] = field(default_factory=list)
    requests: list[DecodeRequest] = field(default_factory=list)
    pending: DecodeRequest | None = None
    position: int = 0
    judged: int = 0

    def feed(self, count: int) -> None:
        """Give the next ``count`` samples, or what is left of them."""
        end = min(self.position + count, samples_of(self.truth.duration_s))
        frames = end // FRAME - self.judged
        probs = self.truth.speech_probs(frames, self.judged)
        self.session.receive_audio(np.full(end - self.position, 0.1, dtype=np.float32), probs)
        self.position, self.judged = end, self.judged + frames
        self.collect()

    def collect(self) -> None:
        self.events += self.session.events_to_send()
        if self.pending is None and (request := self.session.decode_to_run()) is not None:
            self.pending = request
            self.requests.append(request)
        assert self.pending is None or self.session.decode_to_run() is None

    def answer(self, hear: Callable[[DecodeRequest], Hypothesis] | None = None) -> None:
        """Answer the request in flight, if there is one."""
        if self.pending is not None:
            request, self.pending = self.pending, None
            self.session.receive_hypothesis((hear or self.truth.hear)(request))
            self.collect()

    def fail(self) -> None:
        """Let the request in flight fail."""
        if self.pending is not None:
            self.pending = None
            self.session.receive_failure()
            self.collect()

    def finish(self) -> None:
        """End the audio and answer whatever is asked until the session is over."""
        self.session.receive_eof()
        self.collect()
        for _ in range(10_000):
            if self.session.is_over:
                return
            assert self.pending is not None, "the session neither ends nor asks"
            self.answer()
        raise AssertionError("the session does not end")

    @property
    def at_end(self) -> bool:
        return self.position == samples_of(self.truth.duration_s)

    @property
    def committed(self) -> Words:
        return tuple(
            word
            for event in self.events
            if isinstance(event, WordsCommitted)
            for word in event.words
        )

    @property
    def texts(self) -> list[str]:
        return [word.text.strip() for word in self.committed]

    @property
    def terminal(self) -> SessionEnded | SessionFailed:
        (terminal,) = [e for e in self.events if isinstance(e, SessionEnded | SessionFailed)]
        return terminal
