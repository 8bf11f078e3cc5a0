"""How many live sessions this machine carries at once.

Streams recordings with exact word times in more and more sessions, to the first number that is
too many, and halves the interval from there. A number is carried if of all its sessions together

  - words are final within 2 s after their end (p95),
  - no word is lost: no session fails, the server accounts for every sample as decoded or silent,
    and no more words are missing at the end than from one session,
  - the word error rate is within 0.5 points of that of one session at a time.

The load generator is a process of its own on the same machine; its share is part of the result.
Each number takes a server of its own and as long as the longest recording.

  whisper-streaming bench load
  whisper-streaming bench load --audio tests/data --match 'en-[1-6]*' --plot load.svg
  whisper-streaming bench load --audio tests/data --steps 48    this number, and one session
  whisper-streaming bench load --limit limit.json               beside what "bench limit" found
  whisper-streaming bench load --silent --steps 100             connected, and nobody speaks

With --silent nothing is judged: it tells what a session costs in which nobody speaks.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from whisper_streaming.bench.job import Job, Lane
from whisper_streaming.bench.live_run import LiveRun, failure_notes, run_job, stream_recordings
from whisper_streaming.bench.progress import announce
from whisper_streaming.bench.recordings import (
    Recording,
    add_recording_arguments,
    chosen_recordings,
)
from whisper_streaming.bench.report import Chart, Column, Report, Row, Series, read_report
from whisper_streaming.bench.scoring import Score, score_details
from whisper_streaming.bench.search import find_capacity
from whisper_streaming.bench.server_process import (
    add_server_arguments,
    check_server_arguments,
    server_under_test,
)
from whisper_streaming.bench.sessions import (
    END_FRAME,
    OUR_OPTIONS,
    lanes_at_once,
    lanes_through_all,
    silence_track,
    starts,
)
from whisper_streaming.cli_flags import above_zero, whole_number
from whisper_streaming.errors import ConfigurationError

MAX_COMMIT_P95_S: Final = 2.0
MAX_WER_RISE: Final = 0.005
DEFAULT_STEPS: Final = (4, 8, 16, 24, 32, 48, 64, 96)
DEFAULT_SILENCE_S: Final = 30.0
SILENCE_LEVELS: Final = {"digital": 0.0, "room": 1e-3}
"""Amplitude of silence: zeros, or the noise of a quiet room at -60 dBFS."""

_COST_COLUMNS = (
    Column("CPU per audio second", "{cpu_s_per_audio_s:.3f} s"),
    Column("CPU, cores", "{server_cores:.2f}"),
    Column("Memory", "{peak_memory_mb:.0f} MB"),
    Column("per session", "{memory_mb_per_session:.1f} MB"),
    Column("Loop stall p99", "{stall_p99_s:.3f} s"),
    Column("Generator CPU per audio second", "{generator_cpu_s_per_audio_s:.4f} s"),
)
COLUMNS = (
    Column("Clients", "{sessions}"),
    Column("Carried", "{verdict}"),
    Column("Share of limit", "{limit_share:.0%}"),
    Column("Commit p50 / p95", "{commit_p50_s:.2f} / {commit_p95_s:.2f} s"),
    Column("First partial p50 / p95", "{first_p50_s:.2f} / {first_p95_s:.2f} s"),
    Column("Word error rate", "{wer:.1%}"),
    Column("of one session", "{expected_wer:.1%}"),
    Column("Lost tail", "{lost_tail}"),
    *_COST_COLUMNS,
)
SILENT_COLUMNS = (
    Column("Sessions in silence", "{sessions}"),
    Column("Failed", "{failed}"),
    Column("CPU per session", "{cpu_s_per_audio_s:.2%} of a core"),
    *_COST_COLUMNS[1:],
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this measurement."""
    parser.add_argument(
        "--steps", nargs="+", type=whole_number, default=list(DEFAULT_STEPS), metavar="N",
        help=f"sessions to try, ascending (default: {' '.join(map(str, DEFAULT_STEPS))})",
    )  # fmt: skip
    parser.add_argument(
        "--resolution", type=whole_number, default=2, metavar="N",
        help="stop halving when the capacity is known this well (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=Path, metavar="FILE",
        help='JSON of "bench limit" on this machine, to state each load as a share of it',
    )  # fmt: skip
    parser.add_argument(
        "--silent", nargs="?", const="digital", choices=sorted(SILENCE_LEVELS),
        help="sessions in silence instead of speech: digital (zeros, the default) or room "
        "(noise at -60 dBFS)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=above_zero, metavar="S",
        help=f"with --silent: how long (default: {DEFAULT_SILENCE_S:g})",
    )  # fmt: skip
    add_recording_arguments(parser)
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> Report:
    """Measure.

    Raises:
        WhisperStreamingError: If a recording, the model or the server cannot be had.
    """
    steps = arguments.steps
    if steps != sorted(set(steps)):
        raise ConfigurationError("--steps takes ascending numbers")
    check_server_arguments(arguments, starts_models=False)
    if arguments.silent is not None:
        return _run_silent(arguments)
    if arguments.seconds is not None:
        raise ConfigurationError("--seconds is the length of --silent; recordings have their own")
    # Which model a server at --url has is its own business.
    model = arguments.model if arguments.url is None else None
    limit = None if arguments.limit is None else read_limit(arguments.limit, model)
    recordings = chosen_recordings(arguments)
    reference = _measure(arguments, recordings, lanes_through_all(1, len(recordings)), "one")
    runs = {1: reference}

    def carries(count: int) -> bool:
        if count not in runs:
            lanes = lanes_at_once(count, len(recordings))
            runs[count] = _measure(arguments, recordings, lanes, f"{count} sessions")
        row = _row(count, runs[count], reference.scores, limit)
        announce(", ".join(f"{each.heading}: {each.show(row)}" for each in COLUMNS[:4]))
        return row["carried"] is True

    capacity = find_capacity(carries, sorted({1, *steps}), resolution=arguments.resolution)
    return _report(capacity, runs, recordings, limit)


