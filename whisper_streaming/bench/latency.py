"""How late words are shown and final, how much they flicker, and how many are wrong.

Streams recordings with exact word times at the pace of speech to a server in a process of its own,
and measures what its clients see. Beside that the same sessions on the audio clock, where
decodes take no time ("computation-unaware"): what is left there is the policy alone. And the
same model offline, when it may hear everything first.

  whisper-streaming bench latency
  whisper-streaming bench latency --audio tests/data --match 'en-[1-6]*' --json latency.json
  whisper-streaming bench latency --sessions 6 --server-flags='--set policy.min_chunk_s=0.6'
  whisper-streaming bench latency --only simulated --audio tests/data
  whisper-streaming bench latency --url ws://127.0.0.1:9090 --pid 4711

It takes as long as the recordings, divided by the sessions, and a minute. All definitions are in
docs/benchmarks.md.
"""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from whisper_streaming.backends import create_backend
from whisper_streaming.bench.live_run import LiveRun, stream_recordings
from whisper_streaming.bench.offline import (
    OfflineTexts,
    decode_offline,
    offline_details,
    offline_note,
    speech_probabilities,
)
from whisper_streaming.bench.progress import tracked
from whisper_streaming.bench.recordings import (
    Recording,
    add_recording_arguments,
    chosen_recordings,
)
from whisper_streaming.bench.report import Chart, Column, Report, Row, distribution
from whisper_streaming.bench.scoring import Score, score, score_details, totals, wer_against
from whisper_streaming.bench.server_process import (
    add_server_arguments,
    check_server_arguments,
    server_config,
    server_under_test,
)
from whisper_streaming.bench.sessions import (
    OUR_OPTIONS,
    lanes_through_all,
)
from whisper_streaming.bench.simulation import simulate
from whisper_streaming.cli_flags import whole_number
from whisper_streaming.config import ServerConfig
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.live.session_setup import segment_rules, set_up_session
from whisper_streaming.wire.base import Configure

_P50_P95 = "{{{0}_p50_s:.2f}} / {{{0}_p95_s:.2f}} s"

COLUMNS = (
    Column("", "{what}"),
    Column("Commit p50 / p95", _P50_P95.format("commit")),
    Column("Commit p99", "{commit_p99_s:.2f} s"),
    Column("First partial p50 / p95", _P50_P95.format("first")),
    Column("Complete p50 / p95", _P50_P95.format("complete")),
    Column("Endpoint p50 / p95", _P50_P95.format("endpoint")),
    Column("Erasure", "{erasure:.2f}"),
    Column("Word error rate", "{wer:.1%}"),
    Column("Against offline", "{wer_against_offline:.1%}"),
    Column("Lost tail", "{lost_tail}"),
    Column("CPU per audio second", "{cpu_s_per_audio_s:.3f} s"),
)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one kind of sessions adds to the report."""

    rows: list[Row]
    notes: list[str]
    chart: Chart
    details: dict[str, object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this measurement."""
    parser.add_argument(
        "-n", "--sessions", type=whole_number, default=1, metavar="N",
        help="sessions at a time; every recording is streamed once (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--no-vad", action="store_true", help="ask the server for use_vad off, as some clients do"
    )
    parser.add_argument(
        "--only", choices=("live", "simulated"),
        help="live: without simulation and offline decode; simulated: without a server, so that "
        "it takes no longer than the decodes",
    )  # fmt: skip
    add_recording_arguments(parser)
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> Report:
    """Measure.

    Raises:
        WhisperStreamingError: If a recording, the model or the server cannot be had.
    """
    if arguments.only == "simulated" and arguments.url is not None:
        raise ConfigurationError("--only simulated takes no server, so no --url")
    check_server_arguments(arguments, starts_models=arguments.only != "live")
    recordings = chosen_recordings(arguments)
    config = server_config(arguments)
    sessions = min(arguments.sessions, len(recordings))
    live = _stream(arguments, recordings, sessions) if arguments.only != "simulated" else None
    parts = []
    texts: Mapping[str, str] | None = None
    if arguments.only != "live":
        simulated, offline = simulate_all(config, recordings, use_vad=not arguments.no_vad)
        texts = offline[0].texts
        parts.append(_simulated_part(simulated, offline))
    if live is not None:
        parts.insert(0, _live_part(live, sessions, texts))
    return Report(
        title=f"Latency, {sessions} at a time, {len(recordings)} recordings",
        columns=COLUMNS,
        rows=[row for part in parts for row in part.rows],
        notes=[note for part in parts for note in part.notes],
        charts=[part.chart for part in parts],
        details={key: value for part in parts for key, value in part.details.items()},
    )


