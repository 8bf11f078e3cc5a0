"""The messages of the WhisperLive protocol, as both sides need them.

Plain JSON text frames and binary audio frames. Extra keys are harmless on both sides
(stock clients and servers ignore them), so everything of ours beyond WhisperLive is an
extra key or is sent only to a client that asked for it by an option of its own:

- ``numeric_times``: times are numbers instead of strings with three decimals;
- ``summary``: one ``SESSION_SUMMARY`` message before the socket closes, and an empty
  ``segments`` list where a shown partial is withdrawn and nothing else is open, and
  ``speaker_turns`` where speakers of completed segments were found out better.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from whisper_streaming.core.events import SpeakersRevised, SpeakerTurn
from whisper_streaming.errors import InvalidMessage, describe_problems
from whisper_streaming.wire.pcm import PcmFormat

END_OF_AUDIO: Final = "END_OF_AUDIO"
SERVER_READY: Final = "SERVER_READY"
DISCONNECT: Final = "DISCONNECT"
SESSION_SUMMARY: Final = "SESSION_SUMMARY"

DEFAULT_TARGET: Final = "fr"
"""Language that WhisperLive translates to where a client names none."""

AudioFormat = PcmFormat

_BINARY_ENDS: Final = (END_OF_AUDIO.encode(), f'"{END_OF_AUDIO}"'.encode())


class VadParameters(BaseModel):
    """``vad_parameters`` of the options, named as in faster-whisper's ``VadOptions``."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    threshold: float | None = Field(default=None, ge=0, le=1)
    neg_threshold: float | None = Field(default=None, ge=0, le=1)
    min_speech_duration_ms: float | None = Field(default=None, ge=0, le=10_000)
    min_silence_duration_ms: float | None = Field(default=None, ge=100, le=10_000)
    speech_pad_ms: float | None = Field(default=None, ge=0, le=2_000)


class Options(BaseModel):
    """The first message of a client. Only ``uid`` is required; the server chooses the rest.

    ``same_output_threshold``, ``clip_audio``, ``max_clients`` and ``no_speech_thresh`` belong to
    WhisperLive's algorithm or to its server; they are accepted and have no effect here.
    """

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    uid: str = Field(min_length=1, max_length=256)
    language: str | None = None
    task: Literal["transcribe", "translate"] | None = None
    model: str | None = Field(default=None, max_length=256)
    use_vad: bool | None = None
    audio_format: AudioFormat = "float32"
    send_last_n_segments: int = Field(default=10, ge=0, le=10_000)
    initial_prompt: str | None = Field(default=None, max_length=10_000)
    hotwords: str | None = Field(default=None, max_length=10_000)
    word_timestamps: bool = False
    max_connection_time: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    enable_translation: bool = False
    target_language: str | None = Field(default=None, max_length=64)
    enable_diarization: bool = False
    max_speakers: int | None = Field(default=None, ge=1)
    vad_parameters: VadParameters | None = None
    numeric_times: bool = False
    summary: bool = False

    @property
    def wanted_translation(self) -> str | None:
        """The language to translate to; stock clients name one without wanting any."""
        return (self.target_language or DEFAULT_TARGET) if self.enable_translation else None

    @property
    def takes_translation(self) -> bool:
        """Whether a translation can be shown that was not asked for.

        Stock clients say that they want none, and older ones do not know what it is.
        """
        return self.summary and "enable_translation" not in self.model_fields_set

    @property
    def wants_detection(self) -> bool:
        """Whether the client asked for language detection: an explicit ``null``, or ``auto``."""
        return "language" in self.model_fields_set and self.language in (None, "auto")

    @property
    def awaits_language(self) -> bool:
        """Whether the client is to be told a language: it named none, or several."""
        return self.wants_detection or "," in (self.language or "")


def parse_options(message: str) -> Options:
    """Read the options message.

    Raises:
        InvalidMessage: In words that tell the client's author what to send instead.
    """
    fields = _parse_object(message, "the first message must be a JSON object with the options")
    try:
        return Options.model_validate(fields)
    except ValidationError as exc:
        problems = describe_problems(exc.errors(include_url=False, include_input=False))
        raise InvalidMessage(f"bad options: {problems}") from exc


