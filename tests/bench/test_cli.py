"""The command: real runs with the scripted backend, and what is refused before them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whisper_streaming.backends.scripted import spoken
from whisper_streaming.bench.cli import BENCHMARKS, build_parser, main
from whisper_streaming.bench.report import machine
from whisper_streaming.bench.server_process import _family

FULL_DISK = Path("/dev/full")
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
    details = {"limit_sessions": 10.0}
    fields = {"schema": 1, "command": command, "machine": machine(), "details": details}
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
    plot = folder / "silent.svg"

    report = bench(
        folder, "load", "--silent", "--steps", "2", "--seconds", "0.5", "--plot", str(plot)
    )

    [row] = report["rows"]
    assert (row["sessions"], row["failed"]) == (2, 0)
    assert row["audio_s"] == pytest.approx(1.0)
    assert "Memory for each session in silence" in plot.read_text(encoding="utf-8")


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
        pytest.param(["latency", "--json", "."], 2, ". is a folder", id="json folder"),
        pytest.param(["latency", "--pid", "1"], 2, "--url, which is missing", id="pid alone"),
        pytest.param(
            ["latency", "--url", "localhost:9090"], 2, "no ws:// or wss:// address", id="scheme"
        ),
        pytest.param(
            ["latency", "--url", "ws://localhost:99999"], 2, "no ws:// or wss:// address", id="port"
        ),
        pytest.param(
            ["latency", "--only", "simulated", "--url", "ws://localhost"],
            2,
            "no --url",
            id="server that is not needed",
        ),
        pytest.param(
            ["load", "--url", "ws://localhost", "--server-flags=--beam-size 5"],
            2,
            "has its own",
            id="flags of another server",
        ),
        pytest.param(["load", "--seconds", "5"], 2, "--silent", id="seconds of recordings"),
        pytest.param(
            ["load", "--silent", "--limit", "limit.json"],
            2,
            "goes without --silent",
            id="limit of silence",
        ),
        pytest.param(
            ["policy", "--write-profile", "profile.json"],
            2,
            "streaming.json only",
            id="profile that is not read",
        ),
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


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["latency", "--sessions", "0"], id="no session"),
        pytest.param(["baseline", "--sessions", "1", "0"], id="no session beside WhisperLive"),
        pytest.param(["load", "--steps", "0"], id="no step"),
        pytest.param(["load", "--silent", "--seconds", "nan"], id="no length"),
        pytest.param(["policy", "--ticks", "0"], id="no interval"),
        pytest.param(["policy", "--ticks", "inf"], id="endless interval"),
        pytest.param(["policy", "--transcribe-tick", "-1"], id="interval back"),
    ],
)
def test_numbers_that_mean_nothing_are_usage_errors(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)

    assert exit_.value.code == 2
    assert re.search(r"argument .*: invalid (whole )?number from|invalid number above 0",
                     capsys.readouterr().err)  # fmt: skip


def test_nobody_at_the_address_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"ws://127.0.0.1:{free.getsockname()[1]}"

    assert main(["latency", "--only", "live", "--audio", str(folder), "--url", url]) == 1

    assert f"no session began at {url}: no connection" in capsys.readouterr().err


SIMULATED = ["latency", "--only", "simulated", *SCRIPTED]


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs /dev/full")
def test_the_json_is_written_though_the_table_cannot_be_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "report.json"
    with FULL_DISK.open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        status = main([*SIMULATED, "--audio", str(folder), "--json", str(path)])

    assert status == 1
    assert capsys.readouterr().err == (
        "whisper-streaming bench latency: error: standard output cannot be written: "
        "No space left on device\n"
    )
    assert json.loads(path.read_text(encoding="utf-8"))["rows"]


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_after_the_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SIMULATED, "--audio", str(folder), "--json", str(FULL_DISK)]) == 1

    printed = capsys.readouterr()
    assert "| simulated: decodes take no time |" in printed.out
    assert "error: the report cannot be written: " in printed.err


def test_the_json_is_written_though_nobody_reads_the_table(folder: Path) -> None:
    path = folder / "report.json"
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "whisper_streaming", "bench", *SIMULATED]

    done = subprocess.run(
        [*command, "--audio", str(folder), "--json", str(path)],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
    )

    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(path.read_text(encoding="utf-8"))["rows"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_an_ended_measurement_leaves_no_server_running(folder: Path) -> None:
    command = [sys.executable, "-m", "whisper_streaming", "bench", "load", "--silent"]
    flags = [*SCRIPTED, "--steps", "2", "--seconds", "600"]
    with subprocess.Popen([*command, *flags], stderr=subprocess.PIPE) as running:
        while len(family := _family(running.pid)) < 3:  # it, the server, the generator
            assert running.poll() is None
            time.sleep(0.05)
        running.terminate()

        assert running.wait(60) == 128 + signal.SIGTERM
    assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told_with_its_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["latency", "--only", "live", "--model", "/no/such/model"]) == 1

    error = capsys.readouterr().err
    assert "did not start" in error
    assert "/no/such/model" in error
