"""Lines of the log, with whose they are."""

import logging

import pytest

from whisper_streaming.live.session_log import SessionLogger

LABEL = "7 /50%off/%s/%00 127.0.0.1:51604"


@pytest.mark.parametrize(
    ("message", "arguments", "line"),
    [
        pytest.param("opened %s", ("model=demo",), f"[{LABEL}] opened model=demo", id="arguments"),
        pytest.param("left", (), f"[{LABEL}] left", id="no arguments"),
    ],
)
def test_a_path_with_percent_signs_is_logged_as_it_is(
    message: str, arguments: tuple[str, ...], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = SessionLogger(logging.getLogger("whisper_streaming.session"), LABEL)

    with caplog.at_level(logging.INFO):
        log.info(message, *arguments)

    assert caplog.messages == [line]


def test_a_failure_keeps_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    log = SessionLogger(logging.getLogger("whisper_streaming.session"), LABEL)

    try:
        raise ValueError("why")
    except ValueError:
        log.exception("the session broke")

    assert caplog.messages == [f"[{LABEL}] the session broke"]
    assert "ValueError: why" in caplog.text
