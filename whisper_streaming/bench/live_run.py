"""One run of paced sessions against a server: what its clients saw, and what it cost."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from whisper_streaming.bench.job import Job, Lane, Take
from whisper_streaming.bench.recordings import Recording
from whisper_streaming.bench.report import Value
from whisper_streaming.bench.scoring import Score, score_take, totals
from whisper_streaming.bench.server_process import ServerUnderTest
from whisper_streaming.bench.sessions import OUR_OPTIONS, generate, recordings_job
from whisper_streaming.errors import BenchmarkError
from whisper_streaming.evaluate import percentile


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took of the machine.

    Attributes:
        audio_s: Audio streamed.
        wall_s: From the first connect to the last close.
        cpu_s: Processor time of the server; None where it cannot be known.
        idle_memory_mb: Memory of the server before the run; None where it cannot be known.
        peak_memory_mb: Largest memory of the server that was seen during the run.
        generator_cpu_s: Processor time of the load generator.
        late_p99_s: How late the generator sent its audio.
        status: What the server says of itself after the run; empty where it does not.
    """

    audio_s: float
    wall_s: float
    cpu_s: float | None
    idle_memory_mb: float | None
    peak_memory_mb: float | None
    generator_cpu_s: float
    late_p99_s: float
    status: Mapping[str, object] = field(default_factory=dict)

    def as_row(self, sessions: int) -> dict[str, Value]:
        """As values of a row, by audio second and by session."""
        audio_s = max(1.0, self.audio_s)
        row: dict[str, Value] = {
            "sessions": sessions,
            "audio_s": self.audio_s,
            "wall_s": self.wall_s,
            "generator_cpu_s_per_audio_s": self.generator_cpu_s / audio_s,
            "generator_late_p99_s": self.late_p99_s,
            "stall_p99_s": _number(self.status, "event_loop", "stall_p99_s"),
            "estimated_sessions": _number(self.status, "capacity", "estimated_sessions"),
            "peak_memory_mb": self.peak_memory_mb,
        }
        if self.cpu_s is not None:
            row["cpu_s_per_audio_s"] = self.cpu_s / audio_s
            row["server_cores"] = self.cpu_s / self.wall_s
        if self.peak_memory_mb is not None and self.idle_memory_mb is not None:
            row["memory_mb_per_session"] = (self.peak_memory_mb - self.idle_memory_mb) / sessions
        return row


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run of recordings, judged.

    Attributes:
        scores: Of each session.
        cost: Of all.
    """

    scores: tuple[Score, ...]
    cost: Cost

    def as_row(self, sessions: int) -> dict[str, Value]:
        """Everything as values of a row."""
        return {**self.cost.as_row(sessions), **totals(self.scores)}

    @property
    def generator_note(self) -> str:
        """What the generator itself cost, for the notes of a report."""
        share = self.cost.generator_cpu_s / max(1.0, self.cost.audio_s)
        return (
            f"The load generator took {share:.4f} s of processor time per audio second and sent "
            f"its audio {1000 * self.cost.late_p99_s:.0f} ms late (p99), which is part of the "
            "latencies."
        )

    @property
    def failure_notes(self) -> list[str]:
        """A sentence for each reason for which sessions are not whole."""
        return failure_notes([score.failure for score in self.scores])


def failure_notes(failures: Iterable[str | None]) -> list[str]:
    """A sentence for each reason, the most frequent first; None is a session that is whole."""
    counted = Counter(failure for failure in failures if failure is not None)
    return [f"Sessions that are not whole: {n} ({why})." for why, n in counted.most_common()]


def stream_recordings(
    server: ServerUnderTest,
    recordings: Sequence[Recording],
    lanes: Sequence[Lane],
    description: str,
    *,
    options: Mapping[str, object] = OUR_OPTIONS,
    linger_s: float = 0.0,
    keeps_partial: bool = False,
) -> LiveRun:
    """Stream ``recordings`` as ``lanes`` say and judge what came back.

    Args:
        server: Where to.
        recordings: What the lanes index.
        lanes: Who streams what.
        description: For the progress bar.
        options: Of the sessions, beside their language.
        linger_s: See :class:`~whisper_streaming.bench.job.Job`.
        keeps_partial: See :func:`~whisper_streaming.bench.scoring.score_take`.

    Raises:
        BenchmarkError: If the load generator fails, or not one session began.
    """
    job = recordings_job(server.url, recordings, lanes, options=options, linger_s=linger_s)
    takes, cost = run_job(server, job, description)
    scores = tuple(
        score_take(take, recordings[take.track], keeps_partial=keeps_partial) for take in takes
    )
    return LiveRun(scores, cost)


def run_job(server: ServerUnderTest, job: Job, description: str) -> tuple[tuple[Take, ...], Cost]:
    """Run ``job`` and measure what it takes.

    Raises:
        BenchmarkError: If the load generator fails, or not one session began.
    """
    idle_memory_mb, cpu_before = server.memory_mb(), server.cpu_s()
    memory_mb: list[float] = []

    def look() -> None:
        if (now_mb := server.memory_mb()) is not None:
            memory_mb.append(now_mb)

    outcome = generate(job, description, each_second=look)
    cpu_after = server.cpu_s()
    late_s = [late for take in outcome.takes for late in take.late_s]
    if not late_s:
        reasons = Counter(take.failure for take in outcome.takes)
        raise BenchmarkError(f"no session began at {server.url}: {reasons.most_common(1)[0][0]}")
    cost = Cost(
        audio_s=sum(_sent_s(job, take) for take in outcome.takes),
        wall_s=outcome.wall_s,
        cpu_s=None if cpu_before is None or cpu_after is None else cpu_after - cpu_before,
        idle_memory_mb=idle_memory_mb,
        peak_memory_mb=max(memory_mb, default=None),
        generator_cpu_s=outcome.cpu_s,
        late_p99_s=percentile(late_s, 99),
        status=server.status(),
    )
    return outcome.takes, cost


def _sent_s(job: Job, take: Take) -> float:
    """Audio that was sent: a session that fails sends less than its track, or nothing."""
    sent = len(take.late_s)
    return job.tracks[take.track].due_s[sent - 1] if sent else 0.0


def _number(status: Mapping[str, object], section: str, name: str) -> float | None:
    """A number of the server's status; None where it does not say."""
    fields = status.get(section)
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, int | float) else None
