"""Where the hook stands in a session: after everything else, before all who read."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import (
    Event,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SpeakersRevised,
    TranscriptRevised,
    TranslationCommitted,
    TranslationUpdated,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.core.transcript import Segment, SegmentRules, Transcript, fold
from whisper_streaming.live.stages import NEWS_S, SECOND_LOOK_GOES_ON, Emit, EventSource
from whisper_streaming.text_hook.facts import TextFacts

_ENGLISH: Final = "en"  # what Whisper translates to


Apply = Callable[[Words, TextFacts], Awaitable[Words]]
"""Gives words as they are to be sent; raises nothing and takes a bounded time."""


class TextHookStage:
    """Shows a hook whole segments.

    A name or a number may be several words long, so no word is final before its segment is
    complete: until then it is shown as text that may change, which the hook sees, too.

    Args:
        apply: The hook.
        rules: When a segment is complete.
        uid: The client's name for its session.
        language: Spoken; None while it is to be detected.
        is_translated: The session gives English, whatever is spoken.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        apply: Apply,
        rules: SegmentRules,
        *,
        uid: str,
        language: str | None,
        is_translated: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._apply = apply
        self._transcript = Transcript(rules, retain=1)
        self._uid = uid
        self._language = _ENGLISH if is_translated else language
        self._is_translated = is_translated
        self._clock = clock
        self._utterance_id = 0
        self._shows_partial = False

    def receive_audio(self, samples: FloatArray) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""

    async def run(self, source: EventSource, emit: Emit) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        while events := await source.take():
            changed: list[Event] = []
            for event in events:
                if isinstance(event, TranscriptRevised):
                    emit(changed)  # it may take long, and nothing else should
                    changed = [await self._revised(event, emit)]
                else:
                    changed += await self._receive(event)
            emit([*changed, *await self._show_open()])
        if rest := await self._commit(self._transcript.complete_open()):
            emit(rest)

    async def _receive(self, event: Event) -> list[Event]:
        """What goes out of the final events; what is open is shown after all of them."""
        match event:
            case (
                WordsCommitted(utterance_id=utterance_id)
                | PartialUpdated(utterance_id=utterance_id)
            ):
                self._utterance_id, self._shows_partial = utterance_id, True
                return await self._commit(self._transcript.apply(event))
            case UtteranceEnded() | SessionEnded() | SessionFailed():
                self._shows_partial = False
                return [*await self._commit(self._transcript.apply(event)), event]
            case TranslationUpdated(text=text):
                return [replace(event, text=await self._translated(event, text))]
            case TranslationCommitted(text=str(text)):
                # One that the hook takes away is as good as none.
                return [replace(event, text=await self._translated(event, text) or None)]
            case SpeakersRevised():
                return [*await self._commit(self._transcript.apply(event)), event]
            case LanguageDetected(language=language) if not self._is_translated:
                self._language = language
        return [event]

    async def _commit(self, segments: tuple[Segment, ...]) -> list[Event]:
        committed: list[Event] = []
        for segment in segments:
            words = await self._apply(segment.words, self._facts(segment, is_final=True))
            if words:
                committed.append(WordsCommitted(self._utterance_id, words))
        return committed

    async def _translated(self, event: TranslationUpdated | TranslationCommitted, text: str) -> str:
        """What the hook makes of a translation."""
        is_final = isinstance(event, TranslationCommitted)
        facts = TextFacts(self._uid, event.language, None, is_final)
        words = await self._apply((Word(f" {text}", event.start, event.end),), facts)
        return join_words(words).strip()

    async def _revised(self, event: TranscriptRevised, emit: Emit) -> TranscriptRevised:
        """By segments, as what was said live, with a sign of life now and then."""
        told_at = self._clock()
        utterances: list[Words] = []
        for utterance in event.utterances:
            words: Words = ()
            for segment in fold([utterance], self._transcript.rules):
                facts = self._facts(segment, is_final=True)
                if event.language is not None and not self._is_translated:
                    facts = replace(facts, language=event.language)
                words += await self._apply(segment.words, facts)
                if self._clock() - told_at >= NEWS_S:
                    told_at = self._clock()
                    emit([SECOND_LOOK_GOES_ON])
            utterances.append(words)
        return replace(event, utterances=tuple(utterances))

    async def _show_open(self) -> list[Event]:
        if not self._shows_partial:
            return []
        self._shows_partial = False
        segment = self._transcript.open_segment
        words: Words = ()
        if segment is not None:
            words = await self._apply(segment.words, self._facts(segment, is_final=False))
        return [PartialUpdated(self._utterance_id, words)]

    def _facts(self, segment: Segment, *, is_final: bool) -> TextFacts:
        return TextFacts(self._uid, self._language, segment.speaker, is_final)
