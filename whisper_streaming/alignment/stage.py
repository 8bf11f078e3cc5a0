"""Aligns the committed words of a session on their way out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from whisper_streaming.alignment.words import in_order
from whisper_streaming.core.audio import AudioBuffer, FloatArray, samples_of
from whisper_streaming.core.events import (
    Event,
    LanguageDetected,
    PartialUpdated,
    SessionNotice,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Words
from whisper_streaming.live.stages import Emit, EventSource

CONTEXT_WORDS: Final = 2
"""Words on either side that are aligned, too, so that a new word is not found in a neighbour."""
LEAD_S: Final = 1.0
"""Audio in front of a word that has no neighbour there: attention may be so late."""
TAIL_S: Final = 0.5
"""Audio behind the last word of an utterance."""
KEPT_WINDOW_S: Final = 40.0
"""Audio that is kept beside a session's backlog: a window has 30 s at most."""
MAX_BACKLOG_S: Final = 240.0
"""15 MB. Words of a client that sends faster than that get the decoder's times."""


class Aligner(Protocol):
    """Aligns for all sessions."""

    async def align(
        self,
        language: str,
        words: Words,
        samples: FloatArray,
        start_sample: int,
        *,
        within_s: float,
    ) -> Words | None:
        """See :func:`~whisper_streaming.alignment.words.align`; None if it cannot be had in time.

        Raises nothing, and takes no longer than ``within_s``.
        """
        ...

    def complaint(self, language: str) -> str | None:
        """Why words of ``language`` are not aligned and will not be; fit for a client."""
        ...


class AlignmentStage:
    """Gives committed words their measured times. Text, order and partials stay as they are.

    Args:
        aligner: Shared by all sessions.
        language: Spoken; None while it is to be detected.
        hold_s: How long words may be held for their times.
        backlog_s: Audio that may have come before it is decoded.
    """

    def __init__(
        self, aligner: Aligner, *, language: str | None, hold_s: float, backlog_s: float = 0.0
    ) -> None:
        self._aligner = aligner
        self._language = language
        self._hold_s = hold_s
        self._audio = AudioBuffer()
        self._kept_samples = samples_of(KEPT_WINDOW_S + min(backlog_s, MAX_BACKLOG_S))
        self._before: Words = ()  # the last words of the utterance that were sent
        self._sent_until = 0.0
        self._has_complained = False

    def receive_audio(self, samples: FloatArray) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        self._audio.append(samples)
        self._audio.drop_before(self._audio.end_sample - self._kept_samples)

    async def run(self, source: EventSource, emit: Emit) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        while events := await source.take():
            for index, event in enumerate(events):
                emit(await self._receive(event, events[index + 1 :]))

    async def _receive(self, event: Event, following: Sequence[Event]) -> list[Event]:
        match event:
            case LanguageDetected(language=language):
                self._language = language
            case WordsCommitted(words=words) if words:
                aligned = await self._align(words, _next_words(following))
                return [replace(event, words=aligned), *self._complaints()]
            case PartialUpdated(words=words) if words and words[0].start < self._sent_until:
                return [replace(event, words=in_order(words, earliest=self._sent_until))]
            case UtteranceEnded(end=end):
                self._before = ()
                self._audio.drop_before(samples_of(max(0.0, end - LEAD_S)))
        return [event]

    async def _align(self, words: Words, after: Words) -> Words:
        """``words``, aligned if that can be had, and never before what was sent."""
        known = (*self._before, *words, *after)
        start = samples_of(self._where_to_begin(known[0].start))
        end = samples_of(known[-1].end + (0.0 if after else TAIL_S))
        end = min(end, self._audio.end_sample)
        aligned: Words | None = None
        if self._language is not None and self._audio.start_sample <= start <= end:
            samples = self._audio.read(start, end)
            aligned = await self._aligner.align(
                self._language, known, samples, start, within_s=self._hold_s
            )
        first = len(self._before)
        sent = words if aligned is None else aligned[first : first + len(words)]
        sent = in_order(sent, earliest=self._sent_until)
        self._before = (*self._before, *sent)[-CONTEXT_WORDS:]
        self._sent_until = sent[-1].end
        return sent

    def _where_to_begin(self, start: float) -> float:
        """Not in an earlier utterance: its words would be taken for these."""
        if self._before:
            return start
        return max(start - LEAD_S, min(self._sent_until, start), 0.0)

    def _complaints(self) -> list[Event]:
        """Say once why there are no aligned times."""
        if self._has_complained or self._language is None:
            return []
        complaint = self._aligner.complaint(self._language)
        if complaint is None:
            return []
        self._has_complained = True
        return [SessionNotice(complaint)]


def _next_words(following: Sequence[Event]) -> Words:
    """What is said behind the committed words, as far as it is known."""
    for event in following:
        match event:
            case WordsCommitted(words=words) | PartialUpdated(words=words) if words:
                return words[:CONTEXT_WORDS]
            case UtteranceEnded():
                return ()
    return ()
