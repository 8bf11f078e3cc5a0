"""The demo: what it measures, and when it fails."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.contract.workshop import sentence
from whisper_streaming.backends.model_store import DEMO_PATH
from whisper_streaming.client import TranscriptionResult
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.demo import Performance, Recording, judge, load_recording, main
from whisper_streaming.evaluate import CaptionLog
from whisper_streaming.wire.whisper_live_messages import Summary

SAID = "one two three four five six seven eight nine ten"
SAMPLES = np.zeros(32_000, dtype=np.float32)
WORDS = tuple((word, 0.2 * index) for index, word in enumerate(SAID.split(), start=1))
RECORDING = Recording(SAMPLES, "en", SAID, WORDS)
GOOD = Summary(received=32_000, decoded=30_000, silence=2_000, gap=0, decode_s=0.5)


def performance(
    text: str = SAID, summary: Summary | None = GOOD, *, complete: bool = True
) -> Performance:
    captions = CaptionLog()
    captions.add(2.5, text, text)
    result = TranscriptionResult(text=text, segments=[], complete=complete, summary=summary)
    return Performance(captions=captions, result=result)


def test_the_table_shows_errors_latency_speed_and_the_account() -> None:
    verdict = judge(RECORDING, performance(SAID.replace("ten", "hen")), SAID[:-4], is_paced=True)

    assert dict(verdict.rows) == {
        "word error rate, live": "10.0%",
        "word error rate, offline": "10.0%",
        "first partial, after the word ended": "p50 1.50 s, p95 2.22 s",
        "final, after the word ended": "p50 1.50 s, p95 2.22 s",
        "real-time factor": "0.25",
        "audio received = decoded + silence + gaps": "2.00 = 1.88 + 0.12 + 0.00 s",
    }
    assert verdict.faults == ()


def test_without_pacing_there_is_no_latency() -> None:
    verdict = judge(RECORDING, performance(), SAID, is_paced=False)

    assert not any("after the word ended" in name for name, _ in verdict.rows)


def test_without_the_truth_only_the_account_is_judged() -> None:
    verdict = judge(Recording(SAMPLES, None, None, ()), performance(), "", is_paced=True)

    assert [name for name, _ in verdict.rows] == [
        "real-time factor",
        "audio received = decoded + silence + gaps",
    ]
    assert verdict.faults == ()


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        pytest.param(performance("one two"), "over 2 times the word errors", id="bad words"),
        pytest.param(performance(summary=None), "no account", id="no summary"),
        pytest.param(
            performance(summary=Summary(32_000, 20_000, 2_000, 10_000, 0.5)), "audio was lost",
            id="gap",
        ),
        pytest.param(
            performance(summary=Summary(32_000, 20_000, 2_000, 0, 0.5)), "cannot account",
            id="does not add up",
        ),
        pytest.param(
            performance(summary=Summary(16_000, 16_000, 0, 0, 0.5)), "not receive every sample",
            id="half received",
        ),
        pytest.param(performance(complete=False), "not complete", id="cut"),
    ],
)  # fmt: skip
def test_a_fault_is_named(seen: Performance, fault: str) -> None:
    [named] = judge(RECORDING, seen, SAID[:-4], is_paced=True).faults

    assert fault in named


def test_the_bundled_recording_brings_its_truth() -> None:
    recording = load_recording(DEMO_PATH / "demo.flac")

    assert recording.language == "en"
    assert recording.text is not None
    assert len(recording.words) == 95
    assert math.isclose(len(recording.samples) / 16_000, 39.2, abs_tol=0.01)


def test_a_recording_that_is_missing_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--audio", "missing.flac"]) == 1
    assert "missing.flac" in capsys.readouterr().err


@pytest.mark.model
@pytest.mark.slow
def test_the_demo_accounts_for_every_sample(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--fast"]) == 0

    printed = capsys.readouterr().out
    assert "Sherlock Holmes" in printed
    assert "ok: every sample is accounted for." in printed
    assert "+ 0.00 s" in printed


@pytest.mark.model
@pytest.mark.slow
def test_another_recording_without_truth_is_transcribed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sentence.flac"
    soundfile.write(path, sentence().samples, SAMPLE_RATE)

    assert main(["--fast", "--audio", str(path)]) == 0
    printed = capsys.readouterr().out
    assert sentence().text in printed
    assert "word error rate" not in printed
