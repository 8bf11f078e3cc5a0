"""When a load is carried."""

import json
from pathlib import Path

import pytest

from tests.bench.takes import recording, segments, take
from whisper_streaming.bench.live_run import Cost, LiveRun, failure_notes
from whisper_streaming.bench.load import _report, expected_wer, faults, read_limit
from whisper_streaming.bench.report import machine
from whisper_streaming.bench.scoring import Score, score_take
from whisper_streaming.errors import ConfigurationError

SAID = recording(("one", 0.5), ("two", 1.0), ("three", 1.5), ("four", 2.0))
COST = Cost(
    audio_s=2.5, wall_s=3.0, cpu_s=0.25, idle_memory_mb=100.0, peak_memory_mb=104.0,
    generator_cpu_s=0.01, late_p99_s=0.001,
    status={"event_loop": {"stall_p99_s": 0.012}},
)  # fmt: skip


def heard(text: str, at: float = 2.5, failure: str | None = None) -> Score:
    return score_take(take((at, segments((0.0, text, True, None))), failure=failure), SAID)


def run_of(*scores: Score) -> LiveRun:
    return LiveRun(scores, COST)


ALONE = [heard(" one two tree four")]


def test_a_load_as_good_as_one_session_is_carried() -> None:
    assert faults(run_of(*ALONE, *ALONE), ALONE) == []


@pytest.mark.parametrize(
    ("score", "fault"),
    [
        pytest.param(heard(" one two tree four", at=4.1), "commit p95 3.5 s", id="late"),
        pytest.param(heard(" one two"), "2 last words lost", id="lost tail"),
        pytest.param(heard(" one too tree four"), "more word errors", id="errors"),
        pytest.param(
            heard(" one two tree four", failure="refused"), "1 sessions failed (refused)",
            id="failure",
        ),
        pytest.param(heard(" nothing"), "no word is right", id="nothing right"),
    ],
)  # fmt: skip
def test_why_a_load_is_not_carried_is_told(score: Score, fault: str) -> None:
    assert fault in faults(run_of(score), ALONE)


def test_words_that_one_session_misses_at_the_end_too_are_not_lost() -> None:
    alone = [heard(" one two")]

    assert faults(run_of(heard(" one two")), alone) == []


def test_word_errors_are_compared_with_the_same_recordings() -> None:
    other = recording(("five", 0.5), ("six", 1.0), name="other")
    perfect = score_take(take((1.5, segments((0.0, " five six", True, None)))), other)

    # One wrong word of four, and none of two; the first is streamed twice.
    assert expected_wer([*ALONE, *ALONE, perfect], [*ALONE, perfect]) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("capacity", "said"),
    [(2, "Capacity: 2 sessions at least; more were not tried;"), (1, "Capacity: 1 sessions;")],
)
def test_a_capacity_that_was_not_exceeded_is_the_least(capacity: int, said: str) -> None:
    runs = {1: run_of(*ALONE), 2: run_of(*ALONE, *ALONE)}

    assert _report(capacity, runs, [SAID], None).notes[0].startswith(said)


def test_costs_are_told_by_audio_second_and_by_session() -> None:
    row = COST.as_row(2)

    assert row["cpu_s_per_audio_s"] == pytest.approx(0.1)
    assert row["memory_mb_per_session"] == 2.0
    assert row["server_cores"] == pytest.approx(0.25 / 3)
    assert row["stall_p99_s"] == 0.012
    assert row["estimated_sessions"] is None, "the server does not say"


def test_what_is_not_known_of_a_server_is_left_out() -> None:
    unknown = Cost(2.5, 3.0, None, None, None, 0.01, 0.001)

    assert "cpu_s_per_audio_s" not in unknown.as_row(2)
    assert "memory_mb_per_session" not in unknown.as_row(2)


def test_failures_are_told_by_reason() -> None:
    assert failure_notes([None, "refused", "cut", "refused"]) == [
        "Sessions that are not whole: 2 (refused).",
        "Sessions that are not whole: 1 (cut).",
    ]


def limit_file(folder: Path, details: object) -> Path:
    path = folder / "limit.json"
    command = "whisper-streaming bench limit --json limit.json"
    fields = {"schema": 1, "command": command, "machine": machine(), "details": details}
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path


def test_the_limit_is_read_from_its_own_report(tmp_path: Path) -> None:
    details = {"limit_sessions": 80.5, "model": "demo"}

    assert read_limit(limit_file(tmp_path, details), "demo") == 80.5


def test_the_limit_of_another_model_is_refused(tmp_path: Path) -> None:
    path = limit_file(tmp_path, {"limit_sessions": 80.5, "model": "base"})

    with pytest.raises(ConfigurationError, match="the limit of 'base', not of 'demo'"):
        read_limit(path, "demo")
    assert read_limit(path, None) == 80.5, "of a server that runs already"


@pytest.mark.parametrize("details", [{}, {"limit_sessions": None}, {"limit_sessions": 0}, []])
def test_a_report_without_a_limit_is_refused(details: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="names no limit"):
        read_limit(limit_file(tmp_path, details), "demo")
