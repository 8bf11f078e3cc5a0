"""Texts of all sessions go through one thread: in batches, bounded, whatever a translator does."""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence

import pytest

from tests.fakes import FakeClock
from tests.translation.fakes import UpperTranslator
from whisper_streaming.errors import TranslationError
from whisper_streaming.translation.text_pool import MAX_BATCH, MAX_WAITING, TextPool


async def begun(translator: UpperTranslator) -> None:
    """Wait until one more call has begun."""
    acquired = await asyncio.to_thread(translator.begun.acquire, timeout=10)
    assert acquired, "no call began"


async def until_waiting(pool: TextPool, count: int) -> None:
    async with asyncio.timeout(5):
        while pool.stats().waiting != count:
            await asyncio.sleep(0)


async def test_answers_each_with_its_own_translation() -> None:
    pool = TextPool([UpperTranslator(("de", "en"), ("de", "fr"))], hang_s=10)
    async with asyncio.TaskGroup() as tasks:
        one = tasks.create_task(pool.translate("eins", "de", "en"))
        two = tasks.create_task(pool.translate("zwei", "de", "fr"))
    pool.close()

    assert (one.result(), two.result()) == ("en: EINS", "fr: ZWEI")
    assert pool.targets == ("en", "fr")


async def test_what_waits_of_one_pair_goes_together() -> None:
    translator = UpperTranslator(("de", "en"), ("de", "fr"), waits=True)
    pool = TextPool([translator], hang_s=10)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pool.translate("first", "de", "en"))
        await begun(translator)
        for number in range(MAX_BATCH + 1):
            tasks.create_task(pool.translate(str(number), "de", "en"))
        tasks.create_task(pool.translate("other", "de", "fr"))
        await until_waiting(pool, MAX_BATCH + 2)
        translator.release()
    pool.close()

    batch = [str(number) for number in range(MAX_BATCH)]
    assert translator.calls == [["first"], batch, [str(MAX_BATCH)], ["other"]]
    assert (pool.stats().texts, pool.stats().batches) == (MAX_BATCH + 3, 4)


async def test_what_has_time_waits_for_all_others() -> None:
    translator = UpperTranslator(waits=True)
    pool = TextPool([translator], hang_s=10)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pool.translate("first", "de", "en"))
        await begun(translator)
        tasks.create_task(pool.translate("open", "de", "en", when_idle=True))
        tasks.create_task(pool.translate("final", "de", "en"))
        await until_waiting(pool, 1)
        translator.release()
    pool.close()

    assert translator.calls == [["first"], ["final"], ["open"]]


async def test_a_bad_text_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    translator = UpperTranslator(waits=True, fails=["bad"])
    pool = TextPool([translator], hang_s=10)
    first = asyncio.ensure_future(pool.translate("first", "de", "en"))
    await begun(translator)
    texts = [asyncio.ensure_future(pool.translate(text, "de", "en")) for text in ("bad", "good")]
    await until_waiting(pool, 2)
    translator.release()
    outcomes = await asyncio.gather(first, *texts, return_exceptions=True)
    pool.close()

    assert translator.calls == [["first"], ["bad", "good"], ["bad"], ["good"]]
    assert outcomes[0] == "en: FIRST"
    assert isinstance(outcomes[1], TranslationError)
    assert outcomes[1].public_reason == "the translator failed"
    assert outcomes[2] == "en: GOOD"
    assert "a text of 3 characters failed" in caplog.text
    assert "bad" not in caplog.text


async def test_a_translator_that_gives_too_few_texts_fails() -> None:
    class Forgetful(UpperTranslator):
        def translate(self, texts: object, source: str, target: str) -> list[str]:
            return []

    pool = TextPool([Forgetful()], hang_s=10)
    with pytest.raises(TranslationError, match="the translator failed"):
        await pool.translate("text", "de", "en")
    pool.close()


async def test_nothing_waits_for_a_translator_that_hangs() -> None:
    clock, translator = FakeClock(), UpperTranslator(waits=True)
    pool = TextPool([translator], hang_s=10, clock=clock)
    stuck = asyncio.ensure_future(pool.translate("stuck", "de", "en"))
    await begun(translator)
    clock.advance(11)

    with pytest.raises(TranslationError, match="does not answer"):
        await pool.translate("next", "de", "en")
    assert pool.stats().hangs

    translator.release()
    assert await stuck == "en: STUCK"
    assert await pool.translate("again", "de", "en") == "en: AGAIN"
    pool.close()


