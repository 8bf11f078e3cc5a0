"""Labels a session's committed words with who speaks, on their way to the client."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from whisper_streaming.core.audio import SAMPLE_RATE, AudioBuffer, FloatArray
from whisper_streaming.core.events import (
    Event,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SessionNotice,
    SpeakersRevised,
    SpeakerTurn,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.diarization.embedder_thread import EmbedderThread
from whisper_streaming.diarization.spans import Span, SpanFinder
from whisper_streaming.diarization.voices import (
    MAX_STRETCHES,
    Stretch,
    VoiceRules,
    Voices,
    speaker_label,
)
from whisper_streaming.errors import BackendError
from whisper_streaming.live.stages import Emit, EventSource

AUDIO_S: Final = 60.0
"""Newest audio that is kept, 4 MB: a word that is committed later than that gets a guess."""
MAX_DUE: Final = 8
"""Questions of a session that may wait for the embedder; beyond them its words get a guess."""

_Times = tuple[float, float]
_FAILED: Final = SessionNotice("Who speaks cannot be told just now; the words go on.")

logger = logging.getLogger("whisper_streaming.diarization")


@dataclass(slots=True, eq=False)
class _Plan:
    """The words that left together, what was asked about them, and what they were labelled.

    Attributes:
        words: In order; glued punctuation, too.
        spans: Of those that say something, with their audio at hand.
        answer: The embeddings of the spans' different stretches.
        rows: Which of them is whose.
        said: The speaker each word left with; empty until it left.
    """

    words: Words
    spans: Sequence[Span]
    answer: asyncio.Future[FloatArray]
    rows: Sequence[int]
    said: list[int] = field(default_factory=list)


class SpeakerStage:
    """One session's labels. See :class:`~whisper_streaming.live.stages.Stage`.

    Words wait at most ``hold_s`` for the embedder, and not at all while it is behind: then they
    leave with who spoke last, and ``SpeakersRevised`` corrects them when the answer comes.

    Args:
        embedder: Shared by all sessions.
        rules: When a voice is another one.
        hold_s: How long committed words may wait for their labels.
        is_live: Correct labels at the end of each utterance; else once, at the end of all.
    """

    def __init__(
        self, embedder: EmbedderThread, rules: VoiceRules, *, hold_s: float, is_live: bool = True
    ) -> None:
        self._embedder = embedder
        self._hold_s = hold_s
        self._look_back_s = rules.look_back_s
        self._is_live = is_live
        self._voices = Voices(rules, max_stretches=MAX_STRETCHES if is_live else None)
        self._spans = SpanFinder()
        self._audio = AudioBuffer()
        self._due: deque[_Plan] = deque()
        self._newest_s = 0.0  # where the newest word ends
        self._has_failed = False

    def receive_audio(self, samples: FloatArray) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        self._audio.append(samples)
        self._audio.drop_before(self._audio.end_sample - round(AUDIO_S * SAMPLE_RATE))

    async def run(self, source: EventSource, emit: Emit) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        try:
            while events := await source.take():
                emit(await self._label(events))
        finally:
            for plan in self._due:
                plan.answer.cancel()

    async def _label(self, events: Sequence[Event]) -> list[Event]:
        """The events with labelled words; corrections of what left before come first."""
        words = tuple(
            word for event in events if isinstance(event, WordsCommitted) for word in event.words
        )
        is_over = any(isinstance(event, SessionEnded | SessionFailed) for event in events)
        was_behind = bool(self._due)
        had_failed = self._has_failed
        plan = self._ask(words, self._find_spans(events))
        if self._due and (is_over or not was_behind):
            await asyncio.wait([self._due[-1].answer], timeout=self._hold_s)
        corrected = self._take_answers()
        ends_utterance = any(isinstance(event, UtteranceEnded) for event in events)
        if is_over or (self._is_live and ends_utterance):
            corrected |= await self._reconsider()
        said = plan.said if plan is not None else []
        said = said or [self._voices.current or 0] * len(words)
        said = [
            corrected.pop((word.start, word.end), speaker)
            for word, speaker in zip(words, said, strict=True)
        ]
        if plan is not None:
            plan.said = said
        if is_over and was_behind and self._due:
            self._fail("the embedder does not answer")
        notice = [_FAILED] if self._has_failed and not had_failed else []
        corrected = self._lately(corrected, words)
        revisions = _revisions(corrected, self._voices.heard_times()) if corrected else []
        return [*notice, *revisions, *_with_labels(events, said)]

    def _lately(self, corrected: dict[_Times, int], newest: Words) -> dict[_Times, int]:
        """Without what lies too far back: an answer may be late by minutes."""
        self._newest_s = max([self._newest_s, *(word.end for word in newest)])
        oldest_s = self._newest_s - self._look_back_s
        return {times: who for times, who in corrected.items() if times[1] >= oldest_s}

    def _ask(self, words: Words, spans: Sequence[Span]) -> _Plan | None:
        """Ask about the words that leave now; None where there is nothing to ask, or nobody."""
        spans = [
            span
            for span in spans
            if self._audio.start_sample <= span.start_sample
            and span.end_sample <= self._audio.end_sample
        ]
        if not spans:
            return None
        if len(self._due) >= MAX_DUE:
            self._fail(f"{MAX_DUE} questions wait for the embedder")
            return None
        places = list(dict.fromkeys((span.start_sample, span.end_sample) for span in spans))
        # Copies: the thread reads them while the buffer goes on.
        answer = self._embedder.ask([self._audio.read(*place).copy() for place in places])
        rows = [places.index((span.start_sample, span.end_sample)) for span in spans]
        plan = _Plan(words, spans, answer, rows)
        self._due.append(plan)
        return plan

    def _find_spans(self, events: Sequence[Event]) -> list[Span]:
        """Of all committed words of ``events``, numbered through."""
        spans: list[Span] = []
        words: list[Word] = []  # of one utterance
        count = 0
        for event in events:
            if isinstance(event, WordsCommitted):
                words += event.words
            elif isinstance(event, UtteranceEnded):
                spans += _shifted(self._spans.find(words), count)
                self._spans.end_run()
                count += len(words)
                words = []
        return spans + _shifted(self._spans.find(words, _following(events)), count)

    async def _reconsider(self) -> dict[_Times, int]:
        """What the voices say of earlier words now; of a whole recording that takes a while."""
        if self._is_live:
            corrections = self._voices.reconsider()
        else:
            corrections = await asyncio.to_thread(self._voices.reconsider)
        return {(each.start, each.end): each.speaker for each in corrections}

    def _take_answers(self) -> dict[_Times, int]:
        """Learn from the answers that came; those words that left with another label."""
        corrected: dict[_Times, int] = {}
        while self._due and self._due[0].answer.done():
            plan = self._due.popleft()
            try:
                speakers = self._hear(plan)
            except BackendError as error:
                self._fail("the embedder failed", error)
                continue
            if plan.said:
                pairs = zip(plan.words, plan.said, speakers, strict=True)
                corrected |= {
                    (word.start, word.end): now for word, before, now in pairs if before != now
                }
            else:
                plan.said = speakers
        return corrected

    def _fail(self, why: str, error: BackendError | None = None) -> None:
        """Some words leave with a guess for good."""
        if not self._has_failed:
            logger.error(
                "no speaker labels for some words: %s; said once a session", why, exc_info=error
            )
        self._has_failed = True

    def _hear(self, plan: _Plan) -> list[int]:
        """Who speaks each word of ``plan``.

        Raises:
            BackendError: If the embedder failed.
        """
        before = self._voices.current or 0
        embeddings = plan.answer.result()
        stretches = [
            Stretch(
                plan.words[span.word].start,
                plan.words[span.word].end,
                embeddings[row],
                (span.end_sample - span.start_sample) / SAMPLE_RATE,
                span.follows_pause,
            )
            for span, row in zip(plan.spans, plan.rows, strict=True)
        ]
        numbers = dict(
            zip((span.word for span in plan.spans), self._voices.hear(stretches), strict=True)
        )
        speakers: list[int] = []
        for index in range(len(plan.words)):
            before = numbers.get(index, before)  # what is glued is of who spoke the word
            speakers.append(before)
        return speakers


def _shifted(spans: Sequence[Span], count: int) -> list[Span]:
    return [replace(span, word=span.word + count) for span in spans]


def _following(events: Sequence[Event]) -> Words:
    """What the newest hypothesis says after the last committed word."""
    for event in reversed(events):
        match event:
            case PartialUpdated(words=words):
                return words
            case WordsCommitted() | UtteranceEnded():
                return ()
    return ()


def _with_labels(events: Sequence[Event], speakers: Iterable[int]) -> list[Event]:
    labels = iter(speakers)

    def labelled(word: Word) -> Word:
        return replace(word, speaker=speaker_label(next(labels)))

    return [
        replace(event, words=tuple(map(labelled, event.words)))
        if isinstance(event, WordsCommitted)
        else event
        for event in events
    ]


def _revisions(corrected: dict[_Times, int], heard: Iterable[_Times]) -> list[Event]:
    """The corrections as one event.

    Words that follow one another in ``heard`` are one turn with the silence between them: who
    has segments and no words compares lengths.
    """
    places = {times: place for place, times in enumerate(heard)}
    turns: list[SpeakerTurn] = []
    last_place: int | None = None
    for times, speaker in sorted(corrected.items()):
        place, label = places.get(times), speaker_label(speaker)
        goes_on = place is not None and last_place == place - 1 and turns[-1].speaker == label
        if goes_on:
            turns[-1] = replace(turns[-1], end=max(times[1], turns[-1].end))
        else:
            turns.append(SpeakerTurn(*times, label))
        last_place = place
    return [SpeakersRevised(tuple(turns))]
