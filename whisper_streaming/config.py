"""All settings of the server, and where they come from.

Precedence, lowest first: defaults, TOML file, environment, command-line flags. Unknown keys
are errors everywhere, because a misspelt setting that does nothing is worse than a refusal.
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from whisper_streaming.errors import ConfigurationError, describe_problems

ENV_PREFIX: Final = "WHISPER_STREAMING__"

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """Base of every group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class BackendSettings(Settings):
    """Which model runs, and on what."""

    kind: Literal["faster_whisper", "whisperx", "scripted"] = Field(
        default="faster_whisper",
        description="Transcription backend: `faster_whisper` (CTranslate2); `whisperx`, which adds "
        "word times by forced alignment and needs an environment of its own; or `scripted`, which "
        "hears only what tests and load tests encode in the audio.",
    )
    models: tuple[str, ...] = Field(
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

    @field_validator("models", mode="before")
    @classmethod
    def _split_models(cls, value: object) -> object:
        """One string names several models, separated by commas (environment variables)."""
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value


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


class LimitSettings(Settings):
    """What a client may cost."""

    max_clients: int = Field(default=4, ge=1, description="Sessions at the same time.")
    measured_admission: bool = Field(
        default=True,
        description="Also refuse clients beyond the sessions of continuous speech that the "
        "machine was measured to carry. One is always served, and silent ones do not count.",
    )
    calibration_s: Seconds = Field(
        default=1.5,
        description="Time at start for measuring how fast each model decodes; 0: not measured, "
        "and clients are refused by `max_clients` alone.",
    )
    max_connection_time_s: PositiveSeconds = Field(
        default=600.0, description="Longest session in seconds of wall clock, idle or not."
    )
    options_timeout_s: PositiveSeconds = Field(
        default=10.0, description="A client must have sent its options so soon after connecting."
    )
    max_message_bytes: int = Field(
        default=2**20, ge=1024, description="Largest message a client may send."
    )
    max_backlog_s: PositiveSeconds = Field(
        default=660.0,
        description="Received audio that may wait to be decoded, per session; beyond it the "
        "server stops reading, so that the sender slows down.",
    )
    max_stall_s: PositiveSeconds = Field(
        default=60.0,
        description="A session whose full backlog does not move for so long is ended.",
    )
    max_pending_messages: int = Field(
        default=1000, ge=10, description="Final messages a client may leave unread."
    )
    send_timeout_s: PositiveSeconds = Field(
        default=30.0, description="A client that takes no message for so long is disconnected."
    )
    drain_timeout_s: PositiveSeconds = Field(
        default=15.0, description="Time for the last words of all sessions when the server stops."
    )


class AsrSettings(Settings):
    """WhisperLiveKit's protocol, on `/asr`."""

    pcm_input: bool = Field(
        default=True,
        description="Ask clients for raw samples in place of what their browser records. Both are "
        "always taken.",
    )
    retention_s: PositiveSeconds = Field(
        default=600.0,
        description="A full state lists the lines that ended in so long before the newest one.",
    )
    diff_retention_s: PositiveSeconds = Field(
        default=300.0,
        description="The same in diff mode, where clients can keep what they are told to drop.",
    )
    max_lines: int = Field(
        default=1000, ge=1, description="Lines that a state lists at the most, in both modes."
    )


class MediaSettings(Settings):
    """How audio in a container (WebM, Ogg, MP4, MP3, WAV, FLAC) is decoded."""

    processes: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Decoder processes at the most; sessions share them. None runs before the "
        "first such session.",
    )
    memory_mb: int = Field(
        default=512, ge=128, description="Memory that a decoder process may use, in 2^20 bytes."
    )
    stream_memory_mb: int = Field(
        default=32,
        ge=8,
        description="Memory that one session may hold there, in 2^20 bytes; known on Linux only.",
    )
    linger_s: Seconds = Field(
        default=60.0, description="A decoder process without sessions ends after so long."
    )
    timeout_s: PositiveSeconds = Field(
        default=30.0, description="A session whose decoder gives no answer for so long is ended."
    )
    cpu_per_s: PositiveSeconds = Field(
        default=0.2,
        description="Processor seconds that decoding may take per second of audio, beyond 5.",
    )
    min_bytes_per_s: float = Field(
        default=50.0,
        gt=0,
        allow_inf_nan=False,
        description="Bytes that a second of audio must have at least, on average beyond the "
        "first minute; real recordings have hundreds.",
    )
    max_bytes_without_audio: int = Field(
        default=8 * 2**20,
        ge=2**16,
        description="Bytes that may come one after the other without any audio in them.",
    )


class SchedulerSettings(Settings):
    """How decodes are run."""

    decode_timeout_s: PositiveSeconds = Field(
        default=60.0, description="A decode that takes longer is given up."
    )


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


