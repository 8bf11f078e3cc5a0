"""All errors of the package, in one tree.

WhisperStreamingError            .public_reason  .close_code  .retryable
├── ConfigurationError           bad settings                         exit status 2
├── ProtocolError                the peer broke the protocol          1002
│   ├── InvalidMessage           not JSON, or fields missing          1007
│   ├── UnsupportedAudio         unknown format or impossible samples 1003
│   ├── MessageTooLarge          over the limit of one message        1009
│   └── Unauthorized             wrong or missing token               1008
├── CapacityError                we are full                          1013, retryable
│   ├── ServerFull               .retry_after_s
│   ├── SessionOverrun           .lag_s
│   └── SlowConsumer             the peer does not read               1008
├── BackendError                 the model side failed                1011
│   ├── ModelLoadError           startup only                         exit status 1
│   ├── DecodeError              one request, after one retry
│   ├── DecodeTimeout            the backend hangs
│   ├── DetectorError            speech cannot be found in the audio
│   └── AudioDecoderError        the process that decodes containers ended or hangs
├── ListenError                  the server's address cannot be had   exit status 1
├── CertificateError             certificate or key cannot be used    exit status 1
├── ForwardingError              segments cannot be forwarded to the URL  exit status 1
├── RecordError                  sessions cannot be recorded in the folder  exit status 1
├── SessionStateError            a call in the wrong state: our bug   1011
├── MediaError                   a recording that cannot be opened or decoded
│   └── FFmpegError              the ffmpeg program is missing, ended, or does not answer
├── SpeechError                  text cannot be spoken or played
├── TranslationError             a passage cannot be translated; its words are there all the same
├── BenchmarkError               a measurement that cannot be made        exit status 1
├── OutputError                  standard output cannot be written        exit status 1
└── ClientError                  what a client program can catch
    ├── AudioSourceError         no microphone, no such file, not audio
    ├── ServerRefused            .reason  .retry_after_s
    ├── ServerFailed             .reason
    └── ConnectionLost           .reason

``str(error)`` is for the operator's log and for exceptions raised to a client
program; ``public_reason`` is what a remote peer may read. Details of a backend
failure never travel to a peer.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar


class WhisperStreamingError(Exception):
    """Base of every error this package raises on purpose."""

    close_code: ClassVar[int] = 1011
    retryable: ClassVar[bool] = False
    exit_status: ClassVar[int] = 1

    @property
    def public_reason(self) -> str:
        """Text that is safe to send to a remote peer."""
        return "internal error"


class ConfigurationError(WhisperStreamingError):
    """A setting is missing, unknown or contradicts another one."""

    exit_status = 2

    @property
    def public_reason(self) -> str:
        return "the server is misconfigured"


class ProtocolError(WhisperStreamingError):
    """The peer broke the protocol; its message says how, in plain words."""

    close_code = 1002

    @property
    def public_reason(self) -> str:
        return str(self)


class InvalidMessage(ProtocolError):
    """A message is no JSON, or a field is missing or has a wrong type or value."""

    close_code = 1007


class UnsupportedAudio(ProtocolError):
    """The audio is in an unknown format, or its samples cannot be audio."""

    close_code = 1003


class MessageTooLarge(ProtocolError):
    """A message is over the size limit."""

    close_code = 1009

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"a message of {size} bytes is over the limit of {limit}; send smaller ones"
        )


class Unauthorized(ProtocolError):
    """The token is wrong or missing."""

    close_code = 1008


class CapacityError(WhisperStreamingError):
    """The server cannot take this work now."""

    close_code = 1013
    retryable = True

    @property
    def public_reason(self) -> str:
        return str(self)


class ServerFull(CapacityError):
    """Every place is taken; ``retry_after_s`` estimates when one is free."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the server is full, try again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class SessionOverrun(CapacityError):
    """The session's audio cannot be decoded in time; ``lag_s`` seconds wait."""

    def __init__(self, lag_s: float) -> None:
        super().__init__(f"{lag_s:.0f} s of audio wait to be decoded and none was for too long")
        self.lag_s = lag_s


