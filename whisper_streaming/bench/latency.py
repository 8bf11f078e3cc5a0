"""How late words are shown and final, how much they flicker, and how many are wrong.

Streams recordings with exact word times at the pace of speech to a server in a process of its own,
and measures what its clients see. Beside that the same sessions on the audio clock, where
decodes take no time ("computation-unaware"): what is left there is the policy alone. And the
same model offline, when it may hear everything first.

  whisper-streaming bench latency
  whisper-streaming bench latency --audio tests/data --match 'en-[1-6]*' --json latency.json
  whisper-streaming bench latency --sessions 6 --server-flags='--set policy.min_chunk_s=0.6'
  whisper-streaming bench latency --url ws://127.0.0.1:9090 --pid 4711

It takes as long as the recordings, divided by the sessions, and a minute. All definitions are in
docs/benchmarks.md.
"""

import argparse
from collections.abc import Sequence
from contextlib import closing

from whisper_streaming.backends import create_backend
from whisper_streaming.bench.live_run import stream_recordings
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
    server_config,
    server_under_test,
)
from whisper_streaming.bench.sessions import (
    OUR_OPTIONS,
    lanes_through_all,
)
from whisper_streaming.bench.simulation import simulate
from whisper_streaming.config import ServerConfig
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.server.session_setup import set_up_session
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this measurement."""
    parser.add_argument(
        "-n", "--sessions", type=int, default=1, metavar="N",
        help="sessions at a time; every recording is streamed once (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--no-vad", action="store_true", help="ask the server for use_vad off, as some clients do"
    )
    parser.add_argument(
        "--live-only", action="store_true", help="leave out the simulation and the offline decode"
    )
    add_recording_arguments(parser)
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> Report:
    """Measure.

    Raises:
        WhisperStreamingError: If a recording, the model or the server cannot be had.
    """
    recordings = chosen_recordings(arguments)
    config = server_config(arguments)
    lanes = lanes_through_all(arguments.sessions, len(recordings))
    options = {**OUR_OPTIONS, "use_vad": False} if arguments.no_vad else OUR_OPTIONS
    with server_under_test(arguments) as server:
        live = stream_recordings(
            server, recordings, lanes, f"live, {len(lanes)} at a time", options=options
        )
    rows: list[Row] = [{"what": "live: paced, wall clock", **live.as_row(len(lanes))}]
    details: dict[str, object] = {"sessions": score_details(live.scores)}
    charts = [_chart("live", live.scores)]
    notes = [live.generator_note, *live.failure_notes]
    if not arguments.live_only:
        simulated, offline = simulate_all(config, recordings, use_vad=not arguments.no_vad)
        rows = _with_references(rows[0], live.scores, simulated, offline)
        details |= {"simulated": score_details(simulated), **offline_details(offline)}
        charts.append(_chart("simulated", simulated))
        notes.insert(0, offline_note(offline))
    return Report(
        title=f"Latency, {len(lanes)} at a time, {len(recordings)} recordings",
        columns=COLUMNS,
        rows=rows,
        notes=notes,
        charts=charts,
        details=details,
    )


def simulate_all(
    config: ServerConfig, recordings: Sequence[Recording], *, use_vad: bool
) -> tuple[tuple[Score, ...], tuple[OfflineTexts, ...]]:
    """The same sessions where decodes take no time, and the same model offline.

    Raises:
        BackendError: If the model cannot be had or fails.
    """
    rules = SegmentRules(max_s=config.segment.segment_max_s, pause_s=config.segment.pause_s)
    scores = []
    with closing(create_backend(config.backend)) as backend:
        for each in tracked(recordings, "on the audio clock"):
            wishes = Configure(
                "bench", language=each.language, detect_language=each.language is None,
                use_vad=use_vad,
            )  # fmt: skip
            session = set_up_session(wishes, config, backend.info).session
            simulated = simulate(backend, session, each, speech_probabilities(each), rules)
            scores.append(score(each, simulated.captions, simulated.text))
        return tuple(scores), decode_offline(backend, recordings)


def _with_references(
    live_row: Row,
    live: Sequence[Score],
    simulated: Sequence[Score],
    offline: Sequence[OfflineTexts],
) -> list[Row]:
    """All rows: live, simulated, and the offline decodes."""
    texts = offline[0].texts
    simulated_row: Row = {
        "what": "simulated: decodes take no time",
        **totals(simulated),
        "wer_against_offline": wer_against(simulated, texts),
    }
    offline_rows: list[Row] = [
        {"what": f"offline, {each.window_s:g}-s windows", "wer": each.rate} for each in offline
    ]
    live_row = {**live_row, "wer_against_offline": wer_against(live, texts)}
    return [live_row, simulated_row, *offline_rows]


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
