"""EdgeCommit against LocalAgreement on the embedded model, and the measurement of both."""

import json
import wave
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from tests.model.listening import Listener, given, lost_tail
from tests.model.recordings import Recording, load
from whisper_streaming.backends.profile import load_profile
from whisper_streaming.bench.cli import main
from whisper_streaming.config import PolicySettings, ServerConfig
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.events import WordsCommitted
from whisper_streaming.core.policy import EdgeCommit, LocalAgreement
from whisper_streaming.core.session import SessionConfig
from whisper_streaming.engine.offline import run_session
from whisper_streaming.evaluate import CaptionLog, spoken_words, word_errors
from whisper_streaming.live.session_setup import set_up_session
from whisper_streaming.vad import create_vad

pytestmark = [pytest.mark.model, pytest.mark.slow]

BUSY_S = 1.0
"""Interval between updates on a busy server."""
NAME = "en-dialogue-2spk"


def session(listener: Listener, settings: PolicySettings) -> SessionConfig:
    config = ServerConfig(policy=settings)
    setup = set_up_session(given(NAME), config, listener.backend.info)
    return replace(setup.session, min_chunk_s=BUSY_S)


def streamed(listener: Listener, config: SessionConfig, recording: Recording) -> CaptionLog:
    """What was final when."""
    captions, text = CaptionLog(), ""
    probabilities = create_vad("silero").open_stream().process(recording.samples)
    for emission in run_session(listener.backend, config, recording.samples, probabilities):
        for event in emission.events:
            if isinstance(event, WordsCommitted):
                text += "".join(word.text for word in event.words)
        captions.add(emission.audio_s, text, text)
    return captions


def test_sure_words_are_final_sooner_at_the_price_of_no_more_than_a_point(
    listener: Listener,
) -> None:
    recording = load(NAME)
    edge = session(listener, PolicySettings())
    agreement = session(listener, PolicySettings(kind="local_agreement"))
    assert isinstance(edge.policy, EdgeCommit)
    assert agreement.policy == LocalAgreement(2)

    soon, late = (streamed(listener, each, recording) for each in (edge, agreement))

    truth = spoken_words([(word.text, word.end) for word in recording.words])
    assert median(soon.latencies(truth).commit) < median(late.latencies(truth).commit) - 0.3
    said = [word.text for word in truth]
    sooner, later = (word_errors(said, list(each.final_words)) for each in (soon, late))
    assert sooner.errors <= later.errors + 0.01 * len(said)
    assert lost_tail(recording.text, " ".join(soon.final_words)) == 0


def test_the_measurement_compares_three_policies_and_writes_a_profile(tmp_path: Path) -> None:
    recording = load("en-long-pauses")
    sentence = recording.sentences[0]
    first = sentence.start - 0.3
    samples = recording.cut(first, sentence.end + 0.3)
    with wave.open(str(tmp_path / "said.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    words = [
        {"word": word.text, "start": word.start - first, "end": word.end - first}
        for word in recording.words
        if sentence.start <= word.start < sentence.end
    ]
    truth = {"audio": "said.wav", "language": "en", "text": sentence.text, "words": words}
    (tmp_path / "said.json").write_text(json.dumps(truth), encoding="utf-8")
    profile, report = tmp_path / "streaming.json", tmp_path / "report.json"

    status = main(
        ["policy", "--audio", str(tmp_path), "--match", "said", "--ticks", "0.5", "--json",
         str(report), "--write-profile", str(profile)]
    )  # fmt: skip

    assert status == 0
    rows = json.loads(report.read_text(encoding="utf-8"))["rows"]
    assert [(row["policy"], row["tick_s"]) for row in rows] == [
        ("LocalAgreement-2 through transcribe", 1.0),
        ("LocalAgreement-2, short windows", 0.5),
        ("EdgeCommit", 0.5),
    ]
    assert all(row["lost_tail"] == 0 and row["cpu_s_per_audio_s"] > 0 for row in rows)
    assert all(row["wer"] < 0.2 for row in rows)
    assert load_profile(tmp_path).window_buckets_s == (3, 5, 7, 10, 15, 20, 30)
    assert load_profile(tmp_path).word_time_offset_s == pytest.approx(0.1, abs=0.1)


def test_a_profile_goes_into_a_folder_that_exists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "--write-profile", "no such folder/streaming.json"]) == 2
    assert "no folder no such folder" in capsys.readouterr().err
