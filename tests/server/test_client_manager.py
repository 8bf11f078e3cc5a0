"""Places, limits and waiting times."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from tests.fakes import FakeClock
from whisper_streaming.errors import ServerFull
from whisper_streaming.server import ClientManager
from whisper_streaming.server.client_manager import NEW_SESSION_S


def test_works_without_arguments() -> None:
    status = ClientManager().get_status()

    assert status["current_clients"] == 0
    assert status["max_clients"] == 4
    assert status["max_connection_time_s"] == 600
    assert status["estimated_wait_time_minutes"] == 0.0


def test_refuses_one_more_than_it_has_places() -> None:
    manager = ClientManager(max_clients=2)
    manager.admit()
    manager.admit()

    assert manager.is_full
    with pytest.raises(ServerFull):
        manager.admit()
    assert manager.get_status()["refused_clients"] == 1


def test_a_place_is_free_after_its_context_and_releasing_twice_frees_one() -> None:
    manager = ClientManager(max_clients=2)
    manager.admit()
    with manager.admit() as place:
        assert manager.current_clients == 2
    place.release()

    assert manager.current_clients == 1
    assert not manager.is_full


def test_the_wait_ends_with_the_session_that_ends_first() -> None:
    clock = FakeClock()
    manager = ClientManager(max_clients=2, max_connection_time=600, clock=clock)
    manager.admit()
    clock.advance(60)
    manager.admit(max_connection_time_s=120)
    assert manager.estimated_wait_s() == 120
    clock.advance(90)

    assert manager.estimated_wait_s() == 30
    assert manager.get_status()["estimated_wait_time_minutes"] == 0.5
    with pytest.raises(ServerFull) as refused:
        manager.admit()
    assert refused.value.retry_after_s == 30


def test_nobody_waits_while_there_is_a_place() -> None:
    manager = ClientManager(max_clients=2)
    manager.admit()

    assert manager.estimated_wait_s() == 0.0


def test_a_session_past_its_time_is_awaited_no_longer_than_now() -> None:
    clock = FakeClock()
    manager = ClientManager(max_clients=1, max_connection_time=10, clock=clock)
    manager.admit()
    clock.advance(12)

    assert manager.estimated_wait_s() == 0.0


@pytest.mark.parametrize(("wish", "limit"), [(None, 600), (60.0, 60), (6000.0, 600)])
def test_a_session_can_only_shorten_its_time(wish: float | None, limit: float) -> None:
    assert ClientManager(max_connection_time=600).admit(wish).limit_s == limit


def test_the_status_shows_sessions_and_sections_as_json() -> None:
    clock = FakeClock(100.0)
    manager = ClientManager(clock=clock)
    manager.add_section("engine", lambda: "scripted")
    place = manager.admit(50.0)
    place.report_with(lambda: {"lag_s": 0.25}, lambda: True)
    clock.advance(20.0)
    manager.admit()

    status = json.loads(json.dumps(manager.get_status()))

    silent = {"session": 1, "age_s": 20.0, "is_busy": False, "time_left_s": 30.0, "lag_s": 0.25}
    new = {"session": 2, "age_s": 0.0, "is_busy": True, "time_left_s": 600.0}
    assert status["sessions"] == [silent, new]
    assert (status["current_clients"], status["busy_clients"]) == (2, 1)
    assert status["engine"] == "scripted"
    assert status["uptime_s"] == 20.0
    assert status["admitted_clients"] == 2


def test_a_server_that_was_started_again_can_be_told_from_the_one_before() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    clock = FakeClock()
    manager = ClientManager(clock=clock)
    first = manager.get_status()
    clock.advance(5.0)

    assert manager.get_status()["started_at"] == first["started_at"]
    assert before <= datetime.fromisoformat(str(first["started_at"])) <= datetime.now(UTC)


# -- what the machine carries


@dataclass
class MeasuredLoad:
    """A machine with so many sessions in it."""

    sessions: int
    is_overloaded: bool = False


def limited(sessions: int, **options: float) -> tuple[ClientManager, MeasuredLoad, FakeClock]:
    clock, load = FakeClock(), MeasuredLoad(sessions)
    manager = ClientManager(clock=clock, **({"max_clients": 10} | options))  # type: ignore[arg-type]
    manager.limit_by(load)
    return manager, load, clock


def test_the_smaller_of_both_limits_counts() -> None:
    manager, load, _ = limited(2, max_clients=3)
    manager.admit()
    manager.admit()
    assert manager.is_full

    load.sessions = 8
    assert not manager.is_full
    manager.admit()
    assert manager.is_full


def test_one_is_served_however_slow_the_machine_is() -> None:
    manager, _, _ = limited(0)
    assert not manager.is_full

    manager.admit()

    assert manager.is_full


def test_who_is_refused_waits_for_as_many_sessions_as_are_too_many() -> None:
    manager, load, clock = limited(3, max_connection_time=600)
    for limit_s in (300, 100, 200):
        manager.admit(limit_s)
    clock.advance(50)
    assert manager.estimated_wait_s() == 50

    load.sessions = 1  # measured again, and there are two more than fit

    assert manager.estimated_wait_s() == 250
    assert manager.current_clients == 3
    with pytest.raises(ServerFull) as refused:
        manager.admit()
    assert refused.value.retry_after_s == 250


def test_silent_sessions_leave_room_for_others_but_not_at_once() -> None:
    manager, _, clock = limited(2)
    for _ in range(2):
        manager.admit().report_with(dict, is_silent=lambda: True)
    assert manager.is_full  # they have just come, and may be about to speak

    clock.advance(NEW_SESSION_S)
    assert not manager.is_full
    for _ in range(2):
        manager.admit().report_with(dict, is_silent=lambda: False)
    clock.advance(NEW_SESSION_S)

    assert manager.is_full
    assert manager.current_clients == 4


def test_silent_sessions_take_places_all_the_same() -> None:
    manager, _, clock = limited(5, max_clients=1)
    manager.admit().report_with(dict, is_silent=lambda: True)
    clock.advance(NEW_SESSION_S)

    assert manager.is_full


def test_an_overloaded_machine_takes_nobody_and_keeps_everybody() -> None:
    manager, load, _ = limited(5)
    load.is_overloaded = True
    assert not manager.is_full  # nobody is there who could suffer

    place = manager.admit(60)
    assert manager.is_full
    assert manager.estimated_wait_s() == 60
    assert manager.current_clients == 1

    place.release()
    assert not manager.is_full
