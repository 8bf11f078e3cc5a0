"""The client's side of the WhisperLive protocol: a state machine without I/O.

Both clients, the blocking one and the asyncio one, feed it messages, closes and timeouts
and ask it what to send, how long to wait and what came out.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

import numpy as np

from whisper_streaming.client.folding import TranscriptFold, TranslationFold
from whisper_streaming.client.result import Gap, TranscriptionResult, TranscriptUpdate, revised
from whisper_streaming.core.audio import FloatArray, samples_of
from whisper_streaming.core.events import SpeakersRevised
from whisper_streaming.errors import (
    ClientError,
    ConnectionLost,
    InvalidMessage,
    ServerFailed,
    ServerRefused,
)
from whisper_streaming.wire.whisper_live_messages import (
    END_OF_AUDIO,
    Disconnect,
    Failure,
    Language,
    Notice,
    Ready,
    Revision,
    Segments,
    ServerMessage,
    Summary,
    Translations,
    Wait,
    parse_server_message,
)

# WhisperLive's default; what both sides have to remember is small, and a server that completes
# more at once would drop the oldest.
SEND_LAST_N_SEGMENTS: Final = 10

# Servers take 1 MiB per message by default, which is 16 s of float32.
MAX_MESSAGE_SAMPLES: Final = samples_of(4.0)

# A WhisperLive server throws away what it has not decoded when the audio ends. Silence lets it
# finish the last words: it decodes nothing shorter than a second.
TRAILING_SILENCE_S: Final = 2.0

_NORMAL_CLOSURE: Final = 1000
_NO_STATUS_CODE: Final = 1005  # a close frame without a code, which is legal

logger = logging.getLogger("whisper_streaming.client")


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What the client asks for; ``language`` None asks for detection, several for a choice."""

    language: str | None = "en"
    model: str = "small"
    translate: bool = False
    use_vad: bool = True
    initial_prompt: str | None = None
    hotwords: str | None = None
    word_timestamps: bool = False
    target_language: str | None = None

    @property
    def only_language(self) -> str | None:
        """The language, unless it is to be detected, among several or among all."""
        return None if self.language is None or "," in self.language else self.language


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server, in seconds.

    Attributes:
        ready_s: For the session to be taken; a server may have to fetch a model first.
        finish_s: For the next sign of life after the end of the audio.
        settle_s: For the last words of a stock WhisperLive server to stop changing.
        settled_s: The same, once it has completed all it showed.
        settle_limit_s: For all of that together.
    """

    ready_s: float = 300.0
    finish_s: float = 60.0
    settle_s: float = 10.0
    settled_s: float = 2.0
    settle_limit_s: float = 60.0


class Phase(Enum):
    """Where a session is; it only goes forward."""

    OPENING = auto()  # the options are sent, the server has not said that it is ready
    STREAMING = auto()
    SETTLING = auto()  # a stock server gets time for the last words
    SETTLED = auto()
    ENDING = auto()  # END_OF_AUDIO is sent
    CLOSED = auto()


@dataclass(slots=True)
class _Learnt:
    """What the server said beside the transcript."""

    ready: Ready | None = None
    language: str | None = None
    summary: Summary | None = None
    revision: Revision | None = None
    is_overtime: bool = False
    is_damaged: bool = False  # a message could not be read, so words may be missing
    gaps: list[Gap] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


class ClientSession:
    """One transcription as the client sees it.

    Args:
        options: What to ask for.
        patience: How long to wait.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        options: SessionOptions,
        patience: Patience | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._patience = patience or Patience()
        self._clock = clock
        self._uid = str(uuid.uuid4())
        self._fold = TranscriptFold()
        self._translations = TranslationFold()
        self._learnt = _Learnt()
        self._waiting_since = clock()
        self._samples_sent = 0
        # In its trailing silence a stock server may hear now this and now that without end. Only
        # a text that was not shown before is worth another wait; open or not counts as well.
        self._shown_while_settling: set[tuple[str, bool]] = set()
        self._settling_since = 0.0
        self._error: ClientError | None = None
        self.phase = Phase.OPENING

    @property
    def takes_audio(self) -> bool:
        """Whether the server still wants audio."""
        return self.phase is Phase.STREAMING

    @property
    def is_stock_server(self) -> bool:
        """The server is not ours, so it needs help to give the last words."""
        ready = self._learnt.ready
        return ready is not None and ready.engine is None

    @property
    def needs_settling(self) -> bool:
        """Whether the last words must be waited for before the end of the audio is told."""
        return self.takes_audio and self.is_stock_server and self._samples_sent > 0

    @property
    def needs_ending(self) -> bool:
        """Whether the server must be told that no audio will follow."""
        return self.phase in (Phase.STREAMING, Phase.SETTLED)

    def opening_message(self) -> str:
        """The first message to send."""
        options = self._options
        fields = {
            "uid": self._uid,
            "language": options.language,
            "task": "translate" if options.translate else "transcribe",
            "model": options.model,
            "use_vad": options.use_vad,
            "send_last_n_segments": SEND_LAST_N_SEGMENTS,
            "initial_prompt": options.initial_prompt,
            "hotwords": options.hotwords,
            "word_timestamps": options.word_timestamps,
            "numeric_times": True,
            "summary": True,
        }
        if options.target_language is not None:
            fields |= {"enable_translation": True, "target_language": options.target_language}
        return json.dumps(fields)

    def audio_messages(self, samples: FloatArray) -> Iterator[bytes]:
        """Messages for ``samples``: float32, shape (n,), mono, 16 kHz, in [-1, 1]."""
        for begin in range(0, len(samples), MAX_MESSAGE_SAMPLES):
            piece = samples[begin : begin + MAX_MESSAGE_SAMPLES]
            yield piece.astype("<f4").tobytes()
            # Reached when the caller comes back for more, so only what was sent is counted.
            self._samples_sent += len(piece)

    def settling_message(self) -> bytes:
        """What makes a stock server finish its last words; begins the wait for them."""
        self.phase = Phase.SETTLING
        self._waiting_since = self._settling_since = self._clock()
        return np.zeros(samples_of(TRAILING_SILENCE_S), dtype="<f4").tobytes()

    def ending_message(self) -> bytes:
        """What tells the server that no audio will follow."""
        self._begin_ending()
        return END_OF_AUDIO.encode()

    def remaining_s(self) -> float | None:
        """Seconds until :meth:`receive_timeout` is due; None where patience has no end."""
        patience = self._patience
        match self.phase:
            case Phase.OPENING:
                limit_s = patience.ready_s
            case Phase.SETTLING:
                return self._remaining_to_settle_s()
            case Phase.ENDING:
                limit_s = patience.finish_s
            case _:
                return None
        return max(0.0, self._waiting_since + limit_s - self._clock())

    def receive_timeout(self) -> None:
        """The time of :meth:`remaining_s` is over."""
        match self.phase:
            case Phase.OPENING:
                self._fail(
                    ConnectionLost(
                        "the server took the connection but did not get ready within "
                        f"{self._patience.ready_s:.0f} s: is it a WhisperLive server?"
                    )
                )
            case Phase.SETTLING:
                self.phase = Phase.SETTLED
            case Phase.ENDING if self._learnt.is_overtime:
                self._close()  # it told that this is all, only the close frame is missing
            case Phase.ENDING:
                self._fail(
                    ConnectionLost(
                        f"the server was silent for {self._patience.finish_s:.0f} s after the "
                        "end of the audio: it is overloaded or gone"
                    )
                )

    def receive(self, message: str | bytes) -> TranscriptUpdate | None:
        """Take a message of the server; gives the new transcript if it changed."""
        if self.phase is Phase.CLOSED:
            return None
        try:
            known = parse_server_message(_as_text(message))
        except InvalidMessage as exc:
            self._receive_broken(exc)
            return None
        if self.phase is Phase.ENDING:
            self._waiting_since = self._clock()
        if isinstance(known, Segments):
            return self._receive_segments(known)
        if isinstance(known, Translations):
            return self._receive_translations(known)
        if isinstance(known, SpeakersRevised):
            return self._fold.update() if self._fold.revise(known) else None
        self._receive_status(known)
        return None

    def receive_close(self, code: int | None, reason: str) -> None:
        """The connection is closed; ``code`` is None if it broke without a close frame."""
        if self.phase is Phase.CLOSED:
            return
        learnt = self._learnt
        was_ending = self.phase is Phase.ENDING
        is_clean = code in (_NORMAL_CLOSURE, _NO_STATUS_CODE)
        if learnt.is_overtime or (
            was_ending and is_clean and (self.is_stock_server or learnt.summary is not None)
        ):
            self._close()
            return
        how = f"code {code} {reason}".strip() if code is not None else reason or "no close frame"
        self._fail(ConnectionLost(f"{self._describe_loss(was_ending)} ({how})"))

    def take_notices(self) -> list[str]:
        """What the user should read, each once."""
        notices, self._learnt.notices = self._learnt.notices, []
        return notices

    def update(self) -> TranscriptUpdate:
        """The transcript so far."""
        return replace(self._fold.update(), translations=self._translations.translations)

    def raise_for_error(self) -> None:
        """Raise what ended the session, with the result so far.

        Raises:
            ServerRefused: The server did not take the session.
            ServerFailed: The server reported an error.
            ConnectionLost: The connection broke.
        """
        if self._error is not None:
            if self._learnt.ready is not None:
                self._error.result = self.result()
            raise self._error

    def fail(self, error: ClientError) -> None:
        """End the session because of an error outside of the protocol; the first one counts."""
        self._fail(error)

    def result(self) -> TranscriptionResult:
        """What was transcribed; complete only after a session that ended well."""
        learnt = self._learnt
        summary = learnt.summary
        update = self._fold.update()
        is_whole = not (learnt.is_overtime or learnt.is_damaged or learnt.gaps)
        if summary is not None:
            is_whole = is_whole and summary.gap == 0 and summary.received >= self._samples_sent
        result = TranscriptionResult(
            text=update.text,
            segments=update.segments,
            complete=self.phase is Phase.CLOSED and self._error is None and is_whole,
            is_overtime=learnt.is_overtime,
            language=learnt.language or self._options.only_language,
            model=learnt.ready.model if learnt.ready else None,
            notice=learnt.ready.notice if learnt.ready else None,
            gaps=list(learnt.gaps),
            samples_sent=self._samples_sent,
            summary=summary,
            translations=self._translations.translations,
        )
        if learnt.revision is None:
            return result
        return replace(result, revision=revised(result, learnt.revision))

    def _begin_ending(self) -> None:
        self.phase = Phase.ENDING
        self._waiting_since = self._clock()

    def _close(self) -> None:
        self.phase = Phase.CLOSED
        if self.is_stock_server:
            self._fold.complete_open_segment()

    def _remaining_to_settle_s(self) -> float:
        patience = self._patience
        has_settled = not self._fold.has_open_segment and bool(self._shown_while_settling)
        limit_s = patience.settled_s if has_settled else patience.settle_s
        due = min(self._waiting_since + limit_s, self._settling_since + patience.settle_limit_s)
        return max(0.0, due - self._clock())

    def _fail(self, error: ClientError) -> None:
        if self.phase is not Phase.CLOSED:
            self.phase = Phase.CLOSED
            self._error = error

    def _receive_broken(self, error: InvalidMessage) -> None:
        if self.phase is Phase.OPENING:
            self._fail(ConnectionLost(f"this is not a WhisperLive server: {error}"))
        elif not self._learnt.is_damaged:
            self._learnt.is_damaged = True
            logger.warning(
                "a message of the server cannot be read, words may be missing: %s", error
            )

    def _receive_segments(self, message: Segments) -> TranscriptUpdate | None:
        if not self._fold.receive(message.segments):
            return None
        update = self.update()
        if self.phase is Phase.SETTLING:
            shown = (update.text, self._fold.has_open_segment)
            if shown not in self._shown_while_settling:
                self._shown_while_settling.add(shown)
                self._waiting_since = self._clock()
        return update

    def _receive_translations(self, message: Translations) -> TranscriptUpdate | None:
        if not self._translations.receive(message.translations):
            return None
        if self.phase is Phase.SETTLING:
            self._waiting_since = self._clock()  # a stock server drops what is not sent by the end
        return self.update()

    def _receive_status(self, message: ServerMessage) -> None:
        learnt = self._learnt
        match message:
            case Ready():
                self._receive_ready(message)
            case Wait(minutes=minutes):
                self._fail(
                    ServerRefused(
                        f"the server is full and expects a free place in {minutes:.1f} minutes; "
                        "try again then",
                        retry_after_s=minutes * 60.0,
                    )
                )
            case Failure(message=reason) if learnt.ready is None:
                self._fail(ServerRefused(f"the server refused the session: {reason}"))
            case Failure(message=reason):
                self._fail(ServerFailed(f"the server ended the session: {reason}"))
            case Notice(message=reason, gap_start=start, gap_end=end):
                learnt.notices.append(reason)
                if start is not None and end is not None:
                    learnt.gaps.append(Gap(start, end, reason))
            case Language(language=language):
                learnt.language = language
            case Disconnect():
                learnt.is_overtime = True
                self._begin_ending()
            case Summary():
                learnt.summary = message
            case Revision():
                learnt.revision = message

    def _receive_ready(self, ready: Ready) -> None:
        if self.phase is not Phase.OPENING:
            return
        self._learnt.ready = ready
        self.phase = Phase.STREAMING
        if ready.notice is not None:
            self._learnt.notices.append(ready.notice)

    def _describe_loss(self, was_ending: bool) -> str:
        if self._learnt.ready is None:
            return "the server closed the connection before it took the session"
        if self._learnt.summary is not None:
            return "the server ended the session before the end of the audio: is it shutting down?"
        if was_ending:
            return "the connection broke before the last words arrived: is the server running?"
        return "the connection broke while audio was being sent: is the server running?"


def _as_text(message: str | bytes) -> str:
    if isinstance(message, str):
        return message
    raise InvalidMessage("the server sent a binary message")
