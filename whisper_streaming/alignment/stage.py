"""Aligns the committed words of a session on their way out."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Protocol

from whisper_streaming.alignment.words import in_order
from whisper_streaming.core.audio import AudioBuffer, FloatArray, samples_of, seconds
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

SHOWN_AFTER_S: Final = 0.1
"""Words that are held for longer are shown meanwhile, as text that may change."""
CONTEXT_WORDS: Final = 2
"""Words on either side that are aligned, too, so that a new word is not found in a neighbour."""
LEAD_S: Final = 1.0
"""Audio in front of a word that has no neighbour there: attention may be so late."""
TAIL_S: Final = 0.5
"""Audio behind the last word of an utterance."""
PASSAGE_S: Final = 4.0
"""What is aligned at once, so that no other session waits for long: about a second on a CPU."""
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
        wanted: slice,
        within_s: float | None,
    ) -> Words | None:
        """Those of ``words`` that are ``wanted``; None if that cannot be had in time.

        Raises nothing.

        Args:
            language: Whisper language code.
            words: See :func:`~whisper_streaming.alignment.words.align`, as what follows.
            samples: See there.
            start_sample: See there.
            wanted: The other words stand around them, and are known.
            within_s: How long it may take at most; None is what the model needs.
        """
        ...

    def complaint(self, language: str) -> str | None:
        """Why words of ``language`` are not aligned and will not be; fit for a client."""
        ...


class AlignmentStage:
    """Gives committed words their measured times. Text and order stay as they are.

    Where that takes long, what is heard meanwhile is shown as text that may change, so that only
    what is final comes later.

    Args:
        aligner: Shared by all sessions.
        language: Spoken; None while it is to be detected.
        hold_s: How long words may be held for their times; None is what the model needs.
        backlog_s: Audio that may have come before it is decoded.
    """

    def __init__(
        self,
        aligner: Aligner,
        *,
        language: str | None,
        hold_s: float | None,
        backlog_s: float = 0.0,
    ) -> None:
        self._aligner = aligner
        self._language = language
        self._hold_s = hold_s
        self._audio = AudioBuffer()
        self._kept_samples = samples_of(KEPT_WINDOW_S + min(backlog_s, MAX_BACKLOG_S))
        # Text only. It grows where audio is decoded faster than it is aligned: faster than spoken.
        self._due: deque[Event] = deque()
        self._has_due = asyncio.Event()
        self._is_drained = False
        self._shown: WordsCommitted | None = None  # words that are held for long
        self._before: Words = ()  # the last words of the utterance that were sent
        self._sent_until = 0.0
        self._complained_of: set[str] = set()

    def receive_audio(self, samples: FloatArray) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        self._audio.append(samples)
        self._audio.drop_before(self._audio.end_sample - self._kept_samples)

    async def run(self, source: EventSource, emit: Emit) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(source, emit))
            tasks.create_task(self._send(emit))

    async def _read(self, source: EventSource, emit: Emit) -> None:
        while events := await source.take():
            # As in the queue before it: the newest partial takes the place of older ones.
            if any(isinstance(event, PartialUpdated) for event in events):
                self._due = deque(e for e in self._due if not isinstance(e, PartialUpdated))
            self._due.extend(events)
            self._has_due.set()
            self._show(emit)
        self._is_drained = True
        self._has_due.set()

    async def _send(self, emit: Emit) -> None:
        while True:
            await self._has_due.wait()
            while self._due:
                emit(await self._receive(self._take_due(), emit))
            if self._is_drained:
                return
            self._has_due.clear()

    def _take_due(self) -> Event:
        """The next event; commits that wait behind one another are one, to be aligned at once."""
        event = self._due.popleft()
        while (
            isinstance(event, WordsCommitted)
            and self._due
            and isinstance(following := self._due[0], WordsCommitted)
            and following.utterance_id == event.utterance_id
        ):
            self._due.popleft()
            event = replace(event, words=(*event.words, *following.words))
        return event

    async def _receive(self, event: Event, emit: Emit) -> list[Event]:
        match event:
            case LanguageDetected(language=language):
                self._language = language
            case WordsCommitted(words=words) if words:
                async with asyncio.TaskGroup() as tasks:
                    showing = tasks.create_task(self._begin_to_show(event, emit))
                    try:
                        aligned = await self._align_all(words)
                    finally:
                        showing.cancel()
                        self._shown = None
                return [replace(event, words=aligned), *self._complaints()]
            case PartialUpdated(words=words) if words and words[0].start < self._sent_until:
                return [replace(event, words=in_order(words, earliest=self._sent_until))]
            case UtteranceEnded(end=end):
                self._before = ()
                self._audio.drop_before(samples_of(max(0.0, end - LEAD_S)))
        return [event]

    async def _begin_to_show(self, held: WordsCommitted, emit: Emit) -> None:
        await asyncio.sleep(SHOWN_AFTER_S)
        self._shown = held
        self._show(emit)

    def _show(self, emit: Emit) -> None:
        """Show words that are held, and what is known of their utterance behind them."""
        if self._shown is not None:
            words = (*self._shown.words, *_rest_of_utterance(self._due))
            ordered = in_order(words, earliest=self._sent_until)
            emit([PartialUpdated(self._shown.utterance_id, ordered)])

    async def _align_all(self, words: Words) -> Words:
        """``words``, as far as they can be aligned while they may be held."""
        clock = asyncio.get_running_loop().time
        until = None if self._hold_s is None else clock() + self._hold_s
        sent: Words = ()
        while rest := words[len(sent) :]:
            count = _count_within(rest, PASSAGE_S)
            after = rest[count:][:CONTEXT_WORDS] or _next_words(self._due)
            within_s = None if until is None else max(0.0, until - clock())
            sent += await self._align(rest[:count], after, within_s)
        return sent

    async def _align(self, words: Words, after: Words, within_s: float | None) -> Words:
        """``words``, aligned if that can be had, and never before what was sent."""
        known = (*self._before, *words, *after)
        start = samples_of(self._where_to_begin(known[0].start))
        end = samples_of(known[-1].end + (0.0 if after else TAIL_S))
        end = min(end, self._audio.end_sample)
        aligned: Words | None = None
        if self._language is not None and self._audio.start_sample <= start <= end:
            first = len(self._before)
            aligned = await self._aligner.align(
                self._language,
                known,
                self._audio.read(start, end),
                start,
                wanted=slice(first, first + len(words)),
                within_s=within_s,
            )
        sent = in_order(words if aligned is None else aligned, earliest=self._sent_until)
        self._before = (*self._before, *sent)[-CONTEXT_WORDS:]
        self._sent_until = sent[-1].end
        return sent

    def _where_to_begin(self, start: float) -> float:
        """Not in an earlier utterance: its words would be taken for these."""
        if self._before:
            return start
        lead = max(start - LEAD_S, min(self._sent_until, start), 0.0)
        # Of an utterance that begins before the one in front of it ended, less is kept.
        return max(lead, min(start, seconds(self._audio.start_sample)))

    def _complaints(self) -> list[Event]:
        """Say once for each language why there are no aligned times."""
        language = self._language
        if language is None or language in self._complained_of:
            return []
        complaint = self._aligner.complaint(language)
        if complaint is None:
            return []
        self._complained_of.add(language)
        return [SessionNotice(complaint)]


def _count_within(words: Words, duration_s: float) -> int:
    """How many of the first words are said in ``duration_s``, at least one."""
    late = (n for n, word in enumerate(words) if word.end - words[0].start > duration_s)
    return max(1, next(late, len(words)))


def _next_words(following: Iterable[Event]) -> Words:
    """What is said behind the committed words, as far as it is known."""
    for event in following:
        match event:
            case WordsCommitted(words=words) | PartialUpdated(words=words) if words:
                return words[:CONTEXT_WORDS]
            case UtteranceEnded():
                return ()
    return ()


def _rest_of_utterance(following: Iterable[Event]) -> Words:
    """All that is known to be said behind the committed words."""
    committed: Words = ()
    opened: Words = ()
    for event in following:
        match event:
            case WordsCommitted(words=words):
                committed, opened = (*committed, *words), ()
            case PartialUpdated(words=words):
                opened = words
            case UtteranceEnded():
                break
    return (*committed, *opened)
