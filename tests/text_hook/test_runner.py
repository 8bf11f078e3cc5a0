"""Whatever the operator's program does, words go out."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import TextHookError
from whisper_streaming.text_hook import TextFacts, TextHook
from whisper_streaming.text_hook.runner import LONGEST_TEXT, Ask

FACTS = TextFacts(uid="a", language="en", speaker=None, is_final=True)
WORDS: Words = (Word(" call", 0.0, 0.4), Word(" 1234", 0.5, 0.9))


@contextmanager
def hooked(
    ask: Ask,
    timeout_s: float = 30.0,
    clock: Callable[[], float] = time.monotonic,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[TextHook]:
    rules = SegmentRules()
    hook = TextHook(ask, "test:hook", timeout_s=timeout_s, rules=rules, stop=stop, clock=clock)
    try:
        yield hook
    finally:
        hook.close()


async def test_the_hook_gets_text_and_facts_in_a_thread_of_its_own() -> None:
    calls: list[tuple[str, TextFacts, str]] = []

    def note(text: str, facts: TextFacts) -> str:
        calls.append((text, facts, threading.current_thread().name))
        return text.replace("1234", "****")

    with hooked(note) as hook:
        changed = await hook.apply(WORDS, FACTS)

    assert join_words(changed) == " call ****"
    assert changed[0] == WORDS[0]
    assert calls == [("call 1234", FACTS, "text-hook")]


async def test_text_goes_out_unchanged_when_the_hook_fails_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(text: str, facts: TextFacts) -> str:
        raise TextHookError("failed: ValueError in my_hooks.py, line 7")

    with hooked(fail) as hook:
        for _ in range(3):
            assert await hook.apply(WORDS, FACTS) is WORDS
        assert hook.describe()["failures"] == hook.describe()["calls"] == 3

    [line] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert line.getMessage() == (
        "the text hook test:hook failed: ValueError in my_hooks.py, line 7; "
        "the text went out unchanged"
    )


async def test_a_text_that_is_no_line_is_a_failure() -> None:
    with hooked(lambda text, facts: "x" * (LONGEST_TEXT + 1)) as hook:
        assert await hook.apply(WORDS, FACTS) is WORDS
        assert hook.describe()["failures"] == 1


async def test_half_a_character_is_replaced() -> None:
    with hooked(lambda text, facts: "call \ud83d") as hook:
        assert join_words(await hook.apply(WORDS, FACTS)) == " call ?"


async def test_a_fault_of_ours_keeps_neither_text_nor_hook_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    texts = iter(["call"])  # then it raises StopIteration

    with hooked(lambda text, facts: next(texts)) as hook:
        assert join_words(await hook.apply(WORDS, FACTS)) == " call"
        assert await hook.apply(WORDS, FACTS) is WORDS
        assert await hook.apply(WORDS, FACTS) is WORDS
        assert hook.describe()["failures"] == 2
    assert "a fault of this program" in caplog.text


async def test_text_that_waits_for_that_of_other_sessions_is_not_late() -> None:
    now, is_free, begun = [0.0], threading.Event(), threading.Event()

    def redact(text: str, facts: TextFacts) -> str:
        begun.set()
        is_free.wait(30.0)
        return "***"

    with hooked(redact, timeout_s=0.01, clock=lambda: now[0]) as hook:
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(hook.apply(WORDS, FACTS)) for _ in range(5)]
            await asyncio.to_thread(begun.wait)
            await asyncio.wait(calls, timeout=0.05)  # longer than one call may take
            is_free.set()
        assert [join_words(call.result()) for call in calls] == [" ***"] * 5
        assert hook.describe()["timeouts"] == 0


async def test_a_call_that_hangs_is_stopped_and_fails_alone() -> None:
    is_stopped = threading.Event()
    calls: list[str] = []

    def hang(text: str, facts: TextFacts) -> str:
        calls.append(text)
        if len(calls) == 1:
            is_stopped.wait(30.0)
            raise TextHookError("ended its process")
        return text.upper()

    with hooked(hang, timeout_s=0.05, stop=is_stopped.set) as hook:
        async with asyncio.TaskGroup() as tasks:
            first, second = (tasks.create_task(hook.apply(WORDS, FACTS)) for _ in range(2))
        assert first.result() is WORDS
        assert join_words(second.result()) == " CALL 1234"
        assert hook.describe() == {"calls": 2, "failures": 0, "timeouts": 1}


async def test_nobody_has_to_wait_for_a_call_for_it_to_be_stopped() -> None:
    is_stopped, begun = threading.Event(), threading.Event()

    def hang(text: str, facts: TextFacts) -> str:
        begun.set()
        is_stopped.wait(30.0)
        return text.upper()

    with hooked(hang, timeout_s=0.05, stop=is_stopped.set) as hook:
        vanished = asyncio.create_task(hook.apply(WORDS, FACTS))
        await asyncio.to_thread(begun.wait)
        vanished.cancel()
        assert join_words(await hook.apply(WORDS, FACTS)) == " CALL 1234"
        assert vanished.cancelled()


async def test_the_hook_is_not_asked_about_nothing() -> None:
    calls: list[str] = []

    def note(text: str, facts: TextFacts) -> str:
        calls.append(text)
        return text

    with hooked(note) as hook:
        assert await hook.apply((), FACTS) == ()
    assert calls == []
