"""What all benchmarks print: the machine, a table for the documentation, and JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import ctranslate2

from whisper_streaming.version import __version__

Row = Mapping[str, object]


def machine() -> dict[str, object]:
    """The machine a number was measured on."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "ctranslate2": ctranslate2.__version__,
        "whisper_streaming": __version__,
    }


def markdown_table(rows: Sequence[Row]) -> str:
    """``rows`` as a Markdown table; the first row names the columns."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def write(rows: Sequence[Row], json_path: Path | None) -> None:
    """Print the table and, where asked for, keep everything as JSON."""
    print(markdown_table(rows))
    print("\n" + ", ".join(f"{name} {value}" for name, value in machine().items()))
    if json_path is not None:
        report = {"machine": machine(), "rows": list(rows)}
        json_path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