class TranslationSettings(Settings):
    """A translation beside the words, for sessions that ask for one."""

    models: tuple[str, ...] = Field(
        default=(),
        description="Translation models: folders in CTranslate2's format, OPUS-MT (`PATH:tr-en`) "
        "or NLLB (`PATH`), or `python:MODULE:FUNCTION`, which makes a translator. The first that "
        "knows both languages is taken.",
    )
    by_ear: bool = Field(
        default=True,
        description="English by the loaded Whisper model itself, which hears every sentence a "
        "second time; where no translation model knows the languages.",
    )
    target_language: str | None = Field(
        default=None,
        min_length=2,
        description="Language of sessions that name none. None: these are not translated.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where translation models run."
    )
    compute_type: str = Field(
        default="default", description="Their CTranslate2 compute type; `default` is as converted."
    )
    threads: int = Field(
        default=1, ge=1, description="CPU threads for translation, all sessions together."
    )
    beam_size: int = Field(default=2, ge=1, le=16, description="Beam of a translation.")
    timeout_s: PositiveSeconds = Field(
        default=10.0,
        description="A translation that takes longer is given up, and so is what is missing so "
        "long after the last words.",
    )

    @field_validator("models", mode="before")
    @classmethod
    def _split_models(cls, value: object) -> object:
        """One string names several models, separated by commas (environment variables)."""
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value


class TlsSettings(Settings):
    """Encryption of the port: `https://` and `wss://` in place of `http://` and `ws://`."""

    certfile: str | None = Field(
        default=None,
        description="PEM file with the server's certificate, and with those between it and its "
        "authority. None: no encryption.",
    )
    keyfile: str | None = Field(
        default=None, description="PEM file with its private key. None: `certfile` holds it, too."
    )
    keyfile_password: SecretStr | None = Field(
        default=None, description="Password of an encrypted key; best given in the environment."
    )

    @model_validator(mode="after")
    def _check_certificate(self) -> "TlsSettings":
        if self.certfile is None and (self.keyfile or self.keyfile_password):
            raise ValueError("a key needs a certificate (--ssl-certfile)")
        return self


class AlignmentSettings(Settings):
    """Word times by forced alignment, with the backend `whisperx`."""

    enabled: bool = Field(
        default=True, description="Off: word times are the decoder's, as with `faster_whisper`."
    )
    models: tuple[str, ...] = Field(
        default=(),
        description="Align models, `LANGUAGE=MODEL` or just `MODEL` for the server's language: "
        "`demo` (embedded, English), a folder or hub id of a Wav2Vec2 model, or a name of "
        "torchaudio. Other languages get the model that whisperx knows for them, once they are "
        "spoken; where the first model is `demo`, English gets the embedded one.",
    )
    hold_s: Seconds = Field(
        default=0.3,
        description="Final words wait for their times so long at the most; then they are sent "
        "with the decoder's.",
    )
    threads: int = Field(
        default=1, ge=1, description="CPU threads for alignment, all sessions together."
    )

    @field_validator("models", mode="before")
    @classmethod
    def _split_models(cls, value: object) -> object:
        """One string names several models, separated by commas (environment variables)."""
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value


class HubSettings(Settings):
    """The hub that models are fetched from."""

    token: SecretStr | None = Field(
        default=None,
        description="For models behind a login, of alignment and diarization. None: the `HF_TOKEN` "
        "of the environment, if there is one.",
    )


class TextHookSettings(Settings):
    """A Python function over all text that leaves the server, e.g. for redaction."""

    name: str | None = Field(
        default=None,
        min_length=1,
        description="`module:function`, or the name of an installed hook (entry points of the "
        "group `whisper_streaming.text_hooks`). It gets the text of a segment and gives the text "
        "to send. None: text goes out as it is.",
    )
    timeout_s: PositiveSeconds = Field(
        default=0.5, description="Text that it has not answered by then goes out unchanged."
    )


class DiarizationSettings(Settings):
    """Who speaks."""

    enabled: bool = Field(
        default=False, description="Label final words with who speaks: `SPEAKER_00` and so on."
    )
    model: str | None = Field(
        default=None,
        min_length=1,
        description="Folder with a speaker embedding of pyannote, or with one of its pipelines; "
        "needs the extra `whisperx`. None: the small embedding in the package.",
    )
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="What runs a speaker embedding of pyannote."
    )
    min_speakers: int = Field(
        default=1,
        ge=1,
        le=32,
        description="While fewer were heard, a new speaker is believed more easily.",
    )
    max_speakers: int = Field(
        default=8, ge=1, le=32, description="With so many heard, nobody is taken for a new speaker."
    )
    hold_s: Seconds = Field(
        default=0.3,
        description="Final words wait for their speaker so long at the most; then they are sent "
        "with the best guess.",
    )
    look_back_s: Seconds = Field(
        default=20.0, description="A speaker is not corrected that was named longer ago."
    )

    @model_validator(mode="after")
    def _check_order(self) -> "DiarizationSettings":
        if self.min_speakers > self.max_speakers:
            raise ValueError("min_speakers must not be above max_speakers")
        return self


