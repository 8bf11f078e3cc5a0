"""From sound to final words: speech, utterances, commits, captions."""

from typing import Literal

from pydantic import Field, model_validator

from whisper_streaming.config.base import PositiveSeconds, Probability, Seconds, Settings


class VadSettings(Settings):
    """When there is speech."""

    enabled: bool = Field(
        default=True,
        description="Default of sessions that do not say `use_vad`. Off: all audio is decoded, "
        "and the detector only says where utterances end and whether a voice was heard.",
    )
    detector: Literal["silero", "energy"] = Field(
        default="silero",
        description="What finds speech: `silero`, a small neural network, or `energy`, which only "
        "knows loud from quiet (and hears the signals of the `scripted` backend).",
    )
    threshold: Probability = Field(
        default=0.5, description="Speech starts at this speech probability."
    )
    release: Probability = Field(
        default=0.35, description="Speech goes on down to this speech probability."
    )
    min_speech_s: Seconds = Field(
        default=0.064, description="Speech shorter than this is taken for a click."
    )
    pre_roll_s: Seconds = Field(
        default=0.4, description="Audio before the detected start that is decoded too."
    )

    @model_validator(mode="after")
    def _check_order(self) -> "VadSettings":
        if self.release > self.threshold:
            raise ValueError("release must not be above threshold")
        return self


class InputSettings(Settings):
    """What clients are told about their audio."""

    notices: bool = Field(
        default=True,
        description="Tell a client, once each, that its audio is muted, clipped, or has nothing "
        "above 4 kHz like a telephone. The last two need the `silero` detector.",
    )
    muted_after_s: PositiveSeconds = Field(
        default=10.0,
        description="Digital silence from the start that is taken for a muted microphone.",
    )


class EndpointSettings(Settings):
    """When an utterance ends."""

    silence_s: PositiveSeconds = Field(
        default=0.5, description="Silence after speech that ends the utterance."
    )
    idle_flush_s: PositiveSeconds = Field(
        default=2.0,
        description="With no audio message for so long, the open utterance is ended and flushed.",
    )


class PolicySettings(Settings):
    """When words become final."""

    kind: Literal["edge_commit", "local_agreement"] | None = Field(
        default=None,
        description="Commit policy: `local_agreement` commits what consecutive hypotheses share; "
        "`edge_commit` needs no second hypothesis for words that the model is sure of and that "
        "are not at the very end of the audio. None: the model's profile decides, here and for "
        "each number of the policy below.",
    )
    agreement: int | None = Field(
        default=None, ge=2, le=5, description="How many consecutive hypotheses must agree."
    )
    agreed_margin_s: Seconds | None = Field(
        default=None,
        description="`edge_commit`: a word that hypotheses agree on ends at least so long before "
        "the end of the audio.",
    )
    sure_margin_s: Seconds | None = Field(
        default=None,
        description="`edge_commit`: a word that nothing confirmed yet, but with the probability "
        "below, ends at least so long before the end of the audio.",
    )
    sure_probability: Probability | None = Field(
        default=None,
        description="`edge_commit`: probability of a word behind `sure_margin_s`; less than 0.15 "
        "is never enough.",
    )
    certain_margin_s: Seconds | None = Field(
        default=None,
        description="`edge_commit`: a word with the probability below that continues what was "
        "heard before may end even so close to the end of the audio. A model that nobody measured "
        "has no such words.",
    )
    certain_probability: Probability | None = Field(
        default=None, description="`edge_commit`: probability of a word behind `certain_margin_s`."
    )
    min_chunk_s: PositiveSeconds = Field(
        default=0.3, description="New audio that is worth another decode of an open utterance."
    )
    language_min_speech_s: Seconds = Field(
        default=2.0,
        description="Speech heard before a detected language is kept, in one utterance or in "
        "several.",
    )
    language_min_probability: Probability = Field(
        default=0.5, description="Certainty needed to keep a detected language."
    )
    language_lock: Literal["session", "utterance"] = Field(
        default="session",
        description="How long a detected language is kept: to the end of the `session`, or of the "
        "`utterance`, for sessions in which people speak several.",
    )


class SegmentSettings(Settings):
    """How committed words become captions."""

    segment_max_s: PositiveSeconds = Field(
        default=6.0, description="A segment is completed so long after it began, at a word end."
    )
    pause_s: PositiveSeconds = Field(
        default=0.8, description="A pause between two words that completes a segment."
    )
