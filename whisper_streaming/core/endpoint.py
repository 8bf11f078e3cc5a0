"""Endpointing: speech probabilities in, starts and ends of utterances out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from whisper_streaming.core.audio import samples_of


class BoundaryKind(Enum):
    """Which side of an utterance."""

    START = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Boundary:
    """A detected start or end of speech.

    Attributes:
        kind: Start or end.
        sample: Where the speech starts or ends on the sample clock, without any padding.
        detected_sample: How much audio had been heard when this became known.
    """

    kind: BoundaryKind
    sample: int
    detected_sample: int


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """When an utterance starts and ends.

    Attributes:
        frame_samples: Samples per speech probability.
        threshold: Speech starts at this probability.
        release: Speech goes on down to this one (hysteresis).
        min_speech_s: Shorter speech is a click and starts nothing.
        silence_s: Silence that ends the utterance.
        pre_roll_s: Audio before the detected start that belongs to the utterance: detectors
            fire late, and a clipped onset costs the first word.
        post_roll_s: Audio after the detected end that belongs to it, for fading last sounds.
    """

    frame_samples: int = 512
    threshold: float = 0.5
    release: float = 0.35
    min_speech_s: float = 0.064
    silence_s: float = 0.5
    pre_roll_s: float = 0.4
    post_roll_s: float = 0.2


class Endpointer:
    """Turns a stream of speech probabilities into boundaries. Knows no audio and no words."""

    def __init__(self, rules: EndpointRules) -> None:
        self._rules = rules
        self._min_speech = samples_of(rules.min_speech_s)
        self._silence = samples_of(rules.silence_s)
        self._heard = 0  # samples judged so far
        self._run_start: int | None = None  # start of the current run of speech frames
        self._in_speech = False
        self._speech_end = 0  # end of the last speech frame while in speech

    @property
    def in_speech(self) -> bool:
        """Whether an utterance is open."""
        return self._in_speech

    @property
    def heard_sample(self) -> int:
        """Clock position up to which audio has been judged."""
        return self._heard

    @property
    def speech_end(self) -> int | None:
        """While an utterance is open: end of the newest speech frame; else None."""
        return self._speech_end if self._in_speech else None

    @property
    def speech_start(self) -> int | None:
        """While an utterance is open: start of its first speech frame; else None."""
        return self._run_start if self._in_speech else None

    @property
    def candidate_start(self) -> int | None:
        """Start of a run of speech that is still too short to count, or None."""
        return None if self._in_speech else self._run_start

    def receive(self, speech_probs: Iterable[float]) -> Iterator[Boundary]:
        """Judge the next frames and yield the boundaries they bring, in order."""
        for probability in speech_probs:
            start, self._heard = self._heard, self._heard + self._rules.frame_samples
            boundary = (
                self._continue(probability) if self._in_speech else self._wait(start, probability)
            )
            if boundary is not None:
                yield boundary

    def reset(self) -> None:
        """Forget an open utterance: its end was decided elsewhere. The clock runs on."""
        self._in_speech = False
        self._run_start = None

    def _wait(self, frame_start: int, probability: float) -> Boundary | None:
        if probability < self._rules.threshold:
            self._run_start = None
            return None
        if self._run_start is None:
            self._run_start = frame_start
        if self._heard - self._run_start < self._min_speech:
            return None
        self._in_speech = True
        self._speech_end = self._heard
        return Boundary(BoundaryKind.START, self._run_start, self._heard)

    def _continue(self, probability: float) -> Boundary | None:
        if probability >= self._rules.release:
            self._speech_end = self._heard
            return None
        if self._heard - self._speech_end < self._silence:
            return None
        self._in_speech = False
        self._run_start = None
        return Boundary(BoundaryKind.END, self._speech_end, self._heard)
