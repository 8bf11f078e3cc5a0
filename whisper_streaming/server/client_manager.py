"""Who may connect: places, time limits, and the estimate for those who have to wait."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Protocol, Self

from whisper_streaming.errors import ServerFull

DEFAULT_MAX_CLIENTS: Final = 4
DEFAULT_MAX_CONNECTION_TIME_S: Final = 600.0
NEW_SESSION_S: Final = 5.0
"""A session so young counts as speaking, though it has not said anything yet."""

Report = Callable[[], Mapping[str, object]]


class Load(Protocol):
    """What the machine was measured to carry."""

    @property
    def sessions(self) -> int:
        """Sessions in which somebody speaks."""
        ...

    @property
    def is_overloaded(self) -> bool:
        """Whether the sessions that are there are too many already."""
        ...


class Place:
    """A taken place. Give it back with :meth:`release`, or use it as a context manager."""

    def __init__(self, owner: "ClientManager", number: int, started: float, limit_s: float) -> None:
        self._owner = owner
        self._report: Report = dict
        self._is_silent: Callable[[], bool] = bool
        self.number = number
        self.started = started
        self.limit_s = limit_s

    @property
    def deadline(self) -> float:
        """When the place is free at the latest, on the manager's clock."""
        return self.started + self.limit_s

    def report_with(self, report: Report, is_silent: Callable[[], bool] = bool) -> None:
        """Let the status show what ``report`` gives; it must hold nothing of a transcript.

        A session that ``is_silent`` now costs the machine next to nothing.
        """
        self._report = report
        self._is_silent = is_silent

    def is_busy(self, now: float) -> bool:
        """Whether the session counts for what the machine carries."""
        return now - self.started < NEW_SESSION_S or not self._is_silent()

    def describe(self, now: float) -> dict[str, object]:
        """The row of this session in the status."""
        return {
            "session": self.number,
            "age_s": round(now - self.started, 3),
            "is_busy": self.is_busy(now),
            "time_left_s": round(max(0.0, self.deadline - now), 3),
            **self._report(),
        }

    def release(self) -> None:
        """Give the place back; once is enough and twice does no harm."""
        self._owner.release(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class ClientManager:
    """Admits at most ``max_clients`` sessions and says how long the next one has to wait.

    With :meth:`limit_by` it also admits no more speaking sessions than the machine carries.

    :meth:`admit` takes a place without an ``await`` in between, so simultaneous connects of one
    event loop cannot share the last one.

    Args:
        max_clients: Sessions at the same time.
        max_connection_time: Longest session in seconds of wall clock.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        max_clients: int = DEFAULT_MAX_CLIENTS,
        max_connection_time: float = DEFAULT_MAX_CONNECTION_TIME_S,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_clients = max_clients
        self.max_connection_time = max_connection_time
        self._clock = clock
        self._created = clock()
        self._started_at = datetime.now(UTC)
        self._places: dict[int, Place] = {}
        self._load: Load | None = None
        self._admitted = 0
        self._refused = 0
        self._sections: dict[str, Callable[[], object]] = {}

    @property
    def current_clients(self) -> int:
        """Sessions that hold a place."""
        return len(self._places)

    @property
    def is_full(self) -> bool:
        """Whether the next client would be refused."""
        return self._leaving() is not None

    def admit(self, max_connection_time_s: float | None = None) -> Place:
        """Take a place.

        Args:
            max_connection_time_s: The session's own limit; it can only shorten the server's.

        Raises:
            ServerFull: With the estimate of when to try again.
        """
        if self.is_full:
            self._refused += 1
            raise ServerFull(self.estimated_wait_s())
        self._admitted += 1
        limit_s = min(self.max_connection_time, max_connection_time_s or self.max_connection_time)
        place = Place(self, self._admitted, self._clock(), limit_s)
        self._places[place.number] = place
        return place

    def release(self, place: Place) -> None:
        """Give a place back; idempotent."""
        self._places.pop(place.number, None)

    def limit_by(self, load: Load) -> None:
        """Refuse clients also beyond what the machine carries. One is always admitted."""
        self._load = load

    def estimated_wait_s(self) -> float:
        """Seconds until a place is free at the latest; 0.0 while there is one."""
        leaving = self._leaving()
        return 0.0 if leaving is None else max(0.0, leaving.deadline - self._clock())

    def _leaving(self) -> Place | None:
        """The session whose end makes the next place free; None while there is one."""
        places = sorted(self._places.values(), key=lambda place: place.deadline)
        surplus = len(places) - self.max_clients
        if surplus >= 0:
            return places[surplus]
        if self._load is None:
            return None
        now = self._clock()
        busy = [place for place in places if place.is_busy(now)]
        # Measured low, or measured again: there may be more sessions than fit.
        surplus = len(busy) - max(1, self._load.sessions)
        if surplus >= 0:
            return busy[surplus]
        return busy[0] if busy and self._load.is_overloaded else None

    def add_section(self, name: str, describe: Callable[[], object]) -> None:
        """Show what ``describe`` gives as ``name`` in the status."""
        self._sections[name] = describe

    def get_status(self) -> dict[str, object]:
        """Numbers for an operator, ready for JSON; nothing of any transcript."""
        now = self._clock()
        return {
            "current_clients": self.current_clients,
            "busy_clients": sum(place.is_busy(now) for place in self._places.values()),
            "max_clients": self.max_clients,
            "estimated_wait_time_minutes": self.estimated_wait_s() / 60,
            "is_full": self.is_full,
            "max_connection_time_s": self.max_connection_time,
            "admitted_clients": self._admitted,
            "refused_clients": self._refused,
            "started_at": self._started_at.isoformat(timespec="milliseconds"),
            "uptime_s": round(now - self._created, 3),
            "sessions": [place.describe(now) for place in self._places.values()],
            **{name: describe() for name, describe in self._sections.items()},
        }