def read_limit(path: Path, model: str | None) -> float:
    """The sessions that CTranslate2 alone would carry, from the JSON of ``bench limit``.

    Args:
        path: Of the JSON.
        model: What it has to be the limit of; None is any.

    Raises:
        ConfigurationError: If the file does not say, or is of another model or machine.
    """
    details = read_report(path, "limit").get("details")
    measured = details.get("model") if isinstance(details, dict) else None
    if model is not None and measured not in (None, model):
        raise ConfigurationError(f"{path} is the limit of {measured!r}, not of {model!r}")
    limit = details.get("limit_sessions") if isinstance(details, dict) else None
    if not isinstance(limit, int | float) or limit <= 0:
        raise ConfigurationError(
            f"{path} names no limit in sessions: measure all buckets of live sessions"
        )
    return float(limit)


def faults(run: LiveRun, reference: Sequence[Score]) -> list[str]:
    """Why a load is not carried; empty if it is.

    Args:
        run: What was measured.
        reference: One score for each of its recordings, from one session at a time.
    """
    row = run.as_row(len(run.scores))
    commit_p95_s, wer = row["commit_p95_s"], row["wer"]
    found = []
    if failed := [score.failure for score in run.scores if score.failure is not None]:
        found.append(f"{len(failed)} sessions failed ({failed[0]})")
    if not isinstance(commit_p95_s, float):
        found.append("no word is right")
    elif commit_p95_s > MAX_COMMIT_P95_S:
        found.append(f"commit p95 {commit_p95_s:.1f} s")
    if row["gaps"] or row["missing_samples"]:
        found.append("audio lost")
    lost = sum(
        max(0, s.errors.lost_tail - _alone(s, reference).errors.lost_tail) for s in run.scores
    )
    if lost:
        found.append(f"{lost} last words lost")
    assert isinstance(wer, float)
    if wer > expected_wer(run.scores, reference) + MAX_WER_RISE:
        found.append("more word errors")
    return found


def expected_wer(scores: Sequence[Score], reference: Sequence[Score]) -> float:
    """The word error rate that ``scores`` had if each session were alone on the machine."""
    alone = [_alone(each, reference).errors for each in scores]
    return sum(each.errors for each in alone) / max(1, sum(each.reference_words for each in alone))


def _alone(score: Score, reference: Sequence[Score]) -> Score:
    return next(each for each in reference if each.recording == score.recording)


def _measure(
    arguments: argparse.Namespace,
    recordings: Sequence[Recording],
    lanes: Sequence[Lane],
    description: str,
) -> LiveRun:
    # A server of its own for each number: nothing is left over from the load before.
    with server_under_test(arguments) as server:
        return stream_recordings(server, recordings, lanes, description)