class SlowConsumer(CapacityError):
    """The peer does not read what it is sent."""

    close_code = 1008
    retryable = False


class BackendError(WhisperStreamingError):
    """The model side failed."""

    @property
    def public_reason(self) -> str:
        return "the transcription model failed"


class ModelLoadError(BackendError):
    """A model cannot be had or loaded; the message says what was tried and what to do."""


class DecodeError(BackendError):
    """One request could not be decoded."""


class DecodeTimeout(BackendError):
    """The backend did not answer in time."""

    @property
    def public_reason(self) -> str:
        return "the transcription model did not answer in time"


class DetectorError(BackendError):
    """The voice activity detector failed at a session's audio, so the session cannot go on."""

    @property
    def public_reason(self) -> str:
        return "the voice activity detector failed"


class AudioDecoderError(BackendError):
    """The process that decodes a session's container ended, hangs, or cannot be started.

    Another session's audio may be the cause, so a client may try again.
    """

    retryable = True

    @property
    def public_reason(self) -> str:
        return "the decoder of the audio failed; connect again"


class ListenError(WhisperStreamingError):
    """The server cannot listen on its address; the message says what to do."""


class CertificateError(WhisperStreamingError):
    """The server's certificate or its key cannot be used; the message says which and why."""


class ForwardingError(WhisperStreamingError):
    """Segments cannot be forwarded to the URL of the settings; the message says why."""


class RecordError(WhisperStreamingError):
    """Sessions cannot be recorded in the folder of the settings; the message says why."""


class SessionStateError(WhisperStreamingError):
    """A session was called in a state that does not allow the call: our bug."""


class MediaError(WhisperStreamingError):
    """A recording cannot be opened or decoded."""

    close_code = 1003

    @property
    def public_reason(self) -> str:
        return str(self)


class FFmpegError(MediaError):
    """The ffmpeg program is missing, ended, or does not answer; the message says what to do."""


class ClientError(WhisperStreamingError):
    """Base of what the client library raises.

    Attributes:
        result: What was transcribed before (a ``client.TranscriptionResult``); None if the
            session had not begun.
    """

    result: object | None = None


class AudioSourceError(ClientError):
    """The audio source cannot be used: no microphone, no such file, not audio."""


class ServerRefused(ClientError):
    """The server did not take the session.

    Attributes:
        reason: What the server said.
        retry_after_s: Its estimate of when to try again; None if it gave none.
    """

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class ServerFailed(ClientError):
    """The server ended a session that it had taken, because of an error."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConnectionLost(ClientError):
    """The connection could not be opened, or broke before the transcript was complete."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SpeechError(WhisperStreamingError):
    """Text cannot be spoken, or speech not be saved or played; the message says what to do."""


class TextHookError(WhisperStreamingError):
    """A text hook gave no text; the message says why, and nothing of what was said."""


class TranslationError(WhisperStreamingError):
    """A passage cannot be translated; the message is fit for a peer."""

    @property
    def public_reason(self) -> str:
        return str(self)


class BenchmarkError(WhisperStreamingError):
    """A measurement cannot be made: what is measured does not start, or cannot be had."""


class OutputError(WhisperStreamingError):
    """What a command has to print cannot be written, as to a full disk."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"standard output cannot be written: {cause.strerror}")


def describe_problems(problems: Iterable[Mapping[str, object]]) -> str:
    """One line that names each wrong field and what is wrong with it.

    Args:
        problems: What pydantic's ``ValidationError.errors()`` gives.
    """
    return "; ".join(f"{dotted_place(each)}: {_describe(each)}" for each in problems)


def dotted_place(problem: Mapping[str, object]) -> str:
    """``"limits.max_clients"``: the field that a problem of pydantic's is about."""
    place = problem["loc"]
    assert isinstance(place, tuple)
    return ".".join(str(part) for part in place)


def _describe(problem: Mapping[str, object]) -> str:
    """In words that do not need the code: pydantic names our classes, and Python's."""
    if problem["type"] == "model_type":
        return "Input should be an object with named values"
    return str(problem["msg"]).removeprefix("Value error, ")
