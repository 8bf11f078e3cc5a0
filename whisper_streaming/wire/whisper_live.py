"""The server's side of the WhisperLive protocol."""

import json
from collections.abc import Mapping, Sequence

from whisper_streaming.core.events import (
    AudioAccount,
    AudioGap,
    Event,
    InputImpaired,
    LanguageDetected,
    SessionEnded,
    SessionFailed,
    SessionNotice,
    SpeakersRevised,
    TranscriptRevised,
    TranslationCommitted,
    TranslationUpdated,
)
from whisper_streaming.core.transcript import Segment, SegmentRules, Transcript, fold
from whisper_streaming.errors import (
    InvalidMessage,
    ServerFull,
    SessionStateError,
    WhisperStreamingError,
)
from whisper_streaming.wire.base import (
    NORMAL_CLOSURE,
    Audio,
    Command,
    Configure,
    EndOfAudio,
    VadWishes,
    Welcome,
)
from whisper_streaming.wire.input_notices import INPUT_NOTICES, describe_gap
from whisper_streaming.wire.pcm import PcmReader
from whisper_streaming.wire.whisper_live_captions import CaptionWriter
from whisper_streaming.wire.whisper_live_messages import (
    DISCONNECT,
    SERVER_READY,
    SESSION_SUMMARY,
    Options,
    VadParameters,
    is_end_of_audio,
    parse_options,
    peek_uid,
)
from whisper_streaming.wire.whisper_live_translations import TranslationWriter


