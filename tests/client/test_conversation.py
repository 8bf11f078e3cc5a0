"""The client's state machine, without a socket: timers and what may be said when."""

import json

import numpy as np
import pytest

from whisper_streaming.client.conversation import (
    ClientSession,
    Patience,
    Phase,
    SessionOptions,
)
from whisper_streaming.errors import ConnectionLost

PATIENCE = Patience(ready_s=30.0, finish_s=20.0, settle_s=10.0, settled_s=2.0)
ONE_SECOND = np.zeros(16_000, np.float32)


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def text(**fields: object) -> str:
    return json.dumps({"uid": "u", **fields})


OURS = text(message="SERVER_READY", backend="faster_whisper", engine="scripted", model="demo")
STOCK = text(message="SERVER_READY", backend="faster_whisper")
OPEN = text(segments=[{"start": 0, "end": 1, "text": " a", "completed": False}])
DONE = text(segments=[{"start": 0, "end": 1, "text": " a", "completed": True}])


def streaming(ready: str) -> tuple[ClientSession, FakeClock]:
    """A session that the server took and that sent one second."""
    clock = FakeClock()
    session = ClientSession(SessionOptions(), PATIENCE, clock=clock)
    session.receive(ready)
    assert len(list(session.audio_messages(ONE_SECOND))) == 1
    return session, clock


def test_the_wait_for_ready_ends() -> None:
    clock = FakeClock()
    session = ClientSession(SessionOptions(), PATIENCE, clock=clock)
    clock.now += 29.0
    assert session.remaining_s() == pytest.approx(1.0)

    clock.now += 1.0
    assert session.remaining_s() == 0.0
    session.receive_timeout()

    assert session.phase is Phase.CLOSED
    with pytest.raises(ConnectionLost, match="within 30 s"):
        session.raise_for_error()


def test_streaming_has_no_time_limit() -> None:
    session, clock = streaming(OURS)
    clock.now += 1e6

    assert session.remaining_s() is None


def test_our_server_needs_no_help_with_the_last_words() -> None:
    session, _ = streaming(OURS)

    assert not session.needs_settling
    assert session.ending_message() == b"END_OF_AUDIO"
    assert session.phase is Phase.ENDING


def test_the_wait_at_the_end_begins_again_with_every_message() -> None:
    session, clock = streaming(OURS)
    session.ending_message()
    clock.now += 19.0

    session.receive(OPEN)
    assert session.remaining_s() == pytest.approx(20.0)
    clock.now += 19.0
    session.receive(OPEN)  # says nothing new, but is a sign of life
    assert session.remaining_s() == pytest.approx(20.0)


def test_a_stock_server_settles_when_nothing_changes() -> None:
    session, clock = streaming(STOCK)
    session.receive(OPEN)
    assert session.needs_settling

    assert len(session.settling_message()) == 4 * 2 * 16_000
    assert not session.needs_settling
    clock.now += 9.0
    session.receive(OPEN)  # the same again is no change
    assert session.remaining_s() == pytest.approx(1.0)
    clock.now += 1.0
    session.receive_timeout()

    assert session.phase is Phase.SETTLED
    assert session.needs_ending


def test_a_stock_server_settles_sooner_when_all_it_showed_is_completed() -> None:
    session, clock = streaming(STOCK)
    session.receive(OPEN)
    session.settling_message()
    clock.now += 9.0

    session.receive(DONE)

    assert session.remaining_s() == pytest.approx(2.0)


def opened(words: str) -> str:
    return text(segments=[{"start": 0, "end": 1, "text": words, "completed": False}])


def test_a_stock_server_that_only_wavers_settles() -> None:
    session, clock = streaming(STOCK)
    session.settling_message()
    session.receive(opened(" a is."))
    session.receive(opened(" a six."))
    clock.now += 9.0
    assert session.receive(opened(" a is.")) is not None  # still what is shown

    assert session.remaining_s() == pytest.approx(1.0)


def test_a_stock_server_that_invents_ever_more_is_not_waited_for_without_end() -> None:
    session, clock = streaming(STOCK)
    session.settling_message()
    for index in range(11):  # 55 s of a limit of 60 s
        clock.now += 5.0
        session.receive(opened(f" invention {index}"))

    assert session.remaining_s() == pytest.approx(5.0)


def test_what_was_completed_before_the_end_does_not_settle_the_end() -> None:
    session, _ = streaming(STOCK)
    session.receive(DONE)

    session.settling_message()

    assert session.remaining_s() == pytest.approx(10.0)


def test_a_stock_server_that_heard_nothing_has_nothing_to_settle() -> None:
    session = ClientSession(SessionOptions(), PATIENCE)
    session.receive(STOCK)

    assert not session.needs_settling
    assert session.needs_ending


@pytest.mark.parametrize("code", [1000, 1005])
def test_a_stock_server_may_close_with_or_without_a_code(code: int) -> None:
    session, _ = streaming(STOCK)
    session.receive(OPEN)
    session.ending_message()

    session.receive_close(code, "")

    session.raise_for_error()
    assert session.result().complete
    assert session.result().segments[-1]["completed"]


@pytest.mark.parametrize("code", [None, 1001, 1006, 1011])
def test_other_closes_are_losses_that_name_the_code(code: int | None) -> None:
    session, _ = streaming(STOCK)
    session.ending_message()

    session.receive_close(code, "why")

    with pytest.raises(ConnectionLost, match="why" if code is None else f"code {code} why"):
        session.raise_for_error()


def test_the_end_of_the_time_needs_no_close_frame() -> None:
    session, _ = streaming(OURS)
    session.receive(text(message="DISCONNECT"))
    assert not session.takes_audio
    assert not session.needs_ending

    session.receive_timeout()

    session.raise_for_error()
    assert session.result().is_overtime
    assert not session.result().complete


def test_only_samples_that_were_taken_are_counted_as_sent() -> None:
    session = ClientSession(SessionOptions(), PATIENCE)
    messages = session.audio_messages(np.zeros(10 * 16_000, np.float32))

    assert len(next(messages)) == 4 * 4 * 16_000
    next(messages)
    messages.close()

    assert session.result().samples_sent == 4 * 16_000


def test_nothing_is_taken_after_the_end() -> None:
    session, _ = streaming(OURS)
    session.receive_close(None, "gone")

    assert session.receive(DONE) is None
    session.receive_close(1000, "")
    session.fail(ConnectionLost("second"))

    assert session.result().segments == []
    with pytest.raises(ConnectionLost, match="gone"):
        session.raise_for_error()


def test_a_binary_message_is_none_of_this_protocol() -> None:
    session = ClientSession(SessionOptions(), PATIENCE)

    session.receive(b"\x00\x01")

    with pytest.raises(ConnectionLost, match="not a WhisperLive server"):
        session.raise_for_error()
