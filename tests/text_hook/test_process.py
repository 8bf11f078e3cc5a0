"""A hook may do to its process what it likes."""

import logging
import os
import select
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from whisper_streaming.errors import ConfigurationError, TextHookError
from whisper_streaming.text_hook import TextFacts
from whisper_streaming.text_hook.hook_process import HookProcess

FACTS = TextFacts(uid="a", language="en", speaker=None, is_final=True)

MODULE = r"""
import os, re, subprocess, sys, time

def hook(text, facts):
    match text:
        case "raise":
            raise KeyError("what was said")
        case "none":
            return None
        case "leave":
            sys.exit(3)
        case "die":
            os._exit(4)
        case "print":
            print("hello")
            os.write(1, b"hello")
            return "read " + sys.stdin.read()
        case "search":
            re.fullmatch(r"(a+)+", 40 * "a" + "!")
        case "fork":
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        case str() if text.startswith("abandon "):
            pipe = os.open(text.removeprefix("abandon "), os.O_WRONLY)
            subprocess.Popen(["sleep", "20"], pass_fds=[pipe])
            os._exit(4)
        case "half":
            return chr(0xD83D)
    return f"{text} {facts.uid} {facts.language} {facts.is_final}"
"""


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HookProcess]:
    (tmp_path / "hooks_that_end.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    with _started(HookProcess("hooks_that_end:hook", clock=lambda: 0.0)) as started:
        yield started


@contextmanager
def _started(process: HookProcess) -> Iterator[HookProcess]:
    with closing(process):
        process.start()
        yield process


def test_it_answers_and_goes_on_after_what_fails(
    process: HookProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "whisper_streaming.text_hook")
    for text, reason in [
        ("raise", "failed: KeyError in hooks_that_end.py, line 7"),
        ("none", "gave NoneType in the place of text"),
        ("leave", "failed: SystemExit in hooks_that_end.py, line 11"),
    ]:
        with pytest.raises(TextHookError) as caught:
            process.ask(text, FACTS)
        assert str(caught.value) == reason
        process.prepare()

    assert process.ask("yes", FACTS) == "yes a en True"
    assert process.ask("print", FACTS) == "read "
    assert process.ask("half", FACTS) == "\ud83d"
    told = [each for each in caplog.records if "what was said" in each.getMessage()]
    assert [each.levelno for each in told] == [logging.DEBUG]


def test_one_that_ends_is_started_anew(process: HookProcess) -> None:
    with pytest.raises(TextHookError, match="ended its process with status 4"):
        process.ask("die", FACTS)
    process.prepare()

    assert process.ask("yes", FACTS) == "yes a en True"


def test_what_it_started_ends_with_it(process: HookProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(TextHookError, match="ended its process with status 4"):
        process.ask(f"abandon {tmp_path / 'pipe'}", FACTS)

    ready, _, _ = select.select([pipe], [], [], 10.0)
    assert ready, "what it started still runs"
    assert os.read(pipe, 1) == b""
    os.close(pipe)


def test_one_that_always_ends_is_left_alone_for_a_while(process: HookProcess) -> None:
    for _ in range(3):
        process.prepare()
        with pytest.raises(TextHookError, match="ended its process"):
            process.ask("die", FACTS)

    with pytest.raises(TextHookError, match="rests after it ended several times"):
        process.prepare()


def test_one_that_ended_may_not_be_signalled_on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(group: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refuse)

    with pytest.raises(ConfigurationError, match="No module named 'nobodys_hooks'"):
        HookProcess("nobodys_hooks:one").start()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("search", id="a search without end"),
        pytest.param("fork", id="a child that holds the pipe"),
    ],
)
def test_whatever_hangs_can_be_stopped(process: HookProcess, text: str) -> None:
    timer = threading.Timer(0.5, process.stop)
    timer.start()
    with pytest.raises(TextHookError, match="ended its process"):
        process.ask(text, FACTS)
    process.prepare()

    assert process.ask("yes", FACTS) == "yes a en True"
