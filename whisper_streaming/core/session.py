"""The session: audio in, decode requests and events out. A state machine without I/O."""
# Skeleton of the public surface; the body is being written.

from dataclasses import dataclass, field

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.events import Event
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Hypothesis, WindowRules
from whisper_streaming.core.policy import CommitPolicy, LocalAgreement


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Everything a session is told at its start.

    Attributes:
        options: What goes into every decode request.
        window: How windows are cut; from the model's profile.
        policy: When words become final.
        endpoint: When an utterance starts and ends.
        min_chunk_s: New audio that is worth another decode of an open utterance.
        withhold_silence: Whether audio without speech is kept from decoding (``use_vad``).
        prompt: Text that precedes the session, given as context.
        language_min_speech_s: Audio heard before a detected language is kept.
        language_min_probability: Certainty needed to keep a detected language.
    """

    options: DecodeOptions = field(default_factory=DecodeOptions)
    window: WindowRules = field(default_factory=WindowRules)
    policy: CommitPolicy = field(default_factory=LocalAgreement)
    endpoint: EndpointRules = field(default_factory=EndpointRules)
    min_chunk_s: float = 0.3
    withhold_silence: bool = True
    prompt: str = ""
    language_min_speech_s: float = 2.0
    language_min_probability: float = 0.5


class Session:
    """Sans-I/O state machine of one transcription: audio in, decode requests and events out."""

    def __init__(self, config: SessionConfig) -> None: ...

    def receive_audio(self, samples: FloatArray, speech_probs: FloatArray) -> None:
        """Take the next samples and the VAD probabilities of the frames complete by now."""

    def receive_eof(self) -> None:
        """No audio will follow. Idempotent."""

    def receive_idle(self) -> None:
        """No input for so long that the open utterance is ended and flushed. Audio may follow."""

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """The answer to the request in flight."""

    def receive_failure(self) -> None:
        """The request in flight failed for good (after the scheduler's retry)."""

    def decode_to_run(self) -> DecodeRequest | None:
        """The next request; None while one is in flight or nothing is worth decoding."""
        raise NotImplementedError

    def events_to_send(self) -> list[Event]:
        """Drain what happened since the last call."""
        raise NotImplementedError

    @property
    def lag_s(self) -> float:
        """Seconds of received audio that wait to be decoded (silence is not lag)."""
        raise NotImplementedError

    @property
    def has_open_utterance(self) -> bool:
        """Whether speech is being transcribed, so that idle input must flush it."""
        raise NotImplementedError

    @property
    def is_over(self) -> bool:
        """Whether the terminal event was emitted."""
        raise NotImplementedError
