"""Whatever the operator's program does, words go out."""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.text_hook import TextFacts, TextHook
from whisper_streaming.text_hook.runner import Function

FACTS = TextFacts(uid="a", language="en", speaker=None, is_final=True)
WORDS: Words = (Word(" call", 0.0, 0.4), Word(" 1234", 0.5, 0.9))


@contextmanager
def hooked(
    function: Function, timeout_s: float = 30.0, clock: Callable[[], float] = time.monotonic
) -> Iterator[TextHook]:
    hook = TextHook(function, "test:hook", timeout_s=timeout_s, rules=SegmentRules(), clock=clock)
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
        raise ValueError("no glossary")

    with hooked(fail) as hook:
        for _ in range(3):
            assert await hook.apply(WORDS, FACTS) is WORDS
        assert hook.describe()["failures"] == hook.describe()["calls"] == 3

    [line] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert line.getMessage() == (
        "the text hook test:hook failed: ValueError; the text went out unchanged"
    )
    assert line.exc_info is not None


@pytest.mark.parametrize("result", [None, 7, b"text"])
async def test_a_result_that_is_no_text_is_a_failure(result: object) -> None:
    with hooked(lambda text, facts: result) as hook:
        assert await hook.apply(WORDS, FACTS) is WORDS
        assert hook.describe()["failures"] == 1


async def test_a_hook_that_stops_an_iteration_fails_like_any_other() -> None:
    def look_up(text: str, facts: TextFacts) -> str:
        return next(iter(()))

    with hooked(look_up) as hook:
        assert await hook.apply(WORDS, FACTS) is WORDS
        assert hook.describe()["failures"] == 1


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

        is_free.clear()
        begun.clear()
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(hook.apply(WORDS, FACTS)) for _ in range(5)]
            await asyncio.to_thread(begun.wait)
            now[0] = 0.02
        assert [call.result() for call in calls] == [WORDS] * 5
        assert hook.describe()["timeouts"] == 5
        is_free.set()


async def test_a_hook_that_wants_to_end_the_program_does_not() -> None:
    def leave(text: str, facts: TextFacts) -> str:
        sys.exit(3)

    with hooked(leave) as hook:
        assert await hook.apply(WORDS, FACTS) is WORDS
        assert await hook.apply(WORDS, FACTS) is WORDS
        assert hook.describe()["failures"] == 2


async def test_a_hook_that_hangs_is_waited_for_once() -> None:
    is_free = threading.Event()
    calls: list[str] = []

    def hang(text: str, facts: TextFacts) -> str:
        calls.append(text)
        is_free.wait(30.0)
        return text.upper()

    with hooked(hang, timeout_s=0.05) as hook:
        assert await hook.apply(WORDS, FACTS) is WORDS
        assert await hook.apply(WORDS, FACTS) is WORDS
        assert hook.describe() == {
            "calls": 1, "failures": 0, "timeouts": 1, "bypassed": 1, "is_stuck": True,
        }  # fmt: skip
        is_free.set()
        while hook.describe()["is_stuck"]:
            pass
        hook._timeout_s = 30.0
        assert join_words(await hook.apply(WORDS, FACTS)) == " CALL 1234"
    assert len(calls) == 2


async def test_the_hook_is_not_asked_about_nothing() -> None:
    calls: list[str] = []

    def note(text: str, facts: TextFacts) -> str:
        calls.append(text)
        return text

    with hooked(note) as hook:
        assert await hook.apply((), FACTS) == ()
    assert calls == []
