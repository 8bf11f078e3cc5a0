"""``whisper-streaming listen``: the real model and a server of its own, a microphone that plays."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.client.scripted_server import friendly, running
from tests.contract.workshop import Workshop, free_port, sentence
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.listen import main

ENGLISH = Path(__file__).parent / "data" / "en-1-slt.flac"


@pytest.fixture(autouse=True)
def own_process() -> Iterator[None]:
    """The program configures logging for its whole process; other tests must not notice."""
    loggers = [logging.getLogger(n) for n in ("whisper_streaming", "whisper_streaming.websocket")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.model
@pytest.mark.slow
def test_what_the_microphone_hears_is_shown_saved_and_recorded(tmp_path: Path) -> None:
    """The microphone is a stand-in; what listens, decodes, shows and writes is real."""
    workshop = Workshop(tmp_path, free_port())

    outcome = workshop.run(
        [sys.executable, "-m", "whisper_streaming", "listen", "--model", "demo",
         "--save", "a.srt", "--save", "a.json", "--record-dir", "records", "--record-audio"]
    )  # fmt: skip

    said = sentence().text
    assert outcome.expect_success().stdout.strip() == said
    assert outcome.stderr.startswith("starting ...\n")
    assert said in " ".join((tmp_path / "a.srt").read_text().splitlines())
    assert json.loads((tmp_path / "a.json").read_text())["text"] == said
    (journal,) = (tmp_path / "records").glob("*.jsonl")
    assert [json.loads(line).get("text") for line in journal.read_text().splitlines()][1] == said
    assert list((tmp_path / "records").glob("*.flac"))


def test_its_own_server_takes_any_setting(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, spoken(["one", "two."]), SAMPLE_RATE, subtype="FLOAT")
    scripted = ["--set", "backend.kind=scripted", "--set", "vad.detector=energy"]

    assert main(["--audio-file", str(path), "--fast", *scripted]) == 0
    assert capsys.readouterr().out == "one two.\n"


def test_a_running_server_is_used_where_one_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with running(friendly) as server:
        address = ["--host", "127.0.0.1", "--port", str(server.port)]
        source = ["--audio-file", str(ENGLISH), "--fast"]
        status = main([*address, *source, "--save", str(tmp_path / "a.txt")])

    printed = capsys.readouterr()
    assert (status, printed.out, printed.err) == (0, "Hello world.\nGood bye.\n", "")
    assert (tmp_path / "a.txt").read_text() == "Hello world.\nGood bye.\n"
    assert server.peer.options["model"] == "small"


def test_without_a_microphone_the_remedy_comes_before_the_model(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)

    assert main(["--model", "no-such-model"]) == 1
    error = capsys.readouterr().err
    assert 'the microphone needs PyAudio: run pip install "pyaudio"' in error
    assert "no-such-model" not in error


def test_a_model_that_cannot_be_had_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", "smal", "--audio-file", str(ENGLISH)]) == 1
    assert "there is no model 'smal'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--save", "a.docx"], "the name must end in one of .srt, .vtt, .json, .txt"),
        (["--save", "a.srt", "--save", "b.srt"], "there is another file of that format"),
        (["--save", "none/a.srt", "--port", "1"], "--save none/a.srt: there is no such folder"),
        (["--save", "none/a.srt", "--model", "smal", "--audio-file", "a.wav"], "--save none/a.srt"),
        (["--output-srt", "none/a", "--model", "smal", "--audio-file", "a.wav"], "--output-srt"),
        (["--port", "1", "--record-dir", "a", "--record-audio"], "--record-dir, --record-audio: o"),
        (["--set", "backend.kin=x", "--audio-file", "a.wav"], "backend.kin"),
        (["--set", "x", "--audio-file", "a.wav"], "--set takes GROUP.FIELD=VALUE"),
        (["--record-audio", "--audio-file", "a.wav"], "there are no records without a folder"),
    ],
)
def test_wrong_usage_is_status_2(
    capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main(flags) == 2
    assert message in capsys.readouterr().err


def test_help_tells_of_its_own_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    text = capsys.readouterr().out
    assert text.startswith("usage: whisper-streaming listen ")
    assert "it starts a server of its own" in text
