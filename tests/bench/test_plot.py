"""Charts as files."""

import importlib.util
import re
from pathlib import Path

import pytest

from whisper_streaming.bench.plot import _range_from_zero, check_plot, draw
from whisper_streaming.bench.report import Chart, Series
from whisper_streaming.errors import ConfigurationError

CHARTS = (
    Chart(
        "Commit by load",
        "sessions",
        "seconds",
        (Series("p50", ((1, 0.4), (8, 0.6))), Series("p95", ((1, 0.6), (8, 1.2)))),
        limit=2.0,
    ),
    Chart("Distribution", "s", "%", (Series("commit", ((0.4, 50.0), (0.6, 100.0))),), kind="step"),
    Chart("Cost", "bucket", "s", (Series("one", (("5 s", 0.1), ("10 s", 0.2))),), kind="bar"),
)


def test_an_svg_holds_the_words_of_every_chart_and_is_the_same_each_time(tmp_path: Path) -> None:
    draw(CHARTS, tmp_path / "a.svg")
    draw(CHARTS, tmp_path / "b.svg")

    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for chart in CHARTS:
        assert chart.title in text
    assert "p95" in text
    assert text == (tmp_path / "b.svg").read_text(encoding="utf-8")


def test_lines_are_drawn_whole_on_whole_numbers_with_their_limit_named(tmp_path: Path) -> None:
    line = Chart(
        "Load", "sessions", "s", (Series("p50", ((1, -0.2), (3, 1.9), (4, 1.2))),), limit=1.75
    )

    draw((line,), tmp_path / "a.svg")

    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "limit: 1.75" in text
    ticks = re.findall(r'id="xtick_.*?<text[^>]*>([^<]*)</text>', text, re.DOTALL)
    assert ticks == ["1", "3", "4"]
    assert min(_range_from_zero(line)) < -0.2
    assert max(_range_from_zero(line)) > 1.9


def test_a_png_is_one(tmp_path: Path) -> None:
    draw(CHARTS[:1], tmp_path / "a.png")

    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        pytest.param("chart.pdf", "NAME.svg or NAME.png", id="format"),
        pytest.param("missing/chart.svg", "there is no folder", id="folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_run(
    name: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        check_plot(tmp_path / name)


def test_the_extra_is_named_where_matplotlib_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ConfigurationError, match=r"pip install '\.\[bench\]'"):
        check_plot(tmp_path / "chart.svg")