def peek_uid(message: str | bytes) -> str | None:
    """The ``uid`` of a message that may be broken otherwise, so that an error can name it."""
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        return None
    uid = fields.get("uid") if isinstance(fields, dict) else None
    return uid[:256] if isinstance(uid, str) else None


def is_end_of_audio(message: str | bytes) -> bool:
    """Whether ``message`` ends the audio: binary, as text, or as a JSON string."""
    if isinstance(message, bytes):
        return message in _BINARY_ENDS
    return message.strip() in (END_OF_AUDIO, f'"{END_OF_AUDIO}"')


@dataclass(frozen=True, slots=True)
class WireWord:
    """A word of a segment, times in seconds; ``word`` keeps its leading space.

    ``is_aligned``: the times were measured letter by letter.
    """

    word: str
    start: float
    end: float
    probability: float
    is_aligned: bool = False


@dataclass(frozen=True, slots=True)
class WireSegment:
    """One caption as the client sees it.

    Attributes:
        start: Seconds since the first sample of the connection.
        end: Seconds since the first sample of the connection.
        text: With its leading space.
        completed: Completed segments never change; at most one open one follows them.
        committed_text: Leading part of an open segment's text that will not change any more;
            None where the server does not say (a stock WhisperLive server).
        words: Empty unless asked for with ``word_timestamps``.
        speaker: Label of the speaker, if the server tells.
    """

    start: float
    end: float
    text: str
    completed: bool
    committed_text: str | None = None
    words: tuple[WireWord, ...] = ()
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class WireTranslation:
    """The translation of consecutive segments, times in seconds.

    Attributes:
        start: Of the first segment.
        end: Of the last segment.
        text: In the target language.
        completed: It will not change any more; at most one open one follows.
        language: The target language; empty if the server does not say.
    """

    start: float
    end: float
    text: str
    completed: bool
    language: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """The server took the session.

    Attributes:
        backend: As stock clients want it.
        engine: The backend's true name; None from a stock server.
        model: Which model serves the session, if the server tells.
        notice: What the user should read, if there is anything.
        rtf: Decode seconds per second of speech, if the server measured it; above 1 captions
            come late.
        largest_live_model: The largest model that its machine carries live, if it knows.
    """

    backend: str
    engine: str | None
    model: str | None
    notice: str | None
    rtf: float | None = None
    largest_live_model: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """The server is full; try again in ``minutes``."""

    minutes: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The server ends the session because of an error."""

    message: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know; the session goes on.

    ``gap_start`` and ``gap_end`` are set when audio could not be decoded.
    """

    message: str
    gap_start: float | None = None
    gap_end: float | None = None


@dataclass(frozen=True, slots=True)
class Language:
    """The detected language."""

    language: str
    probability: float


@dataclass(frozen=True, slots=True)
class Segments:
    """The newest completed segments and at most one open one, which is last."""

    segments: tuple[WireSegment, ...]


@dataclass(frozen=True, slots=True)
class Translations:
    """The newest final translations and at most one open one, which is last."""

    translations: tuple[WireTranslation, ...]


@dataclass(frozen=True, slots=True)
class Revision:
    """The transcript of a second look at the whole session, in the place of all before it."""

    segments: tuple[WireSegment, ...]
    language: str | None


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The session's time is over; final words were sent before."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Where every received sample went; ``received == decoded + silence + gap``.

    Attributes:
        received: Samples the server received.
        decoded: Samples that were in a successful decode.
        silence: Samples without speech that nobody had to decode.
        gap: Samples that were lost, each reported in a warning before.
        decode_s: Seconds of model time spent on the session.
    """

    received: int
    decoded: int
    silence: int
    gap: int
    decode_s: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message this client does not know; newer servers may send such."""


ServerMessage = (
    Ready
    | Wait
    | Failure
    | Notice
    | Language
    | Segments
    | Translations
    | SpeakersRevised
    | Revision
    | Disconnect
    | Summary
    | Unknown
)


def parse_server_message(message: str) -> ServerMessage:
    """Read a message of a WhisperLive server, ours or a stock one.

    Raises:
        InvalidMessage: If it is no JSON object, or a known message without its fields.
    """
    fields = _parse_object(message, "the server's message is not a JSON object")
    try:
        return _interpret(fields)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        raise InvalidMessage(f"bad message from the server: {exc!r}") from exc


