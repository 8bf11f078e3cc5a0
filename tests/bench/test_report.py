"""Reports: tables, JSON, and what is read back."""

import json
import math
from pathlib import Path

import pytest

from whisper_streaming.bench.report import (
    Column,
    Report,
    distribution,
    markdown_table,
    percentiles,
    read_report,
)
from whisper_streaming.errors import ConfigurationError

COLUMNS = (Column("Sessions", "{sessions}"), Column("Commit", "{p50:.2f} / {p95:.2f} s"))
ROWS = ({"sessions": 1, "p50": 0.404, "p95": 0.65}, {"sessions": 8, "p50": 0.5, "p95": None})


def test_a_table_shows_numbers_by_template_and_a_dash_for_what_is_missing() -> None:
    assert markdown_table(COLUMNS, ROWS) == (
        "| Sessions | Commit |\n| --- | --- |\n| 1 | 0.40 / 0.65 s |\n| 8 | – |"
    )


def test_percentiles_are_named_with_their_unit() -> None:
    assert percentiles("commit", [1.0, 2.0]) == {
        "commit_p50_s": 1.5,
        "commit_p95_s": 1.95,
        "commit_p99_s": 1.99,
    }
    assert set(percentiles("commit", []).values()) == {None}


def test_a_distribution_goes_from_nothing_to_all_of_them() -> None:
    assert distribution("commit", [3.0, 1.0]).points == ((1.0, 0.0), (1.0, 50.0), (3.0, 100.0))
    assert distribution("endpoint", [2.0]).points == ((2.0, 0.0), (2.0, 100.0))
    assert distribution("commit", []).points == ()


def test_the_json_has_all_sections_and_nothing_that_json_does_not_know() -> None:
    report = Report(
        "Title", COLUMNS, ROWS, notes=["A note."], details={"worst": math.inf, "each": (1.5, 2)}
    )

    fields = json.loads(report.as_json(), parse_constant=pytest.fail)

    assert list(fields) == [
        "schema", "title", "command", "measured_at", "machine", "rows", "notes", "charts",
        "details",
    ]  # fmt: skip
    assert fields["schema"] == 1
    assert fields["rows"] == list(ROWS)
    assert fields["details"] == {"worst": None, "each": [1.5, 2]}
    assert fields["machine"].keys() == {
        "processor", "cores", "python", "ctranslate2", "whisper_streaming",
    }  # fmt: skip


def test_the_text_names_machine_and_command() -> None:
    report = Report(
        "Title", COLUMNS, ROWS[:1], command="whisper-streaming bench x", machine={"cores": 2}
    )

    assert report.as_text() == (
        "## Title\n\n| Sessions | Commit |\n| --- | --- |\n| 1 | 0.40 / 0.65 s |\n\n"
        "cores 2\n\n`whisper-streaming bench x`"
    )


def test_a_report_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "limit.json"
    report = Report("T", COLUMNS, ROWS, command="whisper-streaming bench limit --json x")
    path.write_text(report.as_json(), encoding="utf-8")

    assert read_report(path, "limit")["rows"] == list(ROWS)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("not json", id="no JSON"),
        pytest.param("[]", id="a list"),
        pytest.param('{"schema": 1}', id="no command"),
        pytest.param(
            '{"schema": 1, "command": "whisper-streaming bench load --json bench limit"}',
            id="another one",
        ),
        pytest.param(
            '{"schema": 1, "command": "whisper-streaming bench limit", "machine": {"cores": 999}}',
            id="another machine",
        ),
    ],
)
def test_what_is_no_report_of_that_measurement_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "limit.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"limit\.json"):
        read_report(path, "limit")
