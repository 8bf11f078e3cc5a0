"""What CTranslate2 alone could do, and what that means for live sessions."""

import json
from pathlib import Path

import pytest

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.bench.cli import main
from whisper_streaming.bench.limit import report
from whisper_streaming.bench.raw_model import Layout, StageTimes, TickTokens, layouts_of
from whisper_streaming.core.hypothesis import WindowRules

TOKENS = TickTokens(context=16, prefix=4, new=2)
# Windows of 1 to 4 s are equally frequent, so three of four are in the bucket of 3 s.
PROFILE = StreamingProfile(
    window_buckets_s=(3.0, 5.0),
    bucket_pad_s=0.0,
    final_bucket_s=0.0,
    window=WindowRules(max_window_s=5.0, trim_window_s=3.0),
)
ONE, TWO = Layout(1, 2), Layout(2, 1)


def times(elapsed: float) -> StageTimes:
    return StageTimes(
        encode=elapsed, generate=0.75 * elapsed, align=0.25 * elapsed, elapsed=elapsed
    )


@pytest.mark.parametrize(
    ("cores", "layouts"),
    [
        (1, ["1 x 1"]),
        (2, ["2 x 1", "1 x 2"]),
        (6, ["6 x 1", "3 x 2", "1 x 4", "1 x 6"]),
        (8, ["8 x 1", "4 x 2", "2 x 4", "1 x 8"]),
    ],
)
def test_cores_are_shared_out_from_one_thread_a_worker_to_all(
    cores: int, layouts: list[str]
) -> None:
    assert [str(layout) for layout in layouts_of(cores)] == layouts


def test_a_row_is_in_milliseconds_for_each_window() -> None:
    row = report({(TWO, 3.0, 4): times(0.02)}, PROFILE, TOKENS, "demo", "int8").rows[0]

    assert row == {
        "layout": "2 x 1",
        "workers": 2,
        "threads": 1,
        "what": "3 s",
        "bucket_s": 3.0,
        "batch": 4,
        "encode_ms": 20.0,
        "generate_ms": 15.0,
        "align_ms": 5.0,
        "processor_ms": 40.0,
        "windows_per_s": 50.0,
    }


def test_live_sessions_use_the_buckets_as_often_as_their_windows_fall_into_them() -> None:
    measured = {
        (TWO, 3.0, 1): times(0.02),
        (TWO, 5.0, 1): times(0.04),
        (ONE, 3.0, 1): times(0.05),
        (ONE, 5.0, 1): times(0.09),
    }

    found = report(measured, PROFILE, TOKENS, "demo", "int8")

    mixes = [row for row in found.rows if row["bucket_s"] is None]
    assert [row["layout"] for row in mixes] == ["2 x 1", "1 x 2"]
    # 3/4 of 20 ms and 1/4 of 40 ms; 3/4 of 50 ms and 1/4 of 90 ms.
    assert [row["windows_per_s"] for row in mixes] == pytest.approx([40.0, 1000 / 60])
    assert [row["processor_ms"] for row in mixes] == pytest.approx([50.0, 120.0])
    assert found.details["limit_sessions"] == pytest.approx(40.0)
    assert "Limit: 40 sessions" in found.notes[-1]
    assert [series.name for series in found.charts[0].series] == [
        "2 x 1, 3 s", "2 x 1, 5 s", "1 x 2, 3 s", "1 x 2, 5 s",
    ]  # fmt: skip


def test_without_all_buckets_nothing_is_said_of_sessions() -> None:
    found = report({(TWO, 5.0, 1): times(0.04)}, PROFILE, TOKENS, "demo", "int8")

    assert len(found.rows) == 1
    assert "limit_sessions" not in found.details
    assert not any("Limit" in note for note in found.notes)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--layouts", "2"], id="layout without threads"),
        pytest.param(["--layouts", "0x1"], id="no worker"),
        pytest.param(["--batches", "0"], id="empty batch"),
        pytest.param(["--buckets", "31"], id="longer than a model hears"),
        pytest.param(["--seconds", "0"], id="no time"),
        pytest.param(["--prefix-tokens", "201"], id="no room for new tokens"),
    ],
)
def test_what_cannot_be_measured_is_refused(flags: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["limit", *flags])

    assert exit_.value.code == 2


@pytest.mark.model
def test_the_embedded_model_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "limit.json"
    flags = ["--layouts", "2x1", "--buckets", "3", "--batches", "1", "2", "--seconds", "0.01"]

    assert main(["limit", *flags, "--json", str(path)]) == 0

    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert [(row["layout"], row["batch"]) for row in rows[:2]] == [("2 x 1", 1), ("2 x 1", 2)]
    for row in rows[:2]:
        stages = (row["encode_ms"], row["generate_ms"], row["align_ms"])
        assert all(stage > 0 for stage in stages)
        assert row["processor_ms"] == pytest.approx(sum(stages))
        # Two cores at most are at work, so a window takes half of its processor time at least.
        assert 0 < row["windows_per_s"] <= 2 * 1000 / row["processor_ms"] * 1.01
    assert "| 2 x 1 | 3 s | 2 |" in capsys.readouterr().out


@pytest.mark.model
def test_a_folder_without_a_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["limit", "--model", str(tmp_path)]) == 1

    assert str(tmp_path) in capsys.readouterr().err
