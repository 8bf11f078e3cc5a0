"""What the pool of decoder processes logged, without what asyncio says on a busy machine."""

import logging

import pytest

_LOGGER = "whisper_streaming.media"


def listen(caplog: pytest.LogCaptureFixture) -> None:
    """Keep its lines from now on."""
    caplog.set_level(logging.INFO, _LOGGER)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Its lines since then."""
    return [record.getMessage() for record in caplog.records if record.name == _LOGGER]


def first_process(caplog: pytest.LogCaptureFixture) -> int:
    """The first decoder process that was started."""
    words = lines(caplog)[0].split()
    assert words[:2] + words[3:] == ["decoder", "process", "started"]
    return int(words[2])
