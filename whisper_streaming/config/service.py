"""What the server is to its clients."""

from pydantic import Field, SecretStr, model_validator

from whisper_streaming.config.base import PositiveSeconds, Seconds, Settings


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
