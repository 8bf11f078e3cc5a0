"""Adds translations to a session's words. The words never wait for them."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import (
    Event,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SessionNotice,
    SpeechStarted,
    TranslationCommitted,
    TranslationUpdated,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.errors import TranslationError
from whisper_streaming.live.session_log import Log
from whisper_streaming.live.stages import Emit, EventSource
from whisper_streaming.translation.passages import Passage, PassageFeed
from whisper_streaming.translation.session import SessionTranslator

MAX_WAITING: Final = 200
"""Passages of a session that may wait, about ten minutes; the oldest is given up for one more."""

OPEN_INTERVAL_S: Final = 1.0
"""Between two translations of what is still open: who reads both needs no more."""


@dataclass(slots=True)
class _Count:
    """What became of the passages."""

    all: int = 0
    missing: int = 0
    needless: int = 0


class TranslationStage:
    """One session's translations; a :class:`~whisper_streaming.live.stages.Stage`.

    Args:
        translator: What translates.
        feed: The session's words as passages.
        timeout_s: A passage that takes longer is given up; so is what is left so long after the
            last words.
        log: Of the session.
        was_asked: The client itself asked, so it is told where nothing needs a translation.
        is_shown: The client shows translations, so it is told that one is missing.
    """

    def __init__(
        self,
        translator: SessionTranslator,
        feed: PassageFeed,
        *,
        timeout_s: float,
        log: Log,
        was_asked: bool = True,
        is_shown: bool = True,
    ) -> None:
        self._translator = translator
        self._feed = feed
        self._timeout_s = timeout_s
        self._log = log
        self._was_asked = was_asked
        self._is_shown = is_shown
        self._waiting: deque[Passage] = deque()
        self._current: Passage | None = None  # is being translated
        self._given_up: list[Passage] = []
        self._is_complete = False  # nothing will be added
        self._changed = asyncio.Event()
        self._open = Passage(0.0, 0.0, "", None)  # as it was translated last
        self._count = _Count()

    def receive_audio(self, samples: FloatArray) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        self._translator.receive_audio(samples)

    async def run(self, source: EventSource, emit: Emit) -> None:
        """See :class:`~whisper_streaming.live.stages.Stage`."""
        async with asyncio.TaskGroup() as tasks:
            translating = tasks.create_task(self._translate_all(emit), name="translate")
            terminal: list[Event] = []
            while events := await source.take():
                terminal = [each for each in events if _is_terminal(each)]
                emit([each for each in events if not _is_terminal(each)])
                self._take(events)
            self._complete()
            await self._wait_for(translating, emit)
            emit(terminal)

    # -- from words to passages

    def _take(self, events: Sequence[Event]) -> None:
        for event in events:
            if (until_s := _reaches(event)) is not None:
                self._translator.hear(until_s)
            self._waiting += self._feed.receive(event)
        while len(self._waiting) > MAX_WAITING:
            self._given_up.append(self._waiting.popleft())
        if any(isinstance(each, WordsCommitted | PartialUpdated) for each in events):
            self._changed.set()
        if self._waiting:
            self._changed.set()

    def _complete(self) -> None:
        self._translator.finish()
        self._waiting += self._feed.finish()
        self._is_complete = True
        self._changed.set()

    async def _wait_for(self, translating: asyncio.Task[None], emit: Emit) -> None:
        """Give the last translations their time; what is missing then is told as missing."""
        _, late = await asyncio.wait({translating}, timeout=self._timeout_s)
        if late:
            translating.cancel()
            await asyncio.wait({translating})
            left = [] if self._current is None else [self._current]
            for passage in (*left, *self._given_up, *self._waiting):
                self._miss(passage, "there was no time left", emit)
        if self._count.missing:
            self._log.warning(
                "%d of %d passages have no translation", self._count.missing, self._count.all
            )

    # -- from passages to translations

    async def _translate_all(self, emit: Emit) -> None:
        while True:
            self._report_given_up(emit)
            if self._waiting:
                self._current = self._waiting.popleft()
                await self._translate(self._current, emit)
                self._current = None
            elif self._is_complete:
                return
            else:
                await self._translate_open(emit)

    async def _translate(self, passage: Passage, emit: Emit) -> None:
        if self._translator.needs_none(passage):
            self._skip(passage, emit)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                text = await self._translator.translate(passage)
        except TimeoutError:
            self._miss(passage, "the translator did not answer in time", emit)
        except TranslationError as error:
            self._miss(passage, error.public_reason, emit)
        except Exception:  # noqa: BLE001 - the boundary: the words go on without their translation
            self._log.exception("! translating broke, which is a fault of this program")
            self._miss(passage, "the translator failed", emit)
        else:
            self._tell(passage, text, emit)

    async def _translate_open(self, emit: Emit) -> None:
        """Wait for something new, and translate what is being said while nothing else waits."""
        await self._changed.wait()
        self._changed.clear()
        passage = self._feed.open
        if self._waiting or self._is_complete or passage is None or not self._is_new(passage):
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                text = await self._translator.translate_open(passage)
        except Exception:  # noqa: BLE001 - the boundary: the final one will tell
            self._log.debug("! an open passage is not translated", exc_info=True)
            return
        if text is None:
            return
        self._open = passage
        now = self._feed.open
        if not self._waiting and now is not None and now.start == passage.start:
            emit([TranslationUpdated(passage.start, passage.end, text, self._translator.target)])
        await self._rest()

    def _is_new(self, passage: Passage) -> bool:
        return passage.text != self._open.text and not self._translator.needs_none(passage)

    async def _rest(self) -> None:
        """Wait until the open passage may be translated again, or another one is complete."""
        try:
            async with asyncio.timeout(OPEN_INTERVAL_S):
                while not self._waiting and not self._is_complete:
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError:
            pass
        self._changed.set()  # what came meanwhile is still to be looked at

    def _report_given_up(self, emit: Emit) -> None:
        given_up, self._given_up = self._given_up, []
        for passage in given_up:
            self._miss(passage, "the translator is slower than the speech", emit)

    def _miss(self, passage: Passage, reason: str, emit: Emit) -> None:
        notice = None
        if not self._count.missing:  # once: what was said is there, and people read that
            self._log.warning("a translation is missing: %s", reason)
            if self._is_shown:
                notice = f"a part is not translated: {reason}"
        self._count.missing += 1
        self._tell(passage, None, emit, notice)

    def _skip(self, passage: Passage, emit: Emit) -> None:
        notice = None
        if self._was_asked and not self._count.needless:
            notice = f"what is said in {self._translator.target!r} already is not translated"
        self._count.needless += 1
        self._tell(passage, None, emit, notice)

    def _tell(
        self, passage: Passage, text: str | None, emit: Emit, notice: str | None = None
    ) -> None:
        self._count.all += 1
        target = self._translator.target
        events: list[Event] = [TranslationCommitted(passage.start, passage.end, text, target)]
        if notice is not None:
            events.append(SessionNotice(notice))
        emit(events)


def _reaches(event: Event) -> float | None:
    """Up to which second the event says something about the audio."""
    match event:
        case SpeechStarted(start=time_s) | UtteranceEnded(end=time_s):
            return time_s
        case WordsCommitted(words=words) | PartialUpdated(words=words) if words:
            return words[-1].end
    return None


def _is_terminal(event: Event) -> bool:
    return isinstance(event, SessionEnded | SessionFailed)