def _report(
    capacity: int,
    runs: dict[int, LiveRun],
    recordings: Sequence[Recording],
    limit: float | None,
) -> Report:
    reference = runs[1].scores
    more = "" if capacity < max(runs) else " at least; more were not tried"
    rows = [_row(count, each, reference, limit) for count, each in sorted(runs.items())]
    most = runs[max(runs)]
    return Report(
        title=f"Load: {capacity} sessions of {len(recordings)} recordings",
        columns=COLUMNS,
        rows=rows,
        notes=[
            f"Capacity: {capacity} sessions{more}; carried means commit p95 <= "
            f"{MAX_COMMIT_P95_S:g} s, nothing lost, word error rate within "
            f"{100 * MAX_WER_RISE:g} points of one session.",
            f"At {max(runs)} sessions: {most.generator_note}",
            *_estimate_notes(rows),
            *([] if limit is None else [_limit_note(capacity, limit)]),
        ],
        charts=_charts(rows),
        details={
            "capacity": capacity,
            "limit_sessions": limit,
            "sessions": {str(n): score_details(each.scores) for n, each in sorted(runs.items())},
            "status": {str(n): dict(each.cost.status) for n, each in sorted(runs.items())},
        },
    )


def _row(count: int, run: LiveRun, reference: Sequence[Score], limit: float | None) -> Row:
    why = faults(run, reference)
    return {
        **run.as_row(count),
        "expected_wer": expected_wer(run.scores, reference),
        "carried": not why,
        "limit_share": None if limit is None else count / limit,
        "verdict": "no: " + ", ".join(why) if why else "yes",
    }


def _limit_note(capacity: int, limit: float) -> str:
    return (
        f"The capacity is {capacity / limit:.0%} of the {limit:.0f} sessions that CTranslate2 "
        "alone would carry."
    )


def _estimate_notes(rows: Sequence[Row]) -> list[str]:
    estimates = sorted(int(e) for row in rows if (e := row.get("estimated_sessions")) is not None)
    if not estimates:
        return []
    return [
        f"The servers' own estimates at their start: {estimates[0]} to {estimates[-1]} sessions."
    ]


def _charts(rows: Sequence[Row]) -> list[Chart]:
    return [
        Chart(
            "Latency by load", "sessions", "seconds after the word ended",
            (
                _line(rows, "commit p50", "commit_p50_s"),
                _line(rows, "commit p95", "commit_p95_s"),
                _line(rows, "first partial p50", "first_p50_s"),
            ),
            limit=MAX_COMMIT_P95_S,
        ),
        Chart(
            "Word error rate by load", "sessions", "errors per word",
            (
                _line(rows, "live", "wer"),
                _line(rows, "one session, same recordings", "expected_wer"),
            ),
        ),
        Chart(
            "Processor by load", "sessions", "cores", (_line(rows, "server", "server_cores"),)
        ),
    ]  # fmt: skip


def _line(rows: Sequence[Row], name: str, key: str, factor: float = 1.0) -> Series:
    """``key`` of ``rows``, times ``factor``, by the number of sessions."""
    points = ((float(row["sessions"] or 0), row.get(key)) for row in rows)
    return Series(name, tuple((x, factor * y) for x, y in points if isinstance(y, int | float)))


# -- silence --------------------------------------------------------------------------------


def _run_silent(arguments: argparse.Namespace) -> Report:
    if arguments.limit is not None:
        raise ConfigurationError("--limit is of sessions that speak: it goes without --silent")
    duration_s = arguments.seconds or DEFAULT_SILENCE_S
    track = silence_track(duration_s, SILENCE_LEVELS[arguments.silent])
    rows: list[Row] = []
    notes: list[str] = []
    for count in arguments.steps:
        with server_under_test(arguments) as server:
            job = Job(
                url=server.url,
                options=OUR_OPTIONS,
                track_options=({},),
                tracks=(track,),
                lanes=tuple(Lane(start, (0,)) for start in starts(count)),
                end=END_FRAME,
            )
            takes, cost = run_job(server, job, f"{count} sessions in silence")
        failures = [take.failure for take in takes if take.failure is not None]
        rows.append({**cost.as_row(count), "failed": len(failures)})
        notes += [f"{count}: {note}" for note in failure_notes(failures)]
    return Report(
        title=f"Sessions in silence ({arguments.silent}), {duration_s:g} s",
        columns=SILENT_COLUMNS,
        rows=rows,
        notes=[
            "Messages of 0.1 s all the time, in which nobody speaks. Memory is the peak of the "
            "server over what it held before, divided by the sessions.",
            *notes,
        ],
        charts=[
            Chart(
                "Processor for each session in silence", "sessions", "% of a core",
                (_line(rows, "server", "cpu_s_per_audio_s", 100.0),),
            ),
            Chart(
                "Memory for each session in silence", "sessions", "MB",
                (_line(rows, "server", "memory_mb_per_session"),),
            ),
        ],
    )  # fmt: skip
