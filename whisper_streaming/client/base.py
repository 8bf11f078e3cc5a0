"""What the blocking and the asyncio client have in common: how they are constructed."""

import inspect
import logging
from collections.abc import Callable
from functools import partial

from whisper_streaming.client.conversation import ClientSession, Patience, SessionOptions
from whisper_streaming.client.result import (
    TranscriptSegment,
    TranscriptUpdate,
    TranslatedSegment,
    join_texts,
)
from whisper_streaming.client.source import SourceFormat
from whisper_streaming.client.target import Target
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.media import RawFormat

TranscriptionCallback = Callable[[str, list[TranscriptSegment]], object]
TranslationCallback = Callable[[str, list[TranslatedSegment]], object]
NoticeCallback = Callable[[str], object]

AUTO_LANGUAGE = "auto"

logger = logging.getLogger("whisper_streaming.client")


class ClientBase:
    """The settings of a client. They can be changed until a session begins.

    Args:
        host: Where the server runs.
        port: Its port.
        language: Spoken language as a Whisper code; None or ``"auto"`` lets the server detect it,
            ``"en,tr"`` among these.
        model: Model to ask for; the server may serve another one and says so in a notice.
        translate: Translate to English instead of transcribing.
        target_language: Also translate the words to this language, as a Whisper code; the server
            refuses in words what it cannot do.
        transcription_callback: Called as ``f(text, segments)`` on every update, with the whole
            text so far and all segments. It must return soon, since it holds up reading. What it
            raises is logged once and does not end the session.
        translation_callback: Called in the same way with the whole translation so far and its
            segments, whenever it changes.
        notice_callback: Called with every text of the server that the user should read; without
            it they are logged as warnings.
        use_vad: Let the server withhold silence from the model.
        url: ``ws://`` or ``wss://`` address instead of host and port.
        token: Sent as ``Authorization: Bearer``.
        ca_file: PEM file of the certificate authority of a ``wss://`` server.
        initial_prompt: Text that precedes the audio, for names and style.
        hotwords: Words that are likely to be said.
        word_timestamps: Ask for the times of every word.
        chunk_ms: Length of the pieces that audio is sent in.
        realtime: Send a recording at the pace of a clock; else as fast as the server takes it.
        device_index: Which microphone; None is the system's default.
        connect_timeout_s: How long to wait for the connection.
        patience: How long to wait for the server after that.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 9090,
        language: str | None = "en",
        model: str = "small",
        translate: bool = False,
        *,
        target_language: str | None = None,
        transcription_callback: TranscriptionCallback | None = None,
        translation_callback: TranslationCallback | None = None,
        notice_callback: NoticeCallback | None = None,
        use_vad: bool = True,
        url: str | None = None,
        token: str | None = None,
        ca_file: str | None = None,
        initial_prompt: str | None = None,
        hotwords: str | None = None,
        word_timestamps: bool = False,
        chunk_ms: int = 100,
        realtime: bool = True,
        device_index: int | None = None,
        connect_timeout_s: float = 10.0,
        patience: Patience | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.language = language
        self.model = model
        self.translate = translate
        self.target_language = target_language
        self.transcription_callback = transcription_callback
        self.translation_callback = translation_callback
        self.notice_callback = notice_callback
        self.use_vad = use_vad
        self.url = url
        self.token = token
        self.ca_file = ca_file
        self.initial_prompt = initial_prompt
        self.hotwords = hotwords
        self.word_timestamps = word_timestamps
        self.chunk_ms = chunk_ms
        self.realtime = realtime
        self.device_index = device_index
        self.connect_timeout_s = connect_timeout_s
        self.patience = patience or Patience()
        for name, callback in (
            ("transcription_callback", transcription_callback),
            ("translation_callback", translation_callback),
        ):
            if inspect.iscoroutinefunction(callback):
                raise ConfigurationError(
                    f"{name} is a plain function; "
                    "async programs iterate with: async for update in client"
                )
        # A wrong setting should fail where it is written, not when the audio is ready.
        self._target()
        self._source_format()

    def _target(self) -> Target:
        return Target.of(self.host, self.port, self.url, self.token, self.ca_file)

    def _source_format(
        self,
        sample_rate: int = SAMPLE_RATE,
        channels: int = 1,
        raw_format: RawFormat | None = None,
    ) -> SourceFormat:
        return SourceFormat(
            chunk_ms=self.chunk_ms,
            sample_rate=sample_rate,
            channels=channels,
            raw_format=raw_format,
            device_index=self.device_index,
        )

    def _new_session(self) -> ClientSession:
        if not self.model:
            raise ConfigurationError("the model must have a name, such as small")
        options = SessionOptions(
            language=None if self.language == AUTO_LANGUAGE else self.language,
            model=self.model,
            translate=self.translate,
            use_vad=self.use_vad,
            initial_prompt=self.initial_prompt,
            hotwords=self.hotwords,
            word_timestamps=self.word_timestamps,
            target_language=self.target_language,
        )
        return ClientSession(options, self.patience)

    def _new_listener(self) -> "Listener":
        return Listener(
            self.transcription_callback, self.notice_callback, self.translation_callback
        )


class Listener:
    """Calls a program's callbacks and survives them."""

    def __init__(
        self,
        transcription_callback: TranscriptionCallback | None,
        notice_callback: NoticeCallback | None,
        translation_callback: TranslationCallback | None = None,
    ) -> None:
        self._transcription_callback = transcription_callback
        self._notice_callback = notice_callback
        self._translation_callback = translation_callback
        self._translations: list[TranslatedSegment] = []  # as they were passed on
        self._has_failed = False

    def receive_update(self, update: TranscriptUpdate) -> None:
        """Pass on a new state of the transcript, or of its translation: a message is of one."""
        if update.translations != self._translations:
            self._translations = update.translations
            self._pass_on_translation(update.translations)
            return
        callback = self._transcription_callback
        if callback is not None:
            self._call(partial(callback, update.text, update.segments))

    def _pass_on_translation(self, translations: list[TranslatedSegment]) -> None:
        callback = self._translation_callback
        if callback is not None:
            text = join_texts([each["text"] for each in translations])
            # The list is the callback's own, which may change it.
            self._call(partial(callback, text, [*translations]))

    def receive_notices(self, notices: list[str]) -> None:
        """Pass on what the server wants the user to know."""
        callback = self._notice_callback
        for notice in notices:
            if callback is None:
                logger.warning("the server says: %s", notice)
            else:
                self._call(partial(callback, notice))

    def _call(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:
            # The program's own fault must not cost it the transcript. It is called ten times a
            # second, so one report is enough.
            if not self._has_failed:
                self._has_failed = True
                logger.exception("the callback failed; the session goes on")