def _stream(
    arguments: argparse.Namespace, recordings: Sequence[Recording], sessions: int
) -> LiveRun:
    lanes = lanes_through_all(sessions, len(recordings))
    options = {**OUR_OPTIONS, "use_vad": False} if arguments.no_vad else OUR_OPTIONS
    with server_under_test(arguments) as server:
        return stream_recordings(
            server, recordings, lanes, f"live, {sessions} at a time", options=options
        )


def simulate_all(
    config: ServerConfig, recordings: Sequence[Recording], *, use_vad: bool
) -> tuple[tuple[Score, ...], tuple[OfflineTexts, ...]]:
    """The same sessions where decodes take no time, and the same model offline.

    Raises:
        BackendError: If the model cannot be had or fails.
    """
    rules = segment_rules(config.segment)
    detector = config.vad.detector
    scores = []
    with closing(create_backend(config.backend)) as backend:
        for each in tracked(recordings, "on the audio clock"):
            wishes = Configure(
                "bench", language=each.language, detect_language=each.language is None,
                use_vad=use_vad,
            )  # fmt: skip
            setup = set_up_session(wishes, config, backend.info)
            probabilities = speech_probabilities(each, detector)
            simulated = simulate(backend, setup.session, each, probabilities, rules)
            scores.append(score(each, simulated.captions, simulated.text))
        return tuple(scores), decode_offline(backend, recordings, detector=detector)


def _live_part(live: LiveRun, sessions: int, texts: Mapping[str, str] | None) -> _Part:
    row: Row = {"what": "live: paced, wall clock", **live.as_row(sessions)}
    if texts is not None:
        row = {**row, "wer_against_offline": wer_against(live.scores, texts)}
    return _Part(
        rows=[row],
        notes=[live.generator_note, *live.failure_notes],
        chart=_chart("live", live.scores),
        details={"sessions": score_details(live.scores)},
    )


def _simulated_part(simulated: Sequence[Score], offline: Sequence[OfflineTexts]) -> _Part:
    row: Row = {
        "what": "simulated: decodes take no time",
        **totals(simulated),
        "wer_against_offline": wer_against(simulated, offline[0].texts),
    }
    offline_rows: list[Row] = [
        {"what": f"offline, {each.window_s:g}-s windows", "wer": each.rate} for each in offline
    ]
    return _Part(
        rows=[row, *offline_rows],
        notes=[offline_note(offline)],
        chart=_chart("simulated", simulated),
        details={"simulated": score_details(simulated), **offline_details(offline)},
    )


def _chart(what: str, scores: Sequence[Score]) -> Chart:
    kinds = {
        "first partial": [s.latencies.first for s in scores],
        "commit": [s.latencies.commit for s in scores],
        "complete": [s.latencies.complete for s in scores],
        "endpoint": [s.latencies.endpoint for s in scores],
    }
    series = (
        distribution(name, [value for each in values for value in each])
        for name, values in kinds.items()
    )
    return Chart(
        title=f"Words by latency, {what}",
        x_label="seconds after the word ended",
        y_label="% of words",
        series=tuple(each for each in series if each.points),
        kind="step",
    )
