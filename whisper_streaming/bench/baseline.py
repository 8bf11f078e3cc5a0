"""WhisperLive and this server on the same machine, model and recordings, one after the other.

The first run installs whisper-live from the package index into a folder of its own, without what
it does not need here; it decodes with the CTranslate2 and faster-whisper of this environment. Both
servers get the options of WhisperLive's own client and the same audio, at the pace of speech. At
the end of the audio the client waits until nothing new was shown for a while, because WhisperLive
completes what is open only by and by. The final text is everything that is on the screen then,
final or not, as WhisperLive's own client writes it to its files.

  whisper-streaming bench baseline
  whisper-streaming bench baseline --audio tests/data --match 'en-[1-6]*' --sessions 1 8
  whisper-streaming bench baseline --batch --sessions 8 --json baseline.json

It takes twice as long as "bench latency". All definitions are in docs/benchmarks.md.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import DEMO
from whisper_streaming.backends.model_store import resolve_model
from whisper_streaming.bench.live_run import LiveRun, stream_recordings
from whisper_streaming.bench.offline import decode_offline, offline_details, offline_note
from whisper_streaming.bench.recordings import (
    Recording,
    add_recording_arguments,
    chosen_recordings,
)
from whisper_streaming.bench.report import Chart, Column, Report, Row, distribution
from whisper_streaming.bench.scoring import score_details
from whisper_streaming.bench.server_process import (
    OPEN_TO_ALL,
    ServerUnderTest,
    listening,
    own_server,
)
from whisper_streaming.bench.sessions import lanes_at_once, lanes_through_all
from whisper_streaming.bench.stock_environment import WHISPER_LIVE, provide_environment
from whisper_streaming.cli_flags import at_least_zero, whole_number
from whisper_streaming.config import BackendSettings

OURS: Final = "whisper-streaming"
STOCK: Final = f"WhisperLive {WHISPER_LIVE.version}"

# What WhisperLive's own client sends.
STOCK_OPTIONS: Final[Mapping[str, object]] = {
    "task": "transcribe",
    "model": "small",
    "use_vad": True,
    "send_last_n_segments": 10,
    "no_speech_thresh": 0.45,
    "clip_audio": False,
    "same_output_threshold": 10,
    "enable_translation": False,
    "word_timestamps": False,
    "initial_prompt": None,
    "vad_parameters": None,
    "hotwords": None,
}

COLUMNS = (
    Column("Server", "{server}"),
    Column("Sessions", "{sessions}"),
    Column("Commit p50 / p95", "{commit_p50_s:.2f} / {commit_p95_s:.2f} s"),
    Column("First partial p50 / p95", "{first_p50_s:.2f} / {first_p95_s:.2f} s"),
    Column("Complete p50 / p95", "{complete_p50_s:.2f} / {complete_p95_s:.2f} s"),
    Column("Erasure", "{erasure:.2f}"),
    Column("Word error rate", "{wer:.1%}"),
    Column("Deleted words", "{deleted}"),
    Column("Lost tail", "{lost_tail}"),
    Column("CPU per audio second", "{cpu_s_per_audio_s:.3f} s"),
    Column("Memory", "{peak_memory_mb:.0f} MB"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this measurement."""
    parser.add_argument(
        "-n", "--sessions", nargs="+", type=whole_number, default=[1], metavar="N",
        help="1 streams every recording, one at a time; more are that many sessions at once, "
        "recordings in turn (default: 1)",
    )  # fmt: skip
    parser.add_argument("--model", default=DEMO, help="model of both servers (default: demo)")
    parser.add_argument(
        "--batch", action="store_true", help="also WhisperLive with its batching turned on"
    )
    parser.add_argument(
        "--linger", type=at_least_zero, default=5.0, metavar="S",
        help="end the audio when nothing new was shown for so long (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--environment", type=Path, default=default_environment(), metavar="FOLDER",
        help="where WhisperLive is installed and kept (default: %(default)s)",
    )  # fmt: skip
    add_recording_arguments(parser)


def default_environment() -> Path:
    """Where WhisperLive is kept between runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "whisper-streaming" / WHISPER_LIVE.folder_name


def run(arguments: argparse.Namespace) -> Report:
    """Measure.

    Raises:
        BenchmarkError: If whisper-live cannot be had, or a server does not start.
        WhisperStreamingError: If a recording or the model cannot be had.
    """
    recordings = chosen_recordings(arguments)
    model = resolve_model(arguments.model)
    packages = provide_environment(arguments.environment).packages
    runs: dict[tuple[str, int], LiveRun] = {}
    modes = [(STOCK, ""), *([(f"{STOCK}, batching", "batch")] if arguments.batch else [])]
    for count in arguments.sessions:
        for name, mode in modes:
            with stock_server(packages, model.path, mode) as server:
                runs[name, count] = _stream(name, server, recordings, count, arguments.linger)
        with own_server(["--model", arguments.model, *OPEN_TO_ALL]) as server:
            runs[OURS, count] = _stream(OURS, server, recordings, count, arguments.linger)
    with closing(create_backend(BackendSettings(models=(arguments.model,)))) as backend:
        offline = decode_offline(backend, recordings)
    rows: list[Row] = [{"server": name, **each.as_row(n)} for (name, n), each in runs.items()]
    failures = [
        f"{name}, {n}: {note}" for (name, n), each in runs.items() for note in each.failure_notes
    ]
    return Report(
        title=f"{STOCK} and {OURS}, model {model.name}, {len(recordings)} recordings",
        columns=COLUMNS,
        rows=rows,
        notes=[offline_note(offline), *failures],
        charts=[_chart(count, runs) for count in arguments.sessions],
        details={
            **offline_details(offline),
            "sessions": {
                f"{name}, {n}": score_details(each.scores) for (name, n), each in runs.items()
            },
        },
    )


@contextmanager
def stock_server(packages: Path, model: Path, mode: str = "") -> Iterator[ServerUnderTest]:
    """The real WhisperLive on a free port of this machine.

    Args:
        packages: Where it is installed.
        model: A CTranslate2 folder.
        mode: ``batch`` turns its batching on.

    Raises:
        BenchmarkError: If it does not start.
    """
    program = [sys.executable, "-m", "whisper_streaming.bench.stock_server"]
    command = [*program, str(packages), str(model), *([mode] if mode else [])]
    with listening(command, r"^(\d+)$") as (pid, port):
        yield ServerUnderTest(f"ws://127.0.0.1:{port}", pid)


def _stream(
    name: str,
    server: ServerUnderTest,
    recordings: Sequence[Recording],
    count: int,
    linger_s: float,
) -> LiveRun:
    total = len(recordings)
    lanes = lanes_through_all(1, total) if count == 1 else lanes_at_once(count, total)
    return stream_recordings(
        server,
        recordings,
        lanes,
        f"{name}, {count}",
        options=STOCK_OPTIONS,
        linger_s=linger_s,
        keeps_partial=True,
    )


def _chart(count: int, runs: Mapping[tuple[str, int], LiveRun]) -> Chart:
    series = (
        distribution(name, [value for s in each.scores for value in s.latencies.commit])
        for (name, n), each in runs.items()
        if n == count
    )
    return Chart(
        title=f"Words that are final, sessions: {count}",
        x_label="seconds after the word ended",
        y_label="% of words",
        series=tuple(each for each in series if each.points),
        kind="step",
    )
