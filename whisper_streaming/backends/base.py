"""What every backend promises."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, WindowRules
from whisper_streaming.core.policy import EdgeCommit, PolicyKind

DEMO: Final = "demo"
"""Name of the embedded model. Here, because who only wants the name need not load a runtime."""


@dataclass(frozen=True, slots=True)
class StreamingProfile:
    """How a model likes to be streamed. Tuned values belong to a model, not to the code.

    The defaults are the careful ones for stock Whisper weights, which lose accuracy in
    windows of a few seconds; a model folder may bring its own in ``streaming.json``.

    Attributes:
        window_buckets_s: Lengths a window is padded to, ascending. All windows of one batch
            have the same length.
        bucket_pad_s: Padding that a window has at least, unless it is in the longest bucket.
        final_bucket_s: The last window of an utterance is padded to this length at least: its
            words stay, and stock Whisper weights hear best in what they were trained on.
        window: How sessions cut their windows for this model.
        translation_window: The same for sessions that translate: other words stand at other
            places there, and a model needs more of a sentence. None: as ``window``.
        policy: Which commit policy sessions of this model get.
        commit: The numbers of that policy.
        translation_commit: The same for sessions that translate. What a translation begins with
            may depend on what is said last, so two early hypotheses agree on the wrong words.
        prompt_lengths: Token counts that the context before the window is cut to, ascending;
            few, because all windows of one batch must have the same.
        word_time_offset_s: What has to be added to the model's attention times.
    """

    window_buckets_s: tuple[float, ...] = (15.0, 20.0, 30.0)
    bucket_pad_s: float = 1.0
    final_bucket_s: float = 30.0
    window: WindowRules = field(default_factory=WindowRules)
    translation_window: WindowRules | None = None
    policy: PolicyKind = "edge_commit"
    commit: EdgeCommit = field(default_factory=EdgeCommit)
    translation_commit: EdgeCommit = field(
        default_factory=lambda: EdgeCommit(agreed_margin_s=1.0, sure_margin_s=2.0)
    )
    prompt_lengths: tuple[int, ...] = (0, 16, 32, 64)
    word_time_offset_s: float = 0.0

    def bucket_s(self, window_s: float, *, is_last: bool = False) -> float:
        """Length that a window of ``window_s`` seconds is padded to.

        Args:
            window_s: Seconds of audio.
            is_last: The window ends its utterance.
        """
        needed = window_s + self.bucket_pad_s
        if is_last:
            needed = max(needed, self.final_bucket_s)
        fitting = (bucket for bucket in self.window_buckets_s if bucket >= needed)
        return next(fitting, self.window_buckets_s[-1])

    def window_rules(self, task: str) -> WindowRules:
        """How a session with this task cuts its windows."""
        if task == "translate" and self.translation_window is not None:
            return self.translation_window
        return self.window

    def commit_numbers(self, task: str) -> EdgeCommit:
        """The numbers of the commit policy of a session with this task."""
        return self.translation_commit if task == "translate" else self.commit

    @property
    def pads_last_windows(self) -> bool:
        """Whether a window is heard otherwise when it is the last of its utterance."""
        return self.final_bucket_s > self.window_buckets_s[0]


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What decides how long a Whisper model computes.

    Attributes:
        mels: Mel channels of the encoder's input.
        width: Of the hidden states.
        encoder_layers: Of the encoder.
        decoder_layers: Of the decoder.
        vocabulary_size: Tokens that each step of the decoder chooses from.
    """

    mels: int
    width: int
    encoder_layers: int
    decoder_layers: int
    vocabulary_size: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One loaded model.

    Attributes:
        name: As the operator asked for it.
        languages: Codes the model understands; ``("en",)`` for an English-only model.
        is_multilingual: Whether it detects languages and translates.
        profile: How it likes to be streamed.
        notice: What every client of it should be told, e.g. that it is the embedded model.
        shape: What decides how long it computes; None if unknown.
    """

    name: str
    languages: tuple[str, ...]
    is_multilingual: bool
    profile: StreamingProfile
    notice: str | None = None
    shape: ModelShape | None = None


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What a backend is.

    Attributes:
        engine: Its true name, e.g. ``"faster_whisper"``.
        models: The loaded models; the first is the default.
        workers: How many threads may call ``decode_batch`` at the same time.
        max_batch: Windows per call beyond which a batch gains nothing.
        threads_per_worker: Cores that one call of ``decode_batch`` computes on.
        cores: Cores of this machine that decoding shares with the rest of the server.
        is_processor_bound: Decoding does nothing but compute on these cores.
    """

    engine: str
    models: tuple[ModelInfo, ...]
    workers: int
    max_batch: int
    threads_per_worker: int = 1
    cores: int = 1
    is_processor_bound: bool = False

    def model(self, name: str | None) -> ModelInfo:
        """The loaded model called ``name``, or the default one."""
        return next((model for model in self.models if model.name == name), self.models[0])


class Backend(Protocol):
    """Runs models. Blocking; the scheduler is its only caller.

    ``decode_batch`` is called from as many threads at once as ``info.workers`` says. Results
    come in request order, one for each request. No state is kept between calls. The hypothesis
    holds only what follows the request's prefix, with times on the session's audio clock.
    Only ``DecodeError`` is raised, and it says nothing about which request was to blame.
    """

    @property
    def info(self) -> BackendInfo: ...

    def warm_up(self) -> None:
        """Do a real decode on each worker; a ``ModelLoadError`` stops the server."""

    def batch_key(self, request: DecodeRequest) -> Hashable:
        """Requests with equal keys may be decoded in one batch."""

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]: ...

    def close(self) -> None: ...
