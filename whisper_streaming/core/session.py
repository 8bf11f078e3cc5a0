"""The session: audio in, decode requests and events out. A state machine without I/O.

    silence  --speech starts-->  speech  --endpoint, idle input, end of audio-->  last decode
       ^                          |   ^ hypothesis: words commit, window moves         |
       +--------------------------+---+-------------- utterance ends ------------------+

At most one request is in flight. Audio and boundaries that arrive meanwhile wait, and the
next request covers all of it, so a busy decoder means fewer updates and never lost audio.
"""

from dataclasses import dataclass, field, replace
from enum import Enum, auto

from whisper_streaming.core.audio import SAMPLE_RATE, AudioBuffer, FloatArray, samples_of
from whisper_streaming.core.context import Context
from whisper_streaming.core.endpoint import EndpointRules
from whisper_streaming.core.events import (
    AudioAccount,
    AudioGap,
    Event,
    GapReason,
    InputImpaired,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SpeechStarted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.filters import is_doubtful
from whisper_streaming.core.finder import UtteranceFinder
from whisper_streaming.core.hearing import Hearing, heard_until
from whisper_streaming.core.hypothesis import (
    DecodeOptions,
    DecodeRequest,
    Hypothesis,
    WindowRules,
    Words,
)
from whisper_streaming.core.language import LanguageChoice, LanguageRules
from whisper_streaming.core.ledger import AudioLedger
from whisper_streaming.core.policy import CommitPolicy, LocalAgreement
from whisper_streaming.core.quality import QualityRules
from whisper_streaming.core.utterance import Utterance
from whisper_streaming.core.window import Window
from whisper_streaming.errors import SessionStateError

_FAILURES_TO_GIVE_UP = 3
# Less of it in front of speech is not worth a decode of its own.
_SHORTEST_SILENCE_S = 0.1
# As much as a decode of a slow model takes.
_LATE_S = 2.0
# With so much audio behind a window it is looked at twice only if that has helped the last time.
_MUCH_WAITING_S = 6.0
# Longer pauses are not worth a place in a window.
_LONGEST_JOINED_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Everything a session is told at its start.

    Attributes:
        options: What goes into every decode request.
        window: How windows are cut; from the model's profile.
        policy: When words become final.
        endpoint: When an utterance starts and ends.
        min_chunk_s: New audio that is worth another decode of an open utterance.
        decodes_last_anew: Whether the last decode of an utterance is a better one than those
            before it, and so is worth its time even if nothing new was said.
        withhold_silence: Whether audio without speech is kept from decoding (``use_vad``).
        context_s: Silence after which earlier text is no context any more.
        language: When a detected language is believed.
        quality: When the input is at fault; None does not judge it.
        knows_voices: Whether speech probabilities tell a voice from other sound, and not only
            loud from quiet. Then words that nobody's voice speaks for are dropped.
    """

    options: DecodeOptions = field(default_factory=DecodeOptions)
    window: WindowRules = field(default_factory=WindowRules)
    policy: CommitPolicy = field(default_factory=LocalAgreement)
    endpoint: EndpointRules = field(default_factory=EndpointRules)
    min_chunk_s: float = 0.3
    decodes_last_anew: bool = False
    withhold_silence: bool = True
    context_s: float = 5.0
    language: LanguageRules = field(default_factory=LanguageRules)
    quality: QualityRules | None = None
    knows_voices: bool = False


class _Input(Enum):
    """What can still come in."""

    OPEN = auto()  # audio
    ENDED = auto()  # answers to requests
    OVER = auto()  # nothing: the terminal event was emitted


class Session:
    """Sans-I/O state machine of one transcription: audio in, decode requests and events out."""

    def __init__(self, config: SessionConfig) -> None:
        self._config = config
        self._options = config.options
        self._language = LanguageChoice(config.options.language, config.language)
        self._audio = AudioBuffer()
        self._ledger = AudioLedger()
        self._finder = UtteranceFinder(config.endpoint, withholds_silence=config.withhold_silence)
        self._utterance: Utterance | None = None
        self._utterance_count = 0
        self._spoken_until = 0  # last word of the utterances before
        is_translation = config.options.task == "translate"
        self._context = Context(config.options.prompt, is_translation=is_translation)
        self._context_misleads = True  # a doubtful window is worth a look without context
        self._in_flight: DecodeRequest | None = None
        self._failures = 0
        self._input = _Input.OPEN
        self._events: list[Event] = []
        self._hearing = Hearing(config.endpoint, config.quality, knows_voices=config.knows_voices)

    # -- what comes in

    def receive_audio(self, samples: FloatArray, speech_probs: FloatArray) -> None:
        """Take the next audio.

        Args:
            samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
            speech_probs: float32, shape (k,): probabilities of the detector's frames that are
                complete by now and were not given before.

        Raises:
            SessionStateError: After the end of the audio.
        """
        if self.is_over:
            return
        if self._input is not _Input.OPEN:
            raise SessionStateError("audio after the end of the audio")
        self._audio.append(samples)
        keep_from = self._audio.start_sample
        faults = self._hearing.receive(samples, speech_probs, keep_from=keep_from)
        received_s = self._audio.end_sample / SAMPLE_RATE
        self._events += [InputImpaired(fault, received_s) for fault in faults]
        self._finder.receive(speech_probs.tolist())
        self._advance()

    def receive_eof(self) -> None:
        """No audio will follow. Idempotent."""
        if self._input is _Input.OPEN:
            self._input = _Input.ENDED
            self._finder.end_here(self._audio.end_sample)
            self._advance()

    def receive_idle(self) -> None:
        """No input for so long that the open utterance is ended and flushed. Audio may follow."""
        if self._input is _Input.OPEN:
            self._finder.end_here(self._audio.end_sample)
            self._advance()

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the answer to the request in flight.

        Raises:
            SessionStateError: If none is.
        """
        request, utterance = self._take_request()
        self._failures = 0
        utterance.decoded_until = heard = heard_until(request, hypothesis)
        self._ledger.book_decoded(request.start_sample, request.end_sample)
        words = self._hearing.spoken_words(request, hypothesis)
        is_vetoed = bool(hypothesis.words) and not words
        if is_vetoed and request.is_last:
            self._context.forget()  # what was said before may have led to it
        hypothesis = replace(hypothesis, words=words)
        language_known = self._decide_language(request, hypothesis)
        if self._was_misled(request, hypothesis) or self._hears_another(request, hypothesis):
            self._context.forget()
            # Ask for the same audio again.
            utterance.requested_until = utterance.decoded_until = request.start_sample
        elif request.end_sample == utterance.end:
            self._emit_committed(utterance.commit_all(words))
            if heard < request.end_sample and utterance.moves_on(request):
                # The decoder had no room for all that was said: the rest follows these words.
                self._move_window(utterance, utterance.trim(heard, self._config.window))
            else:
                self._end_utterance(utterance)
        elif self._is_full(request):
            self._emit_committed(utterance.commit_full(hypothesis, request.end))
            self._move_window(utterance, utterance.restart_after(heard))
            self._emit_partial(utterance, request.end)
        elif is_vetoed:
            utterance.veto()
            self._emit_partial(utterance, request.end)
            self._end_at_decoder_pause(request, utterance)
        elif language_known:
            safe = utterance.commit_agreed(hypothesis, self._config.policy, request.end)
            self._emit_committed(safe)
            self._move_window(utterance, utterance.trim(request.end_sample, self._config.window))
            self._emit_partial(utterance, request.end)
            self._end_at_decoder_pause(request, utterance)
        else:
            utterance.hold(words)
            self._end_at_decoder_pause(request, utterance)
        self._advance()

    def receive_failure(self) -> None:
        """The request in flight failed for good; its audio is asked for again, or reported lost.

        Raises:
            SessionStateError: If no request is in flight.
        """
        request, utterance = self._take_request()
        self._failures += 1
        if self._failures >= _FAILURES_TO_GIVE_UP:
            account = self._lose_rest(GapReason.SESSION_FAILED)
            reason = f"decoding failed {self._failures} times in a row"
            self._events.append(SessionFailed(account, reason))
            return
        # Any other window is asked for again with the audio that arrives until then.
        if request.end_sample == utterance.end:
            self._lose(request.end_sample, GapReason.DECODE_FAILED)
            self._emit_committed(utterance.commit_all(utterance.tail))
            self._end_utterance(utterance)
        elif self._is_full(request):
            self._lose(request.end_sample, GapReason.DECODE_FAILED)
            self._emit_committed(utterance.commit_all(utterance.tail))
            self._move_window(utterance, utterance.restart_after(request.end_sample))
            self._emit_partial(utterance, request.end)
        self._advance()

    def abandon(self) -> None:
        """End now, whatever waits: there is no time left to decode it. Idempotent."""
        if not self.is_over:
            self._events.append(SessionEnded(self._lose_rest(GapReason.OUT_OF_TIME)))

    # -- what goes out

    def decode_due(self) -> DecodeRequest | None:
        """The request that :meth:`decode_to_run` would start now, or None. Changes nothing."""
        window = self._window_due()
        if window is None:
            return None
        return window.request(self._audio, self._options, self._context.text)

    def decode_to_run(self) -> DecodeRequest | None:
        """The next request; None while one is in flight or nothing is worth decoding.

        Between two requests everything that came in counts, so the longer a caller with other
        work waits to ask, the more audio each request covers.
        """
        request = self.decode_due()
        if request is not None:
            self._in_flight = request
        return request

    @property
    def is_last_due(self) -> bool:
        """Whether the next request ends its utterance, so that a person waits for it."""
        window = self._window_due()
        return window is not None and window.is_last

    def events_to_send(self) -> list[Event]:
        """Drain what happened since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def lag_s(self) -> float:
        """Seconds of received speech that wait to be decoded. Silence is not lag."""
        if self._utterance is None:
            return 0.0
        return max(0, self._audio.end_sample - self._ledger.cursor) / SAMPLE_RATE

    @property
    def has_open_utterance(self) -> bool:
        """Whether speech is being transcribed, so that idle input must flush it."""
        return self._utterance is not None or self._finder.has_candidate

    @property
    def is_over(self) -> bool:
        """Whether the terminal event was emitted."""
        return self._input is _Input.OVER

    # -- speech begins and ends

    def _advance(self) -> None:
        """Apply the boundaries that are due. They wait while a request is in flight."""
        while self._in_flight is None and not self.is_over:
            if self._utterance is None:
                self._utterance = self._next_utterance()
            utterance = self._utterance
            if utterance is None:
                if self._input is _Input.ENDED:
                    self._input = _Input.OVER
                    self._events.append(SessionEnded(self._ledger.close(self._audio.end_sample)))
                return
            if utterance.end is None:
                self._cut_silence_off(utterance)
            if utterance.end is None and (end := self._finder.next_end()) is not None:
                # The last window may not be shorter than one that words were heard in.
                utterance.end = max(end, utterance.requested_until)
            if utterance.end is None:
                return
            if self._is_heard_out(utterance):
                self._emit_committed(utterance.commit_all(utterance.tail))
                self._end_utterance(utterance)
            elif not self._goes_on(utterance, utterance.end):
                return

    def _cut_silence_off(self, utterance: Utterance) -> None:
        """Without VAD, let the first window of speech begin as with it.

        Silence in front of it costs words. Unless it was decoded already, it becomes an utterance
        of its own; a decoder that is late has no time for that.
        """
        start = self._finder.speech_start
        if self._config.withhold_silence or start is None or not utterance.is_wordless:
            return
        cut = start - samples_of(self._config.endpoint.pre_roll_s)
        is_long = cut - utterance.window_start >= samples_of(_SHORTEST_SILENCE_S)
        if not is_long or self.lag_s > _LATE_S:
            return
        if utterance.decoded_until >= cut:
            utterance.window_start = cut
            self._audio.drop_before(cut)
        else:
            utterance.end, utterance.is_silence = cut, True

    def _is_heard_out(self, utterance: Utterance) -> bool:
        """Whether the newest window was the last one already, so that its words can be kept."""
        if utterance.is_wordless and not self._config.withhold_silence:
            return utterance.end is not None and utterance.decoded_until >= utterance.end
        is_language_known = self._options.language is not None
        return (
            not self._config.decodes_last_anew
            and is_language_known
            and utterance.decoded_until == utterance.end
        )

    def _goes_on(self, utterance: Utterance, end: int) -> bool:
        """Join an utterance that waits for its last decode with the next one, if there is one.

        A decoder that is slow or has much to do hears both in one window. Otherwise somebody who
        speaks single words could get ahead of it without end.
        """
        if utterance.is_silence or self._language.may_change:
            return False
        rules = self._config.window
        # Half of the longest window: the other half is for what is said next.
        joined_s = rules.max_window_s / 2 if rules.joined_s is None else rules.joined_s
        room = utterance.window_start + samples_of(joined_s)
        if not self._finder.join_next(end + samples_of(_LONGEST_JOINED_PAUSE_S), room):
            return False
        utterance.go_on()
        return True

    def _next_utterance(self) -> Utterance | None:
        """Open the next utterance, if there is one; else forget the silence."""
        found = self._finder.next_start(self._audio.end_sample)
        if found is None:
            if self._config.withhold_silence:
                self._forget_before(self._finder.keeps_from)
            return None
        window_start, speech_start = found
        window_start = max(window_start, self._audio.start_sample)
        pause = window_start - self._spoken_until
        if self._utterance_count and pause > samples_of(self._config.context_s):
            self._context.forget()
        self._forget_before(window_start)
        self._utterance_count += 1
        self._events.append(SpeechStarted(self._utterance_count, window_start / SAMPLE_RATE))
        return Utterance(
            self._utterance_count, window_start, speech_start, self._config.policy.history
        )

    def _end_at_decoder_pause(self, request: DecodeRequest, utterance: Utterance) -> None:
        """Without VAD, a window in which nothing was said for long ends its utterance."""
        if self._config.withhold_silence or utterance.end is not None or utterance.tail:
            return
        last_word_end = utterance.prefix[-1].end if utterance.prefix else request.start
        pause_s = 2 * self._config.endpoint.silence_s + 1.0
        if request.end - last_word_end >= pause_s:
            # A word that has just begun is not heard yet; it belongs to the next utterance whole.
            onset_s = min(self._config.endpoint.pre_roll_s, pause_s / 2)
            utterance.end = request.end_sample - samples_of(onset_s)

    def _end_utterance(self, utterance: Utterance) -> None:
        assert utterance.end is not None
        self._context.remember(utterance.prefix)
        if utterance.prefix:
            self._spoken_until = samples_of(utterance.prefix[-1].end)
        self._language.end_utterance()
        self._use_language()
        self._finder.close(utterance.end)
        self._forget_before(utterance.end)
        self._utterance = None
        self._events.append(UtteranceEnded(utterance.utterance_id, utterance.end / SAMPLE_RATE))

    # -- decoding

    def _window_due(self) -> Window | None:
        """The window that is worth decoding now, if there is one and none is in flight."""
        if self._utterance is None or self._in_flight is not None or self.is_over:
            return None
        max_window_s = self._config.window.max_window_s
        window = Window.of(self._utterance, self._audio.end_sample, max_window_s)
        is_due = window.is_worth_a_decode(
            self._finder.speech_start, self._finder.quiet_from, self._config.min_chunk_s
        )
        return window if is_due else None

    def _is_full(self, request: DecodeRequest) -> bool:
        return len(request.samples) >= samples_of(self._config.window.max_window_s)

    def _take_request(self) -> tuple[DecodeRequest, Utterance]:
        request, self._in_flight = self._in_flight, None
        if request is None or self._utterance is None:
            raise SessionStateError("an answer without a request")
        self._utterance.requested_until = request.end_sample
        return request, self._utterance

    def _decide_language(self, request: DecodeRequest, hypothesis: Hypothesis) -> bool:
        """Keep the detected language once it is certain; return whether words may be committed."""
        detected = self._language.hear(request, hypothesis)
        if detected is not None:
            self._events.append(detected)
        self._use_language()
        return self._options.language is not None

    def _use_language(self) -> None:
        if self._options.language != self._language.fixed:
            self._options = replace(self._options, language=self._language.fixed)

    def _hears_another(self, request: DecodeRequest, hypothesis: Hypothesis) -> bool:
        """Whether words that would stay were decoded in, or behind text of, another language."""
        if request.options.language is not None or not hypothesis.words:
            return False
        fixed = self._language.fixed
        if fixed not in (None, hypothesis.language):
            return True
        stays = fixed is not None or request.is_last
        return stays and self._context.has_words and self._language.follows_another(hypothesis)

    def _was_misled(self, request: DecodeRequest, hypothesis: Hypothesis) -> bool:
        """Whether an utterance begins doubtfully with earlier text as context.

        Once words are committed they are the better context, and it is too late to change them.
        """
        if request.prefix:
            return False
        if not is_doubtful(hypothesis):
            self._context_misleads = True  # what it was without doubt, it may be again
            return False
        if not self._context.has_words:
            self._context_misleads = False  # it is in doubt without any
            return False
        # An upload has much waiting at once. So has a slow model; one that is lost, as with noise,
        # would be asked for everything twice and fall behind for good.
        waiting = self._audio.end_sample - request.end_sample
        return self._context_misleads or waiting <= samples_of(_MUCH_WAITING_S)

    def _lose(self, end: int, reason: GapReason) -> None:
        lost = self._ledger.book_gap(self._ledger.cursor, end)
        if lost is not None:
            self._events.append(AudioGap(lost[0] / SAMPLE_RATE, lost[1] / SAMPLE_RATE, reason))

    def _lose_rest(self, reason: GapReason) -> AudioAccount:
        """Keep the words heard, report all audio that was not decoded as lost, and be over."""
        utterance = self._utterance
        if utterance is not None:
            self._emit_committed(utterance.commit_all(utterance.tail))
            self._lose(self._audio.end_sample, reason)
            end = self._audio.end_sample / SAMPLE_RATE
            self._events.append(UtteranceEnded(utterance.utterance_id, end))
        self._utterance = self._in_flight = None
        self._input = _Input.OVER
        return self._ledger.close(self._audio.end_sample)

    # -- words

    def _emit_committed(self, words: Words) -> None:
        if words and self._utterance is not None:
            self._events.append(WordsCommitted(self._utterance.utterance_id, words))

    def _emit_partial(self, utterance: Utterance, audio_end: float) -> None:
        shown = utterance.shown(audio_end)
        self._events.append(PartialUpdated(utterance.utterance_id, shown))

    def _move_window(self, utterance: Utterance, left: Words) -> None:
        """The window moved on: ``left`` are the words before it now, and nobody needs the audio."""
        self._context.remember(left)
        self._audio.drop_before(utterance.window_start)

    def _forget_before(self, sample: int) -> None:
        """Audio before ``sample`` is not needed any more; what nobody decoded of it was silence."""
        self._audio.drop_before(sample)
        self._ledger.book_silence(min(sample, self._audio.end_sample))
