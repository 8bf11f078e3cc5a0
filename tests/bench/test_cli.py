"""The command: real runs with the scripted backend, and what is refused before them."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whisper_streaming.backends.scripted import spoken
from whisper_streaming.bench.cli import BENCHMARKS, build_parser, main

WORD_S = 0.25
SAID = {"count": "one two three four five six.", "name": "alpha bravo charlie delta echo foxtrot."}
SCRIPTED = [
    "--model=scripted",
    "--server-flags=--backend scripted --set vad.detector=energy --set limits.calibration_s=0",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings of 2.1 s in which the scripted backend hears words at exact times."""
    for name, text in SAID.items():
        words = text.split()
        samples = np.concatenate((spoken(words, word_s=WORD_S), np.zeros(9_600, np.float32)))
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        truth = {
            "audio": f"{name}.wav",
            "language": "en",
            "text": text,
            "words": [
                {"word": word, "start": index * WORD_S, "end": (index + 1) * WORD_S}
                for index, word in enumerate(words)
            ],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(truth), encoding="utf-8")
    return tmp_path


def bench(folder: Path, name: str, *flags: str) -> dict[str, Any]:
    """Run a measurement with the scripted backend; gives its JSON."""
    path = folder / "out" / "report.json"
    path.parent.mkdir(exist_ok=True)
    assert main([name, "--audio", str(folder), *SCRIPTED, *flags, "--json", str(path)]) == 0
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


@pytest.mark.slow
def test_latency_hears_every_word_live_simulated_and_offline(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = folder / "latency.svg"

    report = bench(folder, "latency", "--sessions", "2", "--plot", str(plot))

    live, simulated, *offline = report["rows"]
    for row in (live, simulated):
        assert (row["wer"], row["lost_tail"], row["failed"]) == (0.0, 0, 0)
        assert row["wer_against_offline"] == 0.0
        assert row["commit_p50_s"] <= row["commit_p95_s"] <= row["commit_p99_s"]
        assert row["first_p50_s"] <= row["commit_p50_s"] <= row["complete_p50_s"]
    assert (live["missing_samples"], live["gaps"]) == (0, 0)
    assert live["audio_s"] == pytest.approx(4.2)
    assert simulated["commit_p95_s"] < live["commit_p95_s"]
    assert [row["wer"] for row in offline] == [0.0, 0.0]
    assert report["details"]["offline_wer_30s"] == 0.0
    assert {each["text"] for each in report["details"]["sessions"]} == set(SAID.values())
    assert report["command"].startswith("whisper-streaming bench latency --audio ")
    assert "Words by latency, simulated" in plot.read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "| live: paced, wall clock |" in printed
    assert "Word error rate of the same model offline: 0.0% in 10-s windows" in printed


@pytest.mark.slow
def test_load_measures_one_session_first_and_judges_each_number(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = folder / "out" / "limit.json"
    limit.parent.mkdir()
    command = "whisper-streaming bench limit --json limit.json"
    fields = {"schema": 1, "command": command, "details": {"limit_sessions": 10.0}}
    limit.write_text(json.dumps(fields), encoding="utf-8")

    report = bench(folder, "load", "--match", "count", "--steps", "2", "--limit", str(limit))

    one = report["rows"][0]
    assert (one["sessions"], one["wer"], one["expected_wer"]) == (1, 0.0, 0.0)
    assert (one["failed"], one["gaps"], one["missing_samples"]) == (0, 0, 0)
    assert one["generator_cpu_s_per_audio_s"] > 0
    assert one["limit_share"] == 0.1
    assert all(row["carried"] is (row["verdict"] == "yes") for row in report["rows"])
    carried = [row["sessions"] for row in report["rows"] if row["carried"]]
    assert report["details"]["capacity"] == max(carried, default=0)
    assert f"Clients: 1, Carried: {one['verdict']}, Share of limit: 10%" in capsys.readouterr().err


@pytest.mark.slow
def test_sessions_in_silence_are_measured_and_not_judged(folder: Path) -> None:
    report = bench(folder, "load", "--silent", "--steps", "2", "--seconds", "0.5")

    [row] = report["rows"]
    assert (row["sessions"], row["failed"]) == (2, 0)
    assert row["audio_s"] == pytest.approx(1.0)


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda each: each.name)
def test_every_measurement_teaches_its_use(benchmark: Any) -> None:
    text = build_parser(benchmark).format_help()

    assert f"  whisper-streaming bench {benchmark.name}" in text, "an example"
    assert "--json FILE" in text
    assert "--plot FILE" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_help_names_every_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    text = capsys.readouterr().out
    assert all(f"  {each.name} " in text and each.summary in text for each in BENCHMARKS)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        pytest.param([], 2, "usage: whisper-streaming bench", id="nothing"),
        pytest.param(["lateness"], 2, "there is no measurement 'lateness'", id="unknown"),
        pytest.param(["latency", "--plot", "x.pdf"], 2, "NAME.svg or NAME.png", id="plot"),
        pytest.param(["latency", "--json", "/no/such/x.json"], 2, "there is no folder", id="json"),
        pytest.param(["latency", "--audio", "/no/such"], 2, "no recording with word", id="audio"),
        pytest.param(["load", "--steps", "8", "4"], 2, "ascending", id="steps"),
        pytest.param(
            ["latency", "--server-flags=--set nonsense=1"], 2, "nonsense", id="server flags"
        ),
    ],
)
def test_what_cannot_be_measured_is_told_before_the_run(
    words: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == status
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told_with_its_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["latency", "--only", "live", "--model", "/no/such/model"]) == 1

    error = capsys.readouterr().err
    assert "did not start" in error
    assert "/no/such/model" in error
