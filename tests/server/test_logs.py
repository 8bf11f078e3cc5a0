"""What the server's command logs."""

import logging
from collections.abc import Iterator

import pytest

from whisper_streaming.server.logs import setup_logging

PACKAGE = logging.getLogger("whisper_streaming")
WEBSOCKET = logging.getLogger("whisper_streaming.websocket")


@pytest.fixture(autouse=True)
def _restore_levels() -> Iterator[None]:
    levels = PACKAGE.level, WEBSOCKET.level
    yield
    PACKAGE.setLevel(levels[0])
    WEBSOCKET.setLevel(levels[1])


def test_the_level_is_that_of_this_package() -> None:
    setup_logging("WARNING")

    assert not PACKAGE.isEnabledFor(logging.INFO)
    assert PACKAGE.isEnabledFor(logging.WARNING)


def test_frames_of_peers_are_logged_for_debugging_only() -> None:
    setup_logging("INFO")
    assert not WEBSOCKET.isEnabledFor(logging.ERROR)

    setup_logging("DEBUG")
    assert WEBSOCKET.isEnabledFor(logging.DEBUG)
