"""What the machine can do: windows of live speech per second through CTranslate2 alone.

Times encode, generate and align on windows of each bucket that live sessions use, in batches, with
as much context, as many committed words and new ones as an update of captions has. All workers are
busy. Nothing of the server is in it: no sockets, no sessions, no spectrograms, no waiting. So a
load that "bench load" finds can be stated as a share of this limit.

  whisper-streaming bench limit
  whisper-streaming bench limit --model base --layouts 2x1 1x2 --batches 1 4 8 --json limit.json

It takes --seconds for each line of the table, and the loading of the model for each layout.
"""

import argparse
import re
from collections.abc import Mapping
from typing import Final

from whisper_streaming.backends.allocator import keep_freed_memory
from whisper_streaming.backends.base import DEMO, StreamingProfile
from whisper_streaming.backends.model_store import resolve_model
from whisper_streaming.backends.profile import load_profile
from whisper_streaming.bench.argument_types import token_count, window_seconds
from whisper_streaming.bench.progress import progress_bar
from whisper_streaming.bench.raw_model import Layout, RawModel, StageTimes, TickTokens, layouts_of
from whisper_streaming.bench.recordings import add_recording_arguments, chosen_recordings
from whisper_streaming.bench.report import Chart, Column, Report, Row, Series
from whisper_streaming.cli_flags import above_zero, whole_number
from whisper_streaming.engine.live_load import UPDATE_INTERVAL_S, live_windows
from whisper_streaming.machine import usable_cores

# Means of updates of the embedded model, every 0.3 s over six recordings.
DEFAULT_TOKENS: Final = TickTokens(context=16, prefix=4, new=2)

COLUMNS: Final = (
    Column("Workers x threads", "{layout}"),
    Column("Bucket", "{what}"),
    Column("Batch", "{batch}"),
    Column("Encode", "{encode_ms:.1f} ms"),
    Column("Generate", "{generate_ms:.1f} ms"),
    Column("Align", "{align_ms:.1f} ms"),
    Column("Together", "{processor_ms:.1f} ms"),
    Column("Windows per second", "{windows_per_s:.1f}"),
)

