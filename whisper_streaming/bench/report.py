"""What a measurement found: a table for people, the same and more as JSON, charts."""

import json
import math
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Final, Literal

import ctranslate2

from whisper_streaming.errors import ConfigurationError
from whisper_streaming.evaluate import percentile
from whisper_streaming.machine import usable_cores
from whisper_streaming.version import __version__

SCHEMA: Final = 1
PERCENTILES: Final = (50, 95, 99)
NOT_MEASURED: Final = "–"
_SAME_MACHINE: Final = ("processor", "cores")

Value = str | int | float | bool | None
Row = Mapping[str, Value]
"""One line of a table, as measured: numbers, not text. None is what could not be measured."""


@dataclass(frozen=True, slots=True)
class Column:
    """How a table shows values of its rows.

    Attributes:
        heading: Over the column.
        template: A format string over the keys of a row, such as ``"{commit_p50_s:.2f} s"``.
    """

    heading: str
    template: str

    def show(self, row: Row) -> str:
        """The cell of ``row``; a dash if a value is missing or None."""
        keys = [name for _, name, _, _ in Formatter().parse(self.template) if name is not None]
        if any(row.get(key) is None for key in keys):
            return NOT_MEASURED
        return self.template.format_map(dict(row))


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart, or one set of bars.

    Attributes:
        name: In the legend.
        points: (x, y) in order of x; for bars x is a text.
    """

    name: str
    points: tuple[tuple[float | str, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of the numbers.

    Attributes:
        title: Over it.
        x_label: With the unit.
        y_label: With the unit.
        series: What is drawn.
        kind: ``line``, ``step`` (a distribution) or ``bar``.
        limit: A horizontal line that must not be crossed, if there is one.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    kind: Literal["line", "step", "bar"] = "line"
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one measurement.

    Attributes:
        title: What was measured.
        columns: What the printed table shows of the rows.
        rows: The numbers.
        notes: What a reader of the numbers has to know, a sentence each.
        charts: Drawn by ``--plot``.
        details: More numbers, for the JSON only: plain JSON values.
        command: The command line; filled in by the command.
        machine: What it was measured on.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    details: Mapping[str, object] = field(default_factory=dict)
    command: str = ""
    machine: Mapping[str, Value] = field(default_factory=lambda: machine())

    def as_text(self) -> str:
        """The report as Markdown, ready for the documentation."""
        parts = [f"## {self.title}", markdown_table(self.columns, self.rows)]
        parts += ["\n".join(f"- {note}" for note in self.notes)] if self.notes else []
        parts.append(", ".join(f"{name} {value}" for name, value in self.machine.items()))
        parts += [f"`{self.command}`"] if self.command else []
        return "\n\n".join(parts)

    def as_json(self) -> str:
        """Everything; the form is described in docs/benchmarks.md."""
        fields = {
            "schema": SCHEMA,
            "title": self.title,
            "command": self.command,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": dict(self.machine),
            "rows": [dict(row) for row in self.rows],
            "notes": list(self.notes),
            "charts": [asdict(chart) for chart in self.charts],
            "details": dict(self.details),
        }
        return json.dumps(_finite(fields), indent=1, ensure_ascii=False) + "\n"


def markdown_table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """``rows`` as a Markdown table."""
    lines = [
        "| " + " | ".join(column.heading for column in columns) + " |",
        "|" + " --- |" * len(columns),
    ]
    lines += ["| " + " | ".join(column.show(row) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def percentiles(name: str, values: Sequence[float]) -> dict[str, float | None]:
    """``{name}_p50_s``, ``_p95_s`` and ``_p99_s`` of ``values``; None of nothing."""
    return {
        f"{name}_p{percent}_s": round(percentile(values, percent), 4) if values else None
        for percent in PERCENTILES
    }


def distribution(name: str, values: Sequence[float]) -> Series:
    """The share of ``values`` up to each of them, in percent, for a chart of kind ``step``.

    Begins with nothing at the least of them, so that even a single value is a line.
    """
    ordered = sorted(values)
    points = [(value, 100 * rank / len(ordered)) for rank, value in enumerate(ordered, start=1)]
    return Series(name, ((ordered[0], 0.0), *points) if ordered else ())


def read_report(path: Path, benchmark: str) -> Mapping[str, object]:
    """What ``bench BENCHMARK --json`` wrote to ``path``.

    Raises:
        ConfigurationError: If it is no such file, or was measured on another machine.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"cannot read the report {path}: {exc}") from exc
    is_report = isinstance(fields, dict) and fields.get("schema") == SCHEMA
    if not is_report or not re.match(
        rf"whisper-streaming bench {benchmark}\b", str(fields.get("command"))
    ):
        raise ConfigurationError(f"{path} was not written by bench {benchmark} --json")
    there, here = fields.get("machine"), machine()
    if not isinstance(there, dict) or any(there.get(key) != here[key] for key in _SAME_MACHINE):
        raise ConfigurationError(f"{path} was measured on another machine: {there}")
    return dict(fields)


def machine() -> dict[str, Value]:
    """The machine a number was measured on."""
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "python": platform.python_version(),
        "ctranslate2": str(ctranslate2.__version__),
        "whisper_streaming": __version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _finite(value: object) -> object:
    """``value`` without what JSON does not know: infinity and NaN become null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {str(key): _finite(each) for key, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
    return value
