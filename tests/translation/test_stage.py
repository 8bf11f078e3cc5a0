"""Words pass at once, translations follow in order, and a bad translator harms nobody."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import pytest

from tests.live.virtual_time import in_virtual_time
from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    SessionNotice,
    TranslationCommitted,
    TranslationUpdated,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import TranslationError
from whisper_streaming.live.outbox import Outbox
from whisper_streaming.live.session_log import SessionLogger
from whisper_streaming.translation.passages import PassageFeed
from whisper_streaming.translation.session import SessionTranslator
from whisper_streaming.translation.stage import MAX_WAITING, TranslationStage
from whisper_streaming.translation.text_pool import TextPool

ENDED = SessionEnded(AudioAccount(received=0, decoded=0, silence=0, gap=0))
TIMEOUT_S = 10.0


class TimedTexts(TextPool):
    """Translates German to capitals; how long that takes, or how it fails, is the test's."""

    def __init__(self, takes_s: Callable[[str], float] = lambda text: 0.0) -> None:
        super().__init__((), hang_s=1.0)
        self._takes_s = takes_s
        self.asked: list[str] = []

    def supports(self, source: str, target: str) -> bool:
        return (source, target) == ("de", "en")

    async def translate(
        self, text: str, source: str, target: str, *, when_idle: bool = False
    ) -> str:
        self.asked.append(f"({text})" if when_idle else text)
        await asyncio.sleep(self._takes_s(text))
        if "bad" in text:
            raise TranslationError("the translator failed")
        if "bug" in text:
            raise ZeroDivisionError
        return text.upper()