Measured = Mapping[tuple[Layout, float, int], StageTimes]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this measurement."""
    parser.add_argument("--model", default=DEMO, help="name or folder of a model (default: demo)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: cpu)")
    parser.add_argument(
        "--compute-type", metavar="TYPE", help="of CTranslate2 (default: int8, on a GPU float16)"
    )
    parser.add_argument(
        "--layouts", nargs="+", type=_layout, metavar="WxT",
        help="workers x threads of each (default: all cores as 1, 2, 4 ... threads for a worker)",
    )  # fmt: skip
    parser.add_argument(
        "--buckets", nargs="+", type=window_seconds, metavar="S",
        help="window lengths (default: those of live sessions by the model's profile)",
    )  # fmt: skip
    parser.add_argument(
        "--batches", nargs="+", type=whole_number, default=[1, 2, 4, 8], metavar="N",
        help="windows decoded together (default: 1 2 4 8)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds",
        type=above_zero,
        default=1.0,
        metavar="S",
        help="for each line (default: %(default)s)",
    )
    for name, help_text in (
        ("context", "earlier text in front of the window"),
        ("prefix", "committed words inside the window"),
        ("new", "what is heard after them"),
    ):
        parser.add_argument(
            f"--{name}-tokens", type=token_count, metavar="N",
            default=getattr(DEFAULT_TOKENS, name),
            help=f"{help_text} (default: %(default)s)",
        )  # fmt: skip
    add_recording_arguments(parser)


def run(arguments: argparse.Namespace) -> Report:
    """Measure.

    Raises:
        WhisperStreamingError: If the recording or the model cannot be had, or decoding fails.
    """
    speech = chosen_recordings(arguments)[0]
    folder = resolve_model(arguments.model).path
    profile = load_profile(folder)
    tokens = TickTokens(arguments.context_tokens, arguments.prefix_tokens, arguments.new_tokens)
    buckets = arguments.buckets or sorted({each.bucket_s for each in live_windows(profile)})
    layouts = arguments.layouts or layouts_of(usable_cores())
    compute_type = arguments.compute_type or ("float16" if arguments.device == "cuda" else "int8")
    keep_freed_memory()  # as the server does
    measured: dict[tuple[Layout, float, int], StageTimes] = {}
    cells = len(layouts) * len(buckets) * len(arguments.batches)
    with progress_bar("calling CTranslate2", cells) as advance:
        for layout in layouts:
            model = RawModel(folder, layout, arguments.device, compute_type)
            for bucket_s in buckets:
                for batch in arguments.batches:
                    measured[layout, bucket_s, batch] = model.measure(
                        speech, bucket_s, batch, tokens, seconds=arguments.seconds
                    )
                    advance(1)
    return report(measured, profile, tokens, arguments.model, compute_type)


def report(
    measured: Measured,
    profile: StreamingProfile,
    tokens: TickTokens,
    model: str,
    compute_type: str,
) -> Report:
    """The table, and what it means for live sessions.

    Args:
        measured: Of each layout, bucket and batch size.
        profile: Of the model; says how often live sessions use which bucket.
        tokens: Of each window.
        model: As it was asked for.
        compute_type: Of CTranslate2.
    """
    rows = [_row(cell, times) for cell, times in measured.items()]
    mixes = _live_mixes(measured, profile)
    rows += mixes
    notes = [
        f"{tokens.context} tokens of context, {tokens.prefix} of committed words, {tokens.new} new "
        "ones. Processor times are for each window of a batch, with all workers busy.",
        "Windows per second are those of an idle machine, as far as the processor time tells.",
    ]
    details: dict[str, object] = {"model": model}
    if mixes:
        best = max(mixes, key=_windows_per_s)
        limit = _windows_per_s(best) * UPDATE_INTERVAL_S
        details["limit_sessions"] = limit
        notes.append(
            f"Limit: {limit:.0f} sessions that speak without a pause and are updated every "
            f"{UPDATE_INTERVAL_S:g} s, with {best['layout']} and batches of {best['batch']}."
        )
    return Report(
        title=f"Limit of {model}, {compute_type}",
        columns=COLUMNS,
        rows=rows,
        notes=notes,
        charts=[_chart(measured)],
        details=details,
    )


def _row(cell: tuple[Layout, float, int], times: StageTimes) -> Row:
    layout, bucket_s, batch = cell
    return {
        "layout": str(layout),
        "workers": layout.workers,
        "threads": layout.threads,
        "what": f"{bucket_s:g} s",
        "bucket_s": bucket_s,
        "batch": batch,
        "encode_ms": 1e3 * times.encode,
        "generate_ms": 1e3 * times.generate,
        "align_ms": 1e3 * times.align,
        "processor_ms": 1e3 * times.processor,
        "windows_per_s": 1 / times.elapsed,
    }


def _live_mixes(measured: Measured, profile: StreamingProfile) -> list[Row]:
    """For each layout and batch size the mean over the windows that live sessions ask for."""
    windows = live_windows(profile)
    rows: list[Row] = []
    for layout, batch in dict.fromkeys((layout, batch) for layout, _, batch in measured):
        times = [measured.get((layout, each.bucket_s, batch)) for each in windows]
        known = [
            (window.share, each)
            for window, each in zip(windows, times, strict=True)
            if each is not None
        ]
        if len(known) == len(windows):
            rows.append(
                {
                    "layout": str(layout),
                    "workers": layout.workers,
                    "threads": layout.threads,
                    "what": "as in live speech",
                    "bucket_s": None,
                    "batch": batch,
                    "processor_ms": 1e3 * sum(share * each.processor for share, each in known),
                    "windows_per_s": 1 / sum(share * each.elapsed for share, each in known),
                }
            )
    return rows


def _windows_per_s(row: Row) -> float:
    value = row["windows_per_s"]
    assert isinstance(value, float)
    return value


def _chart(measured: Measured) -> Chart:
    lines = dict.fromkeys((layout, bucket_s) for layout, bucket_s, _ in measured)
    return Chart(
        title="Windows per second by batch size (workers x threads, window)",
        x_label="windows of a batch",
        y_label="windows per second",
        series=tuple(
            Series(
                f"{layout}, {bucket_s:g} s",
                tuple(
                    (float(batch), 1 / times.elapsed)
                    for (of_layout, of_bucket, batch), times in measured.items()
                    if (of_layout, of_bucket) == (layout, bucket_s)
                ),
            )
            for layout, bucket_s in lines
        ),
    )


def _layout(text: str) -> Layout:
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not workers x threads, such as 2x1")
    return Layout(int(match[1]), int(match[2]))
