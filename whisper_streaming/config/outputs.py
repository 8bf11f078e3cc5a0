"""Where words go besides the client."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from whisper_streaming.config.base import PositiveSeconds, Seconds, Settings


class ForwardSettings(Settings):
    """Completed segments of all sessions, posted to an HTTP service."""

    url: SecretStr | None = Field(
        default=None,
        description="Service that gets them, `http://` or `https://`; a name and a password in it "
        "are sent as basic authentication. None: nothing is forwarded.",
    )
    template: Literal["json", "llama_completion"] | None = Field(
        default=None,
        description="Body of a post: `json`, or `llama_completion`, a prompt for llama.cpp's "
        "`/completion`. None: `llama_completion` for a URL whose path ends in `/completion`, else "
        "`json`.",
    )
    n_predict: int = Field(
        default=128, ge=-1, description="`llama_completion`: tokens to answer with at the most."
    )
    max_messages: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Segments of a session that are collected before a post.",
    )
    interval_s: PositiveSeconds = Field(
        default=5.0, description="A segment that waits for others is posted after so long."
    )
    secret: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="Key of the posts' signatures; best given in the environment. None: no "
        "signatures.",
    )
    timeout_s: PositiveSeconds = Field(
        default=30.0, description="A post without an answer for so long has failed."
    )
    connections: int = Field(
        default=4, ge=1, le=100, description="Posts at the same time; of a session always one."
    )
    max_pending: int = Field(
        default=10_000,
        ge=1,
        description="Segments of all sessions that may wait; when there are more, the oldest are "
        "dropped, counted and logged.",
    )
    retry_min_s: PositiveSeconds = Field(
        default=0.5, description="Wait after a failed post; it doubles with each further failure."
    )
    retry_max_s: PositiveSeconds = Field(
        default=30.0, description="Longest wait after a failed post."
    )
    max_refusals: int = Field(
        default=8,
        ge=1,
        description="A post that the service refuses so often (a redirect, or a status 4xx other "
        "than 408, 425 and 429) is dropped, counted and logged. Other failures are tried again "
        "for ever.",
    )
    flush_timeout_s: Seconds = Field(
        default=5.0, description="Time for what still waits when the server stops."
    )


class RecordSettings(Settings):
    """Files of what each session says, written while it runs."""

    dir: str | None = Field(
        default=None,
        min_length=1,
        description="Folder for the records: JSON lines, SRT and VTT of each session. It is "
        "created if its parent exists. None: nothing is recorded.",
    )
    audio: bool = Field(
        default=False, description="Record all received audio, too, as 16-bit FLAC at 16 kHz."
    )
    keep_days: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Records that were not written for so many days are removed. None: never.",
    )

    @model_validator(mode="after")
    def _check_folder(self) -> "RecordSettings":
        if self.dir is None and (self.audio or self.keep_days is not None):
            raise ValueError("there are no records without a folder for them (--record-dir)")
        return self


class CaptionSettings(Settings):
    """How the captions in records are cut into lines and cues."""

    line_length: int = Field(
        default=42,
        ge=1,
        description="Characters in a line; one of Chinese, Japanese or Korean counts twice.",
    )
    max_lines: int = Field(default=2, ge=1, le=10, description="Lines in a cue.")
    max_cps: float = Field(
        default=20.0,
        gt=0,
        allow_inf_nan=False,
        description="Reading speed in characters per second; cues stay as long as that takes, "
        "where there is time.",
    )
    min_duration_s: Seconds = Field(
        default=1.0, description="A cue stays so long where there is time."
    )
    max_duration_s: PositiveSeconds = Field(
        default=7.0, description="Words that take longer are more than one cue."
    )
