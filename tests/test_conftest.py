"""A skipped test is a failure where continuous integration forbids skips."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import _GROUPS, group_of

ROOT = Path(__file__).parent.parent

MODULE = """
import pytest

def test_runs(): pass

@pytest.mark.skip(reason="no node here")
def test_is_marked(): pass

def test_skips_itself(): pytest.skip("no hub here")

@pytest.mark.xfail(reason="known")
def test_fails_as_expected(): assert False
"""
SKIPPED_MODULE = 'import pytest\npytest.skip("no module here", allow_module_level=True)\n'


def run_pytest(
    folder: Path, no_skips: str, *options: str, **modules: str
) -> subprocess.CompletedProcess[str]:
    shutil.copy(Path(__file__).parent / "conftest.py", folder)
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *options]
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={
            **os.environ,
            "WHISPER_STREAMING_NO_SKIPS": no_skips,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # it starts in half the time
            "PYTEST_ADDOPTS": "",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.slow
@pytest.mark.parametrize("no_skips", ["", "0"])
def test_skips_pass_by_default(tmp_path: Path, no_skips: str) -> None:
    done = run_pytest(tmp_path, no_skips, test_some=MODULE, test_whole=SKIPPED_MODULE)

    assert done.returncode == 0, done.stdout
    assert "1 passed, 3 skipped, 1 xfailed" in done.stdout


@pytest.mark.slow
def test_each_skip_fails_with_its_reason_where_skips_are_forbidden(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "1", test_some=MODULE)

    assert done.returncode == 1
    # A mark acts before the test starts, so pytest calls its failure an error.
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in done.stdout
    assert "skips are failures here: Skipped: no node here" in done.stdout
    assert "skips are failures here: Skipped: no hub here" in done.stdout


@pytest.mark.slow
def test_a_module_that_skips_itself_fails_too(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "1", test_whole=SKIPPED_MODULE)

    assert done.returncode not in (0, 5)  # 5: nothing was collected
    assert "skips are failures here: Skipped: no module here" in done.stdout


@pytest.mark.slow
def test_processes_tell_every_failure_and_skip(tmp_path: Path) -> None:
    """As ``make test`` runs them."""
    failing = "def test_fails(): assert 'this' == 'that'\n"
    modules = {"test_some": MODULE, "test_whole": SKIPPED_MODULE, "test_failing": failing}
    options = ["-p", "xdist", "-n", "2"]

    done = run_pytest(tmp_path, "1", *options, **modules)

    assert done.returncode == 1
    assert "2 failed, 1 passed, 1 xfailed, 2 errors" in done.stdout
    assert "skips are failures here: Skipped: no node here" in done.stdout
    assert "skips are failures here: Skipped: no hub here" in done.stdout
    assert "skips are failures here: Skipped: no module here" in done.stdout
    assert "AssertionError: assert 'this' == 'that'" in done.stdout


@pytest.mark.slow
def test_long_groups_begin_first(tmp_path: Path) -> None:
    module = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_which(number):
    with open("order", "a") as file:
        file.write(__name__ + " ")
"""
    slow = module + "\npytestmark = pytest.mark.slow\n"

    done = run_pytest(tmp_path, "1", "-p", "xdist", "-n", "1", test_a=module, test_b=slow)

    assert done.returncode == 0, done.stdout
    order = (tmp_path / "order").read_text().split()
    assert order == ["test_b"] * 3 + ["test_a"] * 3


@pytest.mark.slow
def test_modules_of_a_group_run_in_the_order_of_the_group(tmp_path: Path) -> None:
    module = """
def test_which():
    with open("order", "a") as file:
        file.write(__name__ + " ")
"""
    (tmp_path / "tests" / "interop").mkdir(parents=True)
    modules = {f"tests/interop/test_stock_{name}": module for name in ("client", "server")}

    done = run_pytest(tmp_path, "1", "-p", "xdist", "-n", "1", **modules)

    assert done.returncode == 0, done.stdout
    assert (tmp_path / "order").read_text() == "test_stock_server test_stock_client "


def test_modules_that_share_more_than_a_module_are_one_group() -> None:
    assert group_of("tests/core/test_audio.py::test_x[a::b]") == "tests/core/test_audio.py"
    assert group_of("tests/model/test_streaming.py::test_x") == "recordings"
    assert group_of("tests/model/test_server.py::test_x[en]") == "recordings"
    assert group_of("tests/interop/test_stock_server.py::test_x") == "interop"
    assert group_of("tests/test_docs.py::test_block_runs[docs/adr/0001-a.md:12]") == (
        "examples of docs/adr/0001-a.md"
    )
    assert all((ROOT / path).is_file() for path in _GROUPS)


@pytest.mark.slow
def test_a_test_that_must_be_alone_is(tmp_path: Path) -> None:
    module = """
import pathlib, time, pytest

def note(text):
    with open("order", "a") as file:
        file.write(text + " ")

@pytest.mark.parametrize("number", range(8))
def test_which(number):
    note("begin")
    time.sleep(0.05)
    note("end")
"""
    lonely = module.replace('"begin"', '"BEGIN"').replace('"end"', '"END"')
    lonely += "\npytestmark = pytest.mark.alone\n"
    options = ["-p", "xdist", "-n", "2", "-W", "ignore::pytest.PytestUnknownMarkWarning"]

    done = run_pytest(tmp_path, "1", *options, test_a=module, test_b=lonely)

    assert done.returncode == 0, done.stdout
    order = (tmp_path / "order").read_text()
    assert "BEGIN END " * 8 in order, "they follow one another, with nobody between them"
    assert order.count("begin ") == order.count("end ") == 8


@pytest.mark.slow
def test_a_module_runs_in_one_process(tmp_path: Path) -> None:
    module = """
import os, pytest

@pytest.mark.parametrize("number", range(6))
def test_which(number):
    with open(__name__, "a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + " ")
"""
    options = ["-p", "xdist", "-n", "2"]

    done = run_pytest(tmp_path, "1", *options, test_a=module, test_b=module)

    assert done.returncode == 0, done.stdout
    workers = [(tmp_path / name).read_text().split() for name in ("test_a", "test_b")]
    assert sorted(workers) == [["gw0"] * 6, ["gw1"] * 6]
