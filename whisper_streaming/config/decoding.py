"""Models, where they come from, and how they run."""

from typing import Literal

from pydantic import Field, SecretStr

from whisper_streaming.config.base import Names, PositiveSeconds, Settings


class BackendSettings(Settings):
    """Which model runs, and on what."""

    kind: Literal["faster_whisper", "whisperx", "scripted"] = Field(
        default="faster_whisper",
        description="Transcription backend: `faster_whisper` (CTranslate2); `whisperx`, which adds "
        "word times by forced alignment and needs an environment of its own; or `scripted`, which "
        "hears only what tests and load tests encode in the audio.",
    )
    models: Names = Field(
        default=(),
        description="Models to load: `demo` (embedded), a faster-whisper name (`tiny` ... "
        "`large-v3`, `turbo`, `distil-*`), a hub id, or a CTranslate2 folder. The first serves "
        "clients that ask for none of them. Empty: `small` if it can be had, else `demo`.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where models run; `auto` takes a usable GPU, else the CPU."
    )
    compute_type: str = Field(
        default="default",
        description="CTranslate2 compute type, e.g. `int8`, `float16`; `default` is int8 on a "
        "CPU and float16 on a GPU.",
    )
    threads: int = Field(
        default=0, ge=0, description="CPU threads for decoding, all workers together; 0: all cores."
    )
    workers: int = Field(
        default=0,
        ge=0,
        description="Decodes that run side by side; 0 tries at start which number suits the model.",
    )
    beam_size: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Beam of the last decode of an utterance; partial results are always greedy.",
    )


class HubSettings(Settings):
    """The hub that models are fetched from."""

    token: SecretStr | None = Field(
        default=None,
        description="For models behind a login, of alignment and diarization. None: the `HF_TOKEN` "
        "of the environment, if there is one.",
    )


class SchedulerSettings(Settings):
    """How decodes are run."""

    decode_timeout_s: PositiveSeconds = Field(
        default=60.0, description="A decode that takes longer is given up."
    )