async def test_refuses_what_is_too_much() -> None:
    translator = UpperTranslator(waits=True)
    pool = TextPool([translator], hang_s=10)
    jobs = [asyncio.ensure_future(pool.translate("first", "de", "en"))]
    await begun(translator)
    jobs += [asyncio.ensure_future(pool.translate("x", "de", "en")) for _ in range(MAX_WAITING)]
    await until_waiting(pool, MAX_WAITING)

    with pytest.raises(TranslationError, match="too much to do"):
        await pool.translate("one more", "de", "en")
    translator.release()
    assert len(await asyncio.gather(*jobs)) == MAX_WAITING + 1
    pool.close()


async def test_a_cancelled_text_is_not_translated() -> None:
    translator = UpperTranslator(waits=True)
    pool = TextPool([translator], hang_s=10)
    first = asyncio.ensure_future(pool.translate("first", "de", "en"))
    await begun(translator)
    dropped = asyncio.ensure_future(pool.translate("dropped", "de", "en"))
    await until_waiting(pool, 1)
    dropped.cancel()
    await asyncio.wait({dropped})
    translator.release()
    await first
    assert await pool.translate("last", "de", "en") == "en: LAST"
    pool.close()

    assert ["dropped"] not in translator.calls


async def test_closing_frees_the_translators_and_refuses_the_rest() -> None:
    translator = UpperTranslator()
    pool = TextPool([translator], hang_s=10)
    pool.close()
    pool.close()

    assert translator.is_closed
    with pytest.raises(TranslationError, match="does not answer"):
        await pool.translate("late", "de", "en")


async def test_an_unknown_pair_is_refused_by_name() -> None:
    pool = TextPool([UpperTranslator(("de", "en"))], hang_s=10)

    assert not pool.supports("fr", "en")
    with pytest.raises(TranslationError, match="from 'fr' to 'en'"):
        await pool.translate("oui", "fr", "en")
    pool.close()


async def test_the_first_translator_that_knows_both_languages_is_taken() -> None:
    first, second = UpperTranslator(("de", "en")), UpperTranslator(("de", "en"), ("de", "fr"))
    pool = TextPool([first, second], hang_s=10)
    await pool.translate("eins", "de", "en")
    await pool.translate("zwei", "de", "fr")
    pool.close()

    assert (first.calls, second.calls) == ([["eins"]], [["zwei"]])


class Careless(UpperTranslator):
    """Gives what a test says in the place of translations."""

    def __init__(self, give: Callable[[], object]) -> None:
        super().__init__()
        self._give = give

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        if texts == ["good"]:
            return ["half a \ud83d"]
        return self._give()  # type: ignore[return-value]  # as an operator's program might


@pytest.mark.parametrize(
    "give",
    [
        pytest.param(lambda: None, id="nothing"),
        pytest.param(lambda: "x", id="a text"),
        pytest.param(lambda: [None], id="a list of nothing"),
        pytest.param(lambda: [b"x"], id="bytes"),
        pytest.param(lambda: ["x", "y"], id="one too many"),
        pytest.param(lambda: sys.exit(1), id="an exit"),
    ],
)
async def test_what_is_no_translation_fails_its_text_alone(give: Callable[[], object]) -> None:
    pool = TextPool([Careless(give)], hang_s=10)
    with pytest.raises(TranslationError, match="the translator failed"):
        await pool.translate("bad", "de", "en")

    assert await pool.translate("good", "de", "en") == "half a ?"
    pool.close()


async def test_the_log_has_what_was_raised_but_not_what_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def ask_a_service() -> object:
        raise ConnectionError("no answer from http://translate/?q=my+secret")

    caplog.set_level(logging.INFO)
    pool = TextPool([Careless(ask_a_service)], hang_s=10)
    with pytest.raises(TranslationError):
        await pool.translate("my secret", "de", "en")
    pool.close()

    assert caplog.messages == ["a text of 9 characters failed: ConnectionError"]
    assert "secret" not in caplog.text


async def test_a_translator_that_cannot_say_what_it_supports_supports_nothing() -> None:
    class Confused(UpperTranslator):
        def supports(self, source: str, target: str) -> bool:
            raise KeyError(source)

    pool = TextPool([Confused()], hang_s=10)
    assert not pool.supports("de", "en")
    pool.close()