def _interpret(fields: dict[str, Any]) -> ServerMessage:
    # The order is that of the stock client: status, message, language, segments.
    if "status" in fields:
        return _interpret_status(fields)
    match fields.get("message"):
        case "SERVER_READY":
            return Ready(
                backend=str(fields.get("backend", "")),
                engine=_text_or_none(fields, "engine"),
                model=_text_or_none(fields, "model"),
                notice=_text_or_none(fields, "notice"),
                rtf=None if fields.get("rtf") is None else float(fields["rtf"]),
                largest_live_model=_text_or_none(fields, "largest_live_model"),
            )
        case "DISCONNECT":
            return Disconnect()
        case "SESSION_SUMMARY":
            return Summary(
                received=int(fields["received"]),
                decoded=int(fields["decoded"]),
                silence=int(fields["silence"]),
                gap=int(fields["gap"]),
                decode_s=float(fields["decode_s"]),
            )
    if "language" in fields:
        return Language(str(fields["language"]), float(fields.get("language_prob") or 0.0))
    if "segments" in fields:
        return Segments(tuple(_segment(segment) for segment in fields["segments"]))
    if "translated_segments" in fields:
        return Translations(tuple(map(_translation, fields["translated_segments"])))
    if "speaker_turns" in fields:
        return SpeakersRevised(tuple(map(_turn, fields["speaker_turns"])))
    if "revision" in fields:
        revision = fields["revision"]
        segments = tuple(map(_segment, revision["segments"]))
        return Revision(segments, _text_or_none(revision, "language"))
    return Unknown()


def _interpret_status(fields: dict[str, Any]) -> ServerMessage:
    match fields["status"]:
        case "WAIT":
            return Wait(minutes=float(fields["message"]))
        case "ERROR":
            return Failure(str(fields["message"]))
        case "WARNING":
            gap = fields.get("gap")
            if gap is None:
                return Notice(str(fields["message"]))
            return Notice(str(fields["message"]), _seconds(gap["start"]), _seconds(gap["end"]))
    return Unknown()


def _segment(fields: dict[str, Any]) -> WireSegment:
    return WireSegment(
        start=_seconds(fields["start"]),
        end=_seconds(fields["end"]),
        text=str(fields["text"]),
        completed=bool(fields.get("completed", False)),
        committed_text=_text_or_none(fields, "committed_text"),
        words=tuple(
            WireWord(
                word=str(word["word"]),
                start=_seconds(word["start"]),
                end=_seconds(word["end"]),
                probability=float(word.get("probability", 1.0)),
                is_aligned=word.get("aligned") is True,
            )
            for word in fields.get("words") or ()
        ),
        speaker=_text_or_none(fields, "speaker"),
    )


def _translation(fields: dict[str, Any]) -> WireTranslation:
    return WireTranslation(
        start=_seconds(fields["start"]),
        end=_seconds(fields["end"]),
        text=str(fields["text"]),
        completed=bool(fields.get("completed", True)),
        language=_text_or_none(fields, "target_language") or "",
    )


def _turn(fields: dict[str, Any]) -> SpeakerTurn:
    return SpeakerTurn(_seconds(fields["start"]), _seconds(fields["end"]), str(fields["speaker"]))


def _seconds(value: str | float) -> float:
    # A stock server prints times as strings; both json and float() let NaN and infinity pass.
    time_s = float(value)
    if not math.isfinite(time_s):
        raise ValueError(f"{value!r} is not a time")
    return time_s


def _text_or_none(fields: dict[str, Any], key: str) -> str | None:
    value = fields.get(key)
    return value if isinstance(value, str) else None


def _parse_object(message: str, complaint: str) -> dict[str, Any]:
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError) as exc:
        raise InvalidMessage(f"{complaint}, but it is not JSON") from exc
    if not isinstance(fields, dict):
        raise InvalidMessage(f"{complaint}, but it is a JSON {_json_type(fields)}")
    return fields


def _json_type(value: object) -> str:
    match value:
        case list():
            return "list"
        case str():
            return "string"
        case None:
            return "null"
        case bool():
            return "boolean"
    return "number"