class Session:
    """A stage between a source that the test fills and what comes out, with its time."""

    def __init__(
        self, texts: TextPool, language: str | None = "de", *, was_asked: bool = True
    ) -> None:
        self.source = Outbox(None)
        self.out: list[tuple[float, Event]] = []
        self.stage = TranslationStage(
            SessionTranslator(texts, None, "en"),
            PassageFeed(SegmentRules(), language),
            timeout_s=TIMEOUT_S,
            log=SessionLogger(logging.getLogger("whisper_streaming.session"), "1"),
            was_asked=was_asked,
        )

    def emit(self, events: Sequence[Event]) -> None:
        now = asyncio.get_running_loop().time()
        self.out += [(now, event) for event in events]

    async def run(self, *steps: Sequence[Event] | float) -> None:
        """Put each list of events, wait the seconds between them, and end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.stage.run(self.source, self.emit))
            for step in steps:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    self.source.put(step)
            self.source.close()

    @property
    def events(self) -> list[Event]:
        return [event for _, event in self.out]

    def translations(self) -> list[str | None]:
        return [each.text for each in self.events if isinstance(each, TranslationCommitted)]

    def notices(self) -> list[str]:
        return [each.text for each in self.events if isinstance(each, SessionNotice)]


def words(text: str, start: float = 0.0) -> Words:
    return tuple(
        Word(piece, start + n / 2, start + (n + 1) / 2) for n, piece in enumerate(text.split("|"))
    )


def said(number: int, text: str = " ja") -> list[Event]:
    """An utterance of its own, four seconds after the one before."""
    start = 4.0 * number
    return [
        WordsCommitted(number, words(text, start)),
        UtteranceEnded(number, start + len(text.split("|")) / 2),
    ]


@in_virtual_time
async def test_words_pass_at_once_and_translations_follow_in_order() -> None:
    session = Session(TimedTexts(lambda text: 3.0 if text == "eins" else 0.5))

    await session.run([*said(0, " eins"), *said(1, " zwei")], [ENDED])

    assert session.out == [
        *((0.0, event) for event in (*said(0, " eins"), *said(1, " zwei"))),
        (3.0, TranslationCommitted(0.0, 0.5, "EINS", "en")),
        (3.5, TranslationCommitted(4.0, 4.5, "ZWEI", "en")),
        (3.5, ENDED),
    ]


@in_virtual_time
async def test_a_translator_that_hangs_costs_its_translations_and_nothing_else() -> None:
    session = Session(TimedTexts(lambda text: 1e6))

    await session.run(said(0), 1.0, said(1), 30.0, said(2), [ENDED])

    words_out = [event for event in session.events if not isinstance(event, TranslationCommitted)]
    assert [event for event in words_out if not isinstance(event, SessionNotice)] == [
        *said(0), *said(1), *said(2), ENDED,
    ]  # fmt: skip
    assert [at for at, event in session.out if isinstance(event, WordsCommitted)] == [0, 1, 31]
    assert session.translations() == [None, None, None]
    assert session.notices() == ["a part is not translated: the translator did not answer in time"]
    assert session.out[-1] == (31.0 + TIMEOUT_S, ENDED)


@in_virtual_time
async def test_failures_are_told_once_and_the_others_are_translated() -> None:
    session = Session(TimedTexts())

    await session.run(said(0, " bad"), said(1, " gut"), said(2, " bad"), [ENDED])

    assert session.translations() == [None, "GUT", None]
    assert session.notices() == ["a part is not translated: the translator failed"]
    assert session.events[-1] == ENDED


def test_failures_are_logged_with_how_many_there_were(caplog: pytest.LogCaptureFixture) -> None:
    @in_virtual_time
    async def run() -> None:
        await Session(TimedTexts()).run(said(0, " bad"), said(1), said(2, " bad"), [ENDED])

    run()

    assert [record.getMessage() for record in caplog.records] == [
        "[1] a translation is missing: the translator failed",
        "[1] 2 of 3 passages have no translation",
    ]


@in_virtual_time
async def test_a_fault_of_ours_costs_one_translation() -> None:
    session = Session(TimedTexts())

    await session.run(said(0, " bug"), said(1), [ENDED])

    assert session.translations() == [None, "JA"]
    assert session.notices() == ["a part is not translated: the translator failed"]


@in_virtual_time
async def test_who_is_slower_than_the_speech_loses_the_oldest_and_says_so() -> None:
    session = Session(TimedTexts(lambda text: 0.001))

    await session.run([event for n in range(MAX_WAITING + 3) for event in said(n)], [ENDED])

    assert session.translations() == [*[None] * 3, *["JA"] * MAX_WAITING]
    assert session.notices() == [
        "a part is not translated: the translator is slower than the speech"
    ]


@in_virtual_time
async def test_the_end_waits_for_what_is_left_but_not_for_ever() -> None:
    session = Session(TimedTexts(lambda text: 6.0))

    await session.run([*said(0), *said(1), *said(2)], [ENDED])

    assert session.translations() == ["JA", None, None]
    assert session.notices() == ["a part is not translated: there was no time left"]
    assert session.out[-1] == (TIMEOUT_S, ENDED)


@in_virtual_time
async def test_a_client_that_left_ends_the_stage_with_what_it_said() -> None:
    session = Session(TimedTexts())

    await session.run([WordsCommitted(0, words(" weg"))])

    assert session.translations() == ["WEG"]


@in_virtual_time
async def test_the_language_that_is_wanted_needs_no_translation() -> None:
    texts = TimedTexts()
    session = Session(texts, language=None)

    await session.run([LanguageDetected("en", 0.9)], said(0, " yes"), said(1, " no"), [ENDED])

    assert texts.asked == []
    assert session.translations() == [None, None]
    assert session.notices() == ["what is said in 'en' already is not translated"]


@in_virtual_time
async def test_who_did_not_ask_is_not_told_that_nothing_needs_a_translation() -> None:
    session = Session(TimedTexts(), "en", was_asked=False)

    await session.run(said(0, " yes"), [ENDED])

    assert session.translations() == [None]
    assert session.notices() == []


@in_virtual_time
async def test_a_language_that_nobody_knows_is_told_by_name() -> None:
    session = Session(TimedTexts(), language=None)

    await session.run([LanguageDetected("fr", 0.9)], said(0, " oui"), [ENDED])

    assert session.translations() == [None]
    assert session.notices() == [
        "a part is not translated: nothing here translates from 'fr' to 'en'"
    ]


@in_virtual_time
async def test_what_is_being_said_is_translated_when_there_is_time() -> None:
    texts = TimedTexts(lambda text: 0.25)
    session = Session(texts)
    opening: list[Event] = [PartialUpdated(0, words(" ich"))]
    growing: list[Event] = [PartialUpdated(0, words(" ich| höre"))]
    final: list[Event] = [WordsCommitted(0, words(" ich| höre.")), UtteranceEnded(0, 1.0)]

    await session.run(opening, 0.5, growing, 3.0, final, [ENDED])

    assert texts.asked == ["(ich)", "(ich höre)", "ich höre."]
    assert [
        (at, event)
        for at, event in session.out
        if isinstance(event, TranslationUpdated | TranslationCommitted)
    ] == [
        (0.25, TranslationUpdated(0.0, 0.5, "ICH", "en")),
        (1.5, TranslationUpdated(0.0, 1.0, "ICH HÖRE", "en")),
        (3.75, TranslationCommitted(0.0, 1.0, "ICH HÖRE.", "en")),
    ]


@in_virtual_time
async def test_an_open_translation_that_comes_too_late_is_dropped() -> None:
    session = Session(TimedTexts(lambda text: 0.25))

    await session.run([PartialUpdated(0, words(" ich"))], 0.1, said(0, " ich.| ja."), [ENDED])

    assert not any(isinstance(event, TranslationUpdated) for event in session.events)
    assert session.translations() == ["ICH. JA."]


@in_virtual_time
async def test_a_failed_open_translation_is_not_told() -> None:
    session = Session(TimedTexts())

    await session.run([PartialUpdated(0, words(" bad"))], 0.1, said(0, " gut"), [ENDED])

    assert session.notices() == []
    assert session.translations() == ["GUT"]


@in_virtual_time
async def test_a_cancelled_session_leaves_nothing_running() -> None:
    session = Session(TimedTexts(lambda text: 1e6))
    task = asyncio.ensure_future(session.stage.run(session.source, session.emit))
    session.source.put(said(0))
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}