class WhisperLiveServerCodec:
    """One connection of a WhisperLive client; a :class:`~whisper_streaming.wire.base.ServerCodec`.

    Events are encoded only after the options were received.
    """

    def __init__(self, rules: SegmentRules | None = None) -> None:
        self._uid = ""
        self._options: Options | None = None
        self._pcm = PcmReader("float32")
        self._audio_ended = False
        self._transcript = Transcript(rules, retain=1)
        self._captions: CaptionWriter | None = None
        self._translations: TranslationWriter | None = None
        self._awaits_language = False
        self._tells_languages = False
        self._untold: list[Mapping[str, object]] = []  # warnings
        self._account: AudioAccount | None = None
        self._has_failed = False

    def open(self) -> list[Command]:
        return []

    def receive(self, message: str | bytes) -> list[Command]:
        if self._options is None:
            return [self._configure(message)]
        if is_end_of_audio(message):
            self._audio_ended = True
            return [EndOfAudio()]
        if isinstance(message, str):
            raise InvalidMessage(
                "after the options only binary audio and END_OF_AUDIO are understood, "
                f"but this is a text message of {len(message)} characters"
            )
        if self._audio_ended:
            return []
        samples = self._pcm.read(message)
        return [Audio(samples)] if len(samples) else []

    def welcome(self, welcome: Welcome) -> list[str]:
        # Stock clients store completed segments only from a backend of exactly this name.
        ready = {"message": SERVER_READY, "backend": "faster_whisper"}
        known = {
            "engine": welcome.engine,
            "model": welcome.model,
            "notice": welcome.notice or None,
            "rtf": None if welcome.rtf is None else round(welcome.rtf, 3),
            "largest_live_model": welcome.largest_live_model,
        }
        return [self._message(ready | {key: value for key, value in known.items() if value})]

    def refuse_full(self, retry_after_s: float) -> list[str]:
        return [self._message({"status": "WAIT", "message": float(retry_after_s / 60)})]

    def encode(self, events: Sequence[Event], lag_s: float = 0.0) -> list[str]:
        messages: list[str] = []
        completed: list[Segment] = []
        translations: list[str] = []
        revisions: list[str] = []
        failure: list[str] = []
        for event in events:
            completed += self._transcript.apply(event)
            match event:
                case LanguageDetected():
                    messages += self._language(event)
                case InputImpaired(fault=fault):
                    self._untold.append({"message": INPUT_NOTICES[fault], "input": fault.value})
                case SessionNotice(text=text):
                    self._untold.append({"message": text})
                case TranslationUpdated() | TranslationCommitted():
                    translations += self._translated(event)
                case SpeakersRevised():
                    revisions += self._speaker_turns(event)
                case TranscriptRevised():
                    revisions += self._revision(event)
                case AudioGap():
                    messages.append(self._gap(event))
                case SessionEnded(account=account):
                    self._account = account
                case SessionFailed(account=account, public_reason=reason):
                    self._account = account
                    failure = self._error(reason)
        messages += self._warnings() + self._segments(completed)
        return messages + revisions + translations + failure

    def fail(self, error: WhisperStreamingError) -> list[str]:
        return self._error(error.public_reason)

    def overtime(self) -> list[str]:
        return [self._message({"message": DISCONNECT})]

    def farewell(self, decode_s: float) -> list[str]:
        if self._options is None or not self._options.summary or self._account is None:
            return []
        return [
            self._message(
                {
                    "message": SESSION_SUMMARY,
                    "received": self._account.received,
                    "decoded": self._account.decoded,
                    "silence": self._account.silence,
                    "gap": self._account.gap,
                    "decode_s": round(decode_s, 3),
                }
            )
        ]

    def close_code(self, error: WhisperStreamingError) -> int:
        # Its clients were told to wait, which is no error.
        return NORMAL_CLOSURE if isinstance(error, ServerFull) else error.close_code

    def _configure(self, message: str | bytes) -> Configure:
        # Known before anything is checked, so that the error names its addressee.
        self._uid = peek_uid(message) or ""
        if isinstance(message, bytes):
            raise InvalidMessage(
                "the first message must be a JSON object with the options, sent as text, "
                f"but it is binary ({len(message)} bytes)"
            )
        options = parse_options(message)
        self._options = options
        self._pcm = PcmReader(options.audio_format)
        self._captions = CaptionWriter(options)
        self._translations = TranslationWriter(options)
        self._awaits_language = self._tells_languages = options.awaits_language
        return Configure(
            uid=options.uid,
            language=options.language,
            detect_language=options.wants_detection,
            task=options.task,
            model=options.model,
            use_vad=options.use_vad,
            prompt=options.initial_prompt or "",
            hotwords=options.hotwords or "",
            max_connection_time_s=options.max_connection_time,
            target_language=options.wanted_translation,
            takes_translation=options.takes_translation,
            wants_speakers=options.enable_diarization,
            max_speakers=options.max_speakers,
            takes_revision=options.summary,
            vad=_vad_wishes(options.vad_parameters),
        )

    def _segments(self, completed: Sequence[Segment]) -> list[str]:
        if self._captions is None:
            raise SessionStateError("events were encoded before the options were received")
        # Stock clients take the language only before the first segments. A partial can wait for
        # it, final words cannot: then the language follows late.
        if self._awaits_language and not completed and not self._captions.has_written:
            return []
        return self._captions.write(completed, self._transcript.open_segment)

    def _translated(self, event: TranslationUpdated | TranslationCommitted) -> list[str]:
        assert self._translations is not None  # made with the options, as the captions
        return self._translations.write(event)

    def _speaker_turns(self, revision: SpeakersRevised) -> list[str]:
        if self._options is None or not self._options.summary:
            return []  # a stock client would not understand it
        turns = [
            {"start": round(turn.start, 3), "end": round(turn.end, 3), "speaker": turn.speaker}
            for turn in revision.turns
        ]
        return [self._message({"speaker_turns": turns})]

    def _revision(self, event: TranscriptRevised) -> list[str]:
        if self._captions is None or self._options is None or not self._options.summary:
            return []  # a stock client would not understand it
        segments = self._captions.describe(fold(event.utterances, self._transcript.rules))
        return [self._message({"revision": {"language": event.language, "segments": segments}})]

    def _language(self, event: LanguageDetected) -> list[str]:
        if not self._tells_languages:
            return []
        self._awaits_language = False
        # Stock clients know of one language; ours asks for more than they understand.
        self._tells_languages = self._options is not None and self._options.summary
        probability = round(event.probability, 4)
        return [self._message({"language": event.language, "language_prob": probability})]

    def _gap(self, gap: AudioGap) -> str:
        span = {"start": round(gap.start, 3), "end": round(gap.end, 3)}
        return self._message({"status": "WARNING", "message": describe_gap(gap), "gap": span})

    def _warnings(self) -> list[str]:
        options = self._options
        # WhisperLive's browser extension that asked for the language takes whatever comes after
        # SERVER_READY for it. Clients of ours can be told at once that they are muted.
        if self._awaits_language and not (options is not None and options.summary):
            return []
        untold, self._untold = self._untold, []
        return [self._message({"status": "WARNING", **warning}) for warning in untold]

    def _error(self, reason: str) -> list[str]:
        # A failed session is an event and then an error of the connection as well.
        if self._has_failed:
            return []
        self._has_failed = True
        return [self._message({"status": "ERROR", "message": reason})]

    def _message(self, fields: Mapping[str, object]) -> str:
        return json.dumps({"uid": self._uid, **fields})


def _vad_wishes(parameters: VadParameters | None) -> VadWishes:
    if parameters is None:
        return VadWishes()
    return VadWishes(
        threshold=parameters.threshold,
        release=parameters.neg_threshold,
        min_speech_s=_seconds(parameters.min_speech_duration_ms),
        silence_s=_seconds(parameters.min_silence_duration_ms),
        pre_roll_s=_seconds(parameters.speech_pad_ms),
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
