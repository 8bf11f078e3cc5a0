"""Charts of a report as SVG or PNG, with matplotlib: the extra ``[bench]``."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from whisper_streaming.bench.output_file import check_output_file
from whisper_streaming.bench.report import Chart
from whisper_streaming.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES: Final = (".svg", ".png")

_CHART_INCHES: Final = (8.0, 4.2)
_DOTS_PER_INCH: Final = 120
_MARKS: Final = "os^Dv*"
_HEADROOM: Final = 1.08


def check_plot(path: Path) -> None:
    """Refuse what cannot be drawn, before anything is measured for hours.

    Raises:
        ConfigurationError: If it is no picture, cannot be written, or matplotlib is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f"--plot takes NAME.svg or NAME.png, not {path}")
    check_output_file(path, "plot")
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigurationError(
            "--plot needs matplotlib, which the extra [bench] brings: from a clone, "
            "pip install '.[bench]'"
        )


def draw(charts: Sequence[Chart], path: Path) -> None:
    """Draw ``charts`` under each other into one picture.

    Raises:
        ConfigurationError: If matplotlib is missing or the name is no picture.
    """
    check_plot(path)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    width, height = _CHART_INCHES
    # Text stays text, and equal charts are equal files.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "whisper-streaming"}):
        figure = Figure(figsize=(width, height * len(charts)), layout="constrained")
        for axes, chart in zip(
            figure.subplots(len(charts), squeeze=False)[:, 0], charts, strict=True
        ):
            _draw(axes, chart)
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        figure.savefig(path, dpi=_DOTS_PER_INCH, metadata=metadata)


def _draw(axes: "Axes", chart: Chart) -> None:
    for index, series in enumerate(chart.series):
        match chart.kind:
            case "bar":
                share = 0.8 / len(chart.series)
                at = [place + index * share for place in range(len(series.points))]
                axes.bar(at, [y for _, y in series.points], width=share, label=series.name)
                middle = 0.4 - share / 2
                axes.set_xticks(
                    [place + middle for place in range(len(series.points))],
                    [str(x) for x, _ in series.points],
                )
            case "step":
                axes.step(*_xy(series.points), where="post", label=series.name)
            case "line":
                # Open marks of many forms: lines that lie on each other can be told apart.
                mark = _MARKS[index % len(_MARKS)]
                axes.plot(*_xy(series.points), marker=mark, fillstyle="none", label=series.name)
    if chart.limit is not None:
        axes.axhline(
            chart.limit, linestyle="--", color="grey", linewidth=1, label=f"limit: {chart.limit:g}"
        )
    if chart.kind == "line":
        axes.set_ylim(*_range_from_zero(chart))
        # What was measured, and no half sessions between.
        axes.set_xticks(sorted({float(x) for series in chart.series for x, _ in series.points}))
    axes.set(title=chart.title, xlabel=chart.x_label, ylabel=chart.y_label)
    axes.grid(visible=True, alpha=0.3)
    if len(chart.series) > 1 or chart.limit is not None:
        axes.legend()


def _range_from_zero(chart: Chart) -> tuple[float, float]:
    """Of the y axis: without zero on it a small change looks like a large one."""
    values = [y for series in chart.series for _, y in series.points]
    bottom, top = min([0.0, *values]), max([chart.limit or 0.0, *values]) or 1.0
    return bottom * _HEADROOM, top * _HEADROOM


def _xy(points: Sequence[tuple[float | str, float]]) -> tuple[list[float], list[float]]:
    return [float(x) for x, _ in points], [y for _, y in points]
