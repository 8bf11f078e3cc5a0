"""What the server's command logs."""

import logging

import pytest

from tests.fakes import FakeClock
from whisper_streaming.server.logs import NoFileLeft, setup_logging

PACKAGE = logging.getLogger("whisper_streaming")
WEBSOCKET = logging.getLogger("whisper_streaming.websocket")
ASYNCIO = logging.getLogger("asyncio")


def test_the_level_is_that_of_this_package() -> None:
    setup_logging("WARNING")

    assert not PACKAGE.isEnabledFor(logging.INFO)
    assert PACKAGE.isEnabledFor(logging.WARNING)


def test_frames_of_peers_are_logged_for_debugging_only() -> None:
    setup_logging("INFO")
    assert not WEBSOCKET.isEnabledFor(logging.ERROR)

    setup_logging("DEBUG")
    assert WEBSOCKET.isEnabledFor(logging.DEBUG)


def test_a_lack_of_files_is_one_line_in_ten_seconds_that_says_what_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    ASYNCIO.addFilter(NoFileLeft(clock))
    line = "no more files can be opened (ulimit -n): clients that come now wait"

    def complain() -> None:
        try:
            raise OSError(24, "Too many open files")
        except OSError as error:
            ASYNCIO.error("socket.accept() out of system resource\nsocket: x", exc_info=error)

    complain()
    complain()
    assert caplog.messages == [line]
    assert "Traceback" not in caplog.text
    clock.advance(9.9)
    complain()
    ASYNCIO.error("another fault: %s", "100%")
    assert caplog.messages == [line, "another fault: 100%"]
    clock.advance(0.2)
    complain()
    assert caplog.messages == [line, "another fault: 100%", line]


def test_the_command_logs_a_lack_of_files_so() -> None:
    setup_logging("INFO")
    setup_logging("INFO")

    assert [type(each) for each in ASYNCIO.filters].count(NoFileLeft) == 1
