"""What every server codec promises, and the commands it gives."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import Event
from whisper_streaming.errors import WhisperStreamingError

NORMAL_CLOSURE: Final = 1000
"""Close code of a session that ended as it should."""


@dataclass(frozen=True, slots=True)
class VadWishes:
    """How a client wants speech to be found. None means: the server's setting.

    Attributes:
        threshold: Speech starts at this speech probability.
        release: Speech goes on down to this one.
        min_speech_s: Shorter speech is taken for a click.
        silence_s: Silence that ends an utterance.
        pre_roll_s: Audio before the detected start that is decoded too.
    """

    threshold: float | None = None
    release: float | None = None
    min_speech_s: float | None = None
    silence_s: float | None = None
    pre_roll_s: float | None = None


@dataclass(frozen=True, slots=True)
class Configure:
    """The client's wishes. None means: the server's setting.

    Attributes:
        uid: The client's name for the session.
        language: Whisper language code; None together with ``detect_language`` false is the
            server's setting.
        detect_language: The client asked for detection.
        task: ``"transcribe"`` or ``"translate"``.
        model: A name that need not be loaded.
        use_vad: Whether audio without speech may be withheld from decoding.
        prompt: Text that precedes the session.
        hotwords: Words to favour.
        max_connection_time_s: Can only shorten the session.
        target_language: Language that the words are to be translated to, beside the words.
        takes_translation: The client can show a translation that it did not ask for.
        vad: How speech is found.
        wants_speakers: The client asked who speaks.
        max_speakers: Speakers that can be told apart at the most; can only lower the setting.
        takes_revision: The client can show a second look at the session, so it is worth its wait.
    """

    uid: str
    language: str | None = None
    detect_language: bool = False
    task: str | None = None
    model: str | None = None
    use_vad: bool | None = None
    prompt: str = ""
    hotwords: str = ""
    max_connection_time_s: float | None = None
    target_language: str | None = None
    takes_translation: bool = False
    vad: VadWishes = field(default_factory=VadWishes)
    wants_speakers: bool = False
    max_speakers: int | None = None
    takes_revision: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """The next samples: float32, shape (n,), mono, 16 kHz, in [-1, 1]; never empty."""

    samples: FloatArray


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """The next bytes of a stream in a container such as WebM; cut anywhere, never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfAudio:
    """No audio will follow; may come more than once."""


Command = Configure | Audio | EncodedAudio | EndOfAudio


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a server tells a client it takes.

    Attributes:
        engine: The backend's true name.
        model: Name of the model that serves the session.
        notice: Something the user should read, e.g. that another model was asked for.
        rtf: Decode seconds per second of speech on the server's machine; None if not measured.
        largest_live_model: The largest model that the machine carries live, if known.
    """

    engine: str
    model: str
    notice: str | None = None
    rtf: float | None = None
    largest_live_model: str | None = None


class ServerCodec(Protocol):
    """One connection's translation between a wire protocol and commands and events.

    Keeps the wire state (what was sent, odd bytes), nothing of the transcription.
    """

    def open(self) -> list[Command]:
        """Commands that need no message: a protocol without an options message configures here."""
        ...

    def receive(self, message: str | bytes) -> list[Command]:
        """Translate a message.

        Raises:
            ProtocolError: In words for the client's author.
        """
        ...

    def welcome(self, welcome: Welcome) -> list[str]:
        """Messages that accept the session."""
        ...

    def refuse_full(self, retry_after_s: float) -> list[str]:
        """Messages that refuse the session because the server is full."""
        ...

    def encode(self, events: Sequence[Event], lag_s: float = 0.0) -> list[str]:
        """Translate events. Never drops a committed word; says nothing if nothing changed.

        Args:
            events: Partials may be left out of them, everything else must come in order.
            lag_s: Seconds of received speech that wait to be decoded.
        """
        ...

    def fail(self, error: WhisperStreamingError) -> list[str]:
        """Messages that say what went wrong before the connection closes.

        None if :meth:`encode` said already that the session failed.
        """
        ...

    def overtime(self) -> list[str]:
        """Messages that say the session's time is over; all words were sent before."""
        ...

    def farewell(self, decode_s: float) -> list[str]:
        """Last messages of a session that ended well; ``decode_s`` is its model time."""
        ...

    def close_code(self, error: WhisperStreamingError) -> int:
        """With which code the connection closes after ``error``."""
        ...
