"""What the load generator is told to do, and what it brings back: plain data between processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Track:
    """Audio as it is sent.

    Attributes:
        name: Of the recording.
        frames: A whole WebSocket frame for each message.
        due_s: When each message is sent: when its last sample was spoken, seconds from the start.
    """

    name: str
    frames: tuple[bytes, ...]
    due_s: tuple[float, ...]

    @property
    def duration_s(self) -> float:
        return self.due_s[-1] if self.due_s else 0.0


@dataclass(frozen=True, slots=True)
class Lane:
    """Sessions one after the other.

    Attributes:
        start_s: When the first one connects, seconds from the start of the run.
        tracks: What they stream, as indices of the job's tracks.
    """

    start_s: float
    tracks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A whole run.

    Attributes:
        url: ``ws://`` or ``wss://``.
        options: First message of every session, without ``uid``; each track adds its own.
        track_options: More options, one mapping for each track.
        tracks: What is streamed.
        lanes: Who streams what, and when.
        end: The frame that ends the audio.
        linger_s: Ends the audio only when nothing new was shown for so long. 0: at once.
        wait_s: The server has to close so soon after the end of the audio.
    """

    url: str
    options: Mapping[str, object]
    track_options: tuple[Mapping[str, object], ...]
    tracks: tuple[Track, ...]
    lanes: tuple[Lane, ...]
    end: bytes
    linger_s: float = 0.0
    wait_s: float = 30.0


@dataclass(slots=True)
class Take:
    """One session as its client saw it.

    Attributes:
        track: Index of what it streamed.
        messages: (seconds from the first sample, text message), in order.
        late_s: How late each audio message was sent: the generator's own delay.
        failure: Why it is not whole; None if it is.
        close_s: Seconds from the end of the audio to the close; None if it was not reached.
    """

    track: int
    messages: list[tuple[float, bytes]] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    failure: str | None = None
    close_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave.

    Attributes:
        takes: Every session, in the order in which they ended.
        cpu_s: Processor time of the generator.
        wall_s: From the first connect to the last close.
    """

    takes: tuple[Take, ...]
    cpu_s: float
    wall_s: float
