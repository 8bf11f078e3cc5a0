"""``whisper-streaming bench NAME``: one measurement, its table, JSON and charts.

To add one: a module with ``add_arguments`` and ``run``, a loader and a line in ``BENCHMARKS``.
"""

import argparse
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

from whisper_streaming.bench.output_file import check_output_file
from whisper_streaming.bench.plot import check_plot, draw
from whisper_streaming.bench.report import Report
from whisper_streaming.cli_flags import FlagParser, print_any_text, print_text, stop_printing
from whisper_streaming.errors import BenchmarkError, WhisperStreamingError

USAGE_ERROR: Final = 2
INTERRUPTED: Final = 130
_ENDED_BY_SIGNAL: Final = 128


class Measurement(Protocol):
    """What a module of this folder has to offer to be a subcommand; its docstring is the help."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, arguments: argparse.Namespace) -> Report: ...


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One word after ``bench``, and how to get at the module that measures it."""

    name: str
    summary: str
    load: Callable[[], Measurement]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one measurement; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        sys.stderr.write(_help())
        return USAGE_ERROR
    name, rest = words[0], words[1:]
    if name in ("-h", "--help", "help"):
        print_text(_help())
        return 0
    benchmark = next((each for each in BENCHMARKS if each.name == name), None)
    if benchmark is None:
        names = ", ".join(each.name for each in BENCHMARKS)
        sys.stderr.write(
            f"whisper-streaming bench: there is no measurement {name!r}; there are: {names}\n"
        )
        return USAGE_ERROR
    return _measure(benchmark, rest)


def build_parser(benchmark: Benchmark) -> argparse.ArgumentParser:
    """The parser of one measurement: its own flags and those that all share."""
    measurement = benchmark.load()
    parser = FlagParser(
        prog=f"whisper-streaming bench {benchmark.name}",
        description=measurement.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    measurement.add_arguments(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json", type=Path, metavar="FILE", help="also write everything that was measured"
    )
    output.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="also draw the charts: NAME.svg or NAME.png (needs the extra [bench])",
    )
    return parser


def _measure(benchmark: Benchmark, argv: Sequence[str]) -> int:
    program = f"whisper-streaming bench {benchmark.name}"
    try:
        arguments = build_parser(benchmark).parse_args(argv)
        print_any_text()
        _check_output(arguments)
        with _ending_in_order():
            report = benchmark.load().run(arguments)
        report = replace(report, command=shlex.join(["whisper-streaming", "bench",
                                                     benchmark.name, *argv]))  # fmt: skip
        try:
            _print(report)
        finally:
            _write_files(report, arguments)  # they are wanted all the same
    except KeyboardInterrupt:
        return INTERRUPTED
    except WhisperStreamingError as error:
        sys.stderr.write(f"{program}: error: {error}\n")
        return error.exit_status
    return 0


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM end a measurement as Ctrl-C does, so that it leaves no server running."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(_ENDED_BY_SIGNAL + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_output(arguments: argparse.Namespace) -> None:
    """Raises ConfigurationError for files that cannot be written, before the long run."""
    if arguments.json is not None:
        check_output_file(arguments.json, "JSON file")
    if arguments.plot is not None:
        check_plot(arguments.plot)


def _print(report: Report) -> None:
    try:
        print_text(report.as_text() + "\n")
    except BrokenPipeError:
        stop_printing()


def _write_files(report: Report, arguments: argparse.Namespace) -> None:
    """Raises BenchmarkError for what cannot be written after all, such as on a full disk."""
    try:
        if arguments.json is not None:
            arguments.json.write_text(report.as_json(), encoding="utf-8")
        if arguments.plot is not None:
            draw(report.charts, arguments.plot)
    except OSError as exc:
        raise BenchmarkError(f"the report cannot be written: {exc}") from exc


def _help() -> str:
    lines = "".join(f"  {each.name:<10}{each.summary}\n" for each in BENCHMARKS)
    return f"""usage: whisper-streaming bench MEASUREMENT [ARGUMENT ...]

Measure this server on this machine. Every measurement prints a table and the machine, writes
JSON with --json FILE and draws charts with --plot FILE.svg.

measurements:
{lines}
"whisper-streaming bench MEASUREMENT --help" says what it measures and how. The definitions of
all numbers are in docs/benchmarks.md.
"""


def _latency() -> Measurement:
    from whisper_streaming.bench import latency

    return latency


def _load() -> Measurement:
    from whisper_streaming.bench import load

    return load


def _baseline() -> Measurement:
    from whisper_streaming.bench import baseline

    return baseline


def _limit() -> Measurement:
    from whisper_streaming.bench import limit

    return limit


def _policy() -> Measurement:
    from whisper_streaming.bench import policy

    return policy


BENCHMARKS: Final[tuple[Benchmark, ...]] = (
    Benchmark("latency", "how late words are shown and final, flicker, word errors", _latency),
    Benchmark("load", "how many live sessions this machine carries", _load),
    Benchmark("limit", "what CTranslate2 alone could do on this machine", _limit),
    Benchmark("policy", "when words become final: agreement against EdgeCommit", _policy),
    Benchmark("baseline", "the real WhisperLive beside this server", _baseline),
)