class SecondPassSettings(Settings):
    """A second look at each session when it has ended, for the record."""

    enabled: bool = Field(
        default=False,
        description="Keep the audio of sessions on disk, transcribe it again when they have ended, "
        "and send the result as one more message.",
    )
    beam_size: int = Field(
        default=5, ge=1, le=20, description="Beam of the second look, which has the time for it."
    )
    max_audio_s: PositiveSeconds = Field(
        default=4 * 3600.0, description="Longer sessions get no second look (115 MB an hour)."
    )
    timeout_s: PositiveSeconds = Field(
        default=600.0, description="A second look that takes longer is given up."
    )


class ServerConfig(Settings):
    """Everything the server can be told."""

    host: str = Field(default="localhost", description="Address to listen on.")
    port: int = Field(default=9090, ge=0, le=65535, description="Port; 0 picks a free one.")
    pages: bool = Field(
        default=True,
        description="Serve the captions page at `/` and the operator's page at `/status` to "
        "browsers. Off: `/` is no page, and `/status` is JSON for browsers, too.",
    )
    language: str | None = Field(
        default="en",
        description="Language of sessions that name none; `auto` detects it per session, several "
        "with commas between them (`en,tr`) detect it among these.",
    )
    task: Literal["transcribe", "translate"] = Field(
        default="transcribe", description="Task of sessions that name none."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Log level. Transcript text appears at DEBUG only."
    )
    tls: TlsSettings = TlsSettings()
    backend: BackendSettings = BackendSettings()
    vad: VadSettings = VadSettings()
    input: InputSettings = InputSettings()
    endpoint: EndpointSettings = EndpointSettings()
    policy: PolicySettings = PolicySettings()
    segment: SegmentSettings = SegmentSettings()
    limits: LimitSettings = LimitSettings()
    asr: AsrSettings = AsrSettings()
    media: MediaSettings = MediaSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    forward: ForwardSettings = ForwardSettings()
    record: RecordSettings = RecordSettings()
    captions: CaptionSettings = CaptionSettings()
    translation: TranslationSettings = TranslationSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    hub: HubSettings = HubSettings()
    diarization: DiarizationSettings = DiarizationSettings()
    text_hook: TextHookSettings = TextHookSettings()
    second_pass: SecondPassSettings = SecondPassSettings()

    @property
    def only_language(self) -> str | None:
        """Language of sessions that name none, unless they detect it."""
        return None if self.language is None or "," in self.language else self.language

    @field_validator("language", mode="before")
    @classmethod
    def _read_auto(cls, value: object) -> object:
        return None if value == "auto" else value


def load_config(
    *,
    flags: Mapping[str, object] | None = None,
    toml_path: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> ServerConfig:
    """Merge the sources and validate the result.

    Args:
        flags: Dotted names (``"limits.max_clients"``) to values; only what the user gave.
        toml_path: A TOML file with the structure of :class:`ServerConfig`.
        environ: Variables such as ``WHISPER_STREAMING__LIMITS__MAX_CLIENTS=8``.

    Raises:
        ConfigurationError: Naming each wrong setting and what is wrong with it.
    """
    tree: dict[str, object] = {}
    if toml_path is not None:
        _merge(tree, _read_toml(toml_path))
    for name, value in (environ or {}).items():
        if name.startswith(ENV_PREFIX):
            _set(tree, name.removeprefix(ENV_PREFIX).lower().split("__"), value)
    for name, flag in (flags or {}).items():
        _set(tree, name.split("."), flag)
    try:
        return ServerConfig.model_validate(tree)
    except ValidationError as exc:
        problems = describe_problems(exc.errors(include_url=False, include_input=False))
        raise ConfigurationError(f"bad settings: {problems}") from exc


def read_assignments(assignments: Iterable[str]) -> dict[str, object]:
    """``GROUP.FIELD=VALUE`` as dotted names and values, for :func:`load_config`.

    Raises:
        ConfigurationError: If one has another form.
    """
    settings: dict[str, object] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--set takes GROUP.FIELD=VALUE, not {assignment!r}")
        settings[name.strip().replace("-", "_")] = value.strip()
    return settings


def _read_toml(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as exc:
        raise ConfigurationError(f"cannot read the settings file {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"the settings file {path} is not valid TOML: {exc}") from exc


def _set(tree: dict[str, object], path: list[str], value: object) -> None:
    branch: dict[str, object] = {path[-1]: value}
    for part in reversed(path[:-1]):
        branch = {part: branch}
    _merge(tree, branch)


def _merge(tree: dict[str, object], newer: Mapping[str, object]) -> None:
    for name, value in newer.items():
        older = tree.get(name)
        if isinstance(value, Mapping):
            if name in tree and not isinstance(older, dict):
                raise ConfigurationError(f"{name} is a group of settings, not {older!r}")
            branch = older if isinstance(older, dict) else {}
            _merge(branch, value)
            tree[name] = branch
        else:
            tree[name] = value
