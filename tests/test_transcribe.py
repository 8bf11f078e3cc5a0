"""``whisper-streaming transcribe``, with the embedded model and a server of its own."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.client.scripted_server import Peer, partial, running, segment
from tests.model.recordings import load
from whisper_streaming.client import TranscriptionResult
from whisper_streaming.client.outputs import Outputs
from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig
from whisper_streaming.errors import ModelLoadError
from whisper_streaming.evaluate import word_errors
from whisper_streaming.local_server import local_server
from whisper_streaming.transcribe import main

DATA = Path(__file__).parent / "data"
ENGLISH = DATA / "en-1-slt.flac"
GERMAN = DATA / "lang-de.flac"
FULL_DISK = Path("/dev/full")
DEMO = ("--model", "demo")
SENTENCES = 2
"""Of an excerpt: tests that are not about the length of a recording need no more."""


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The program configures logging for its whole process; other tests must not notice."""
    monkeypatch.chdir(tmp_path)
    loggers = [logging.getLogger(n) for n in ("whisper_streaming", "whisper_streaming.websocket")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def english(tmp_path: Path) -> Path:
    """The second and third sentence of the English recording."""
    return excerpt(ENGLISH, 1, tmp_path)


@pytest.fixture
def german(tmp_path: Path) -> Path:
    """The first two sentences of the German recording."""
    return excerpt(GERMAN, 0, tmp_path)


def excerpt(recording: Path, first: int, folder: Path) -> Path:
    """A few sentences of a recording, in a file of the same name."""
    spoken = load(recording.stem)
    sentences = spoken.sentences[first : first + SENTENCES]
    path = folder / recording.name
    soundfile.write(path, spoken.cut(sentences[0].start - 0.3, sentences[-1].end + 0.3), 16_000)
    return path


@pytest.mark.model
def test_a_recording_becomes_lines_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    status = main([str(ENGLISH), *DEMO])

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert "Karen changed the document on Thursday morning." in lines
    assert "five eight" in lines[-1]  # the last words of the recording, not lost at its end


@pytest.mark.model
def test_the_synthetic_voices_are_mentioned_beside_the_text(
    english: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(english), *DEMO])

    captured = capsys.readouterr()
    assert "synthetic voices only" in captured.err
    assert "synthetic voices only" not in captured.out


@pytest.mark.model
def test_several_recordings_go_to_files_of_a_format(
    english: Path, german: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "captions"
    folder.mkdir()

    status = main(
        [str(english), str(german), *DEMO, "--language", "auto", "--format", "json",
         "--output-dir", str(folder)]
    )  # fmt: skip

    transcripts = {p.name: json.loads(p.read_text()) for p in folder.iterdir()}
    assert status == 0
    assert capsys.readouterr().out == ""
    assert {name: t["language"] for name, t in transcripts.items()} == {
        "en-1-slt.json": "en",
        "lang-de.json": "de",
    }
    assert all(t["complete"] for t in transcripts.values())


@pytest.mark.model
def test_german_becomes_english_subtitles_on_the_terminal(
    german: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([str(german), *DEMO, "--language=de", "--translate", "--format", "srt"])

    out = capsys.readouterr().out
    assert status == 0
    assert out.startswith("1\n00:00:00,")
    assert "The child" in out


@pytest.mark.model
def test_a_recording_that_fails_does_not_keep_the_others(
    english: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["missing.wav", str(english), *DEMO])

    captured = capsys.readouterr()
    assert status == 1
    assert "missing.wav: there is no file missing.wav" in captured.err
    heading = f"== missing.wav\n== {english}\n"
    assert captured.out.startswith(heading)
    said = " ".join(each.text for each in load("en-1-slt").sentences[1 : 1 + SENTENCES])
    assert word_errors(said, captured.out.removeprefix(heading)).rate < 0.2


@pytest.mark.model
def test_a_running_server_is_used_where_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    limits = LimitSettings(max_connection_time_s=0.05, calibration_s=0)
    config = ServerConfig(backend=BackendSettings(models=("demo",)), limits=limits)
    with local_server(config) as port:
        status = main([str(ENGLISH), "--host", "127.0.0.1", "--port", str(port)])

    # Only that server has such a limit.
    assert status == 3
    assert "the server's time limit cut it short" in capsys.readouterr().err


def test_a_model_that_cannot_be_had_ends_it_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([str(ENGLISH), "--model", "smal"]) == 1
    assert "there is no model 'smal'" in capsys.readouterr().err


def test_what_was_heard_before_a_failure_is_written(tmp_path: Path) -> None:
    async def vanish(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.segments(segment(0.0, 1.0, " As far as it got."))
        peer.socket.transport.abort()

    with running(vanish) as server:
        status = main(
            [str(ENGLISH), "--host", "127.0.0.1", "--port", str(server.port),
             "--format", "srt", "--output-dir", str(tmp_path)]
        )  # fmt: skip

    assert status == 1
    assert "As far as it got." in (tmp_path / "en-1-slt.srt").read_text()


def test_several_formats_at_once_with_times_of_words_on_request(tmp_path: Path) -> None:
    with running(timed_words) as server:
        address = ["--host", "127.0.0.1", "--port", str(server.port), "--output-dir", str(tmp_path)]
        assert main([str(ENGLISH), *address, "--format", "vtt,json", "--format", "tsv"]) == 0
        plain = {path.suffix: path.read_text() for path in tmp_path.iterdir()}
        assert server.peer.options["word_timestamps"] is True  # captions are cut by them
        assert main([str(ENGLISH), *address, "--format", "json,vtt", "--word-times"]) == 0

    assert plain.keys() == {".vtt", ".json", ".tsv"}
    assert plain[".vtt"].splitlines()[2:] == ["00:00:00.000 --> 00:00:01.000", "Hello there."]
    assert "words" not in json.loads(plain[".json"])["segments"][0]
    assert plain[".tsv"] == "start\tend\ttext\n0\t1000\tHello there.\n"
    assert "Hello <00:00:00.500>there." in (tmp_path / "en-1-slt.vtt").read_text()
    words = json.loads((tmp_path / "en-1-slt.json").read_text())["segments"][0]["words"]
    assert [word["word"] for word in words] == [" Hello", " there."]


def test_the_task_reaches_the_server() -> None:
    with running(timed_words) as server:
        address = ["--host", "127.0.0.1", "--port", str(server.port)]
        main([str(ENGLISH), *address, "--task", "translate", "--language", "tr"])

    assert (server.peer.options["task"], server.peer.options["language"]) == ("translate", "tr")
    assert server.peer.options["word_timestamps"] is False


def test_a_terminal_shows_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the captured stream for a terminal
    with running(timed_words) as server:
        main([str(ENGLISH), "--host", "127.0.0.1", "--port", str(server.port), "--format", "tsv"])

    captured = capsys.readouterr()
    assert captured.out == "start\tend\ttext\n0\t1000\tHello there.\n"
    assert "en-1-slt.flac" in captured.err
    assert "100%" in captured.err


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_heard_and_begins_no_other_recording(
    repository: Path, tmp_path: Path
) -> None:
    async def hesitate(peer: Peer) -> None:
        await peer.accept()
        await peer.segments(segment(0.0, 1.0, " As far."), partial(1.0, 1.5, " as it"))
        await peer.hear()
        await asyncio.sleep(3600)

    with running(hesitate) as server:
        program = subprocess.Popen(
            [sys.executable, "-m", "whisper_streaming", "transcribe", str(ENGLISH), str(GERMAN),
             "--port", str(server.port)],
            cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert program.stdout is not None
        first = [program.stdout.readline() for _ in range(2)]
        program.send_signal(signal.SIGINT)
        rest, errors = program.communicate(timeout=60)

    assert first == [f"== {ENGLISH}\n", "As far.\n"]
    assert rest in ("as it\n", "")  # whether it came before the signal
    assert "interrupted, it is transcribed up to 1." in errors
    assert program.returncode == 130


def test_port_0_is_no_server_and_starts_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ENGLISH), "--port", "0"]) == 2
    assert "between 1 and 65535" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ENGLISH), "--port", "1"]) == 1
    assert str(ENGLISH) in capsys.readouterr().err


def test_a_wrong_setting_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ENGLISH), *DEMO, "--beam-size", "0"]) == 2
    assert "backend.beam_size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav", "--output-dir", "nowhere"], "there is no such folder"),
        (["a/x.wav", "b/x.wav", "--output-dir", "."], "two recordings would both be written"),
        (["a.wav", "--format", "srt,vtt"], "several formats need a folder"),
        (["tests.wav", "a.wav", "--format", "srt", "--output-dir", "FOLDER"], "there is a folder"),
        (["a.wav", "--port", "1", "--threads", "2", "--set", "a.b=c"], "--threads, --set: only a"),
        (["a.wav", "--format", "srt", "--format", "docx"], "there is no format 'docx'; there are"),
    ],
)
def test_an_output_that_must_fail_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (tmp_path / "tests.srt").mkdir()

    assert main([argument.replace("FOLDER", str(tmp_path)) for argument in arguments]) == 2
    assert message in capsys.readouterr().err


def test_json_of_several_recordings_is_printed_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with running(timed_words) as server:
        main(
            [str(ENGLISH), str(GERMAN), "--host", "127.0.0.1", "--port", str(server.port),
             "--format", "jsonl"]
        )  # fmt: skip

    lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert [line["type"] for line in lines] == ["session", "segment", "end"] * 2


def test_files_are_called_like_their_recordings(tmp_path: Path) -> None:
    outputs = Outputs(("srt",), tmp_path)
    files = ["a/talk #1.wav", "b?.wav", "-", "https://host/talk.mp3?key=1", "https://host/"]
    written = [outputs.write(TranscriptionResult("", [], True), file)[0].name for file in files]

    assert written == ["talk #1.srt", "b?.srt", "transcript.srt", "talk.srt", "transcript.srt"]


def test_a_folder_that_takes_no_more_costs_no_text_and_not_the_other_recordings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "captions"
    folder.mkdir()

    async def hear_while_the_folder_goes(peer: Peer) -> None:
        await timed_words(peer)
        if folder.exists():
            folder.rmdir()

    with running(hear_while_the_folder_goes) as server:
        status = main(
            [str(ENGLISH), str(GERMAN), "--host", "127.0.0.1", "--port", str(server.port),
             "--format", "srt", "--output-dir", str(folder)]
        )  # fmt: skip

    printed = capsys.readouterr()
    assert status == 1
    assert printed.out == "Hello there.\nHello there.\n"
    assert [line.partition(": ")[2] for line in printed.err.splitlines()] == [
        "No such file or directory; here is the text"
    ] * 2


def test_what_is_said_of_the_model_is_said_once_and_of_a_recording_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def warn(peer: Peer) -> None:
        await peer.accept(notice="it is small")
        await peer.say(status="WARNING", message="it is muted")
        await peer.hear()
        await peer.summarise()

    with running(warn) as server:
        main([str(ENGLISH), str(GERMAN), "--host", "127.0.0.1", "--port", str(server.port)])

    assert capsys.readouterr().err == "it is small\nit is muted\nit is muted\n"


def test_an_empty_recording_is_told_by_its_name_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.wav"
    path.touch()
    with running(timed_words) as server:
        assert main([str(path), "--host", "127.0.0.1", "--port", str(server.port)]) == 1

    assert capsys.readouterr().err == f"{path} is empty\n"


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("flags", [[], ["--format", "srt"]], ids=["live", "at the end"])
def test_a_terminal_of_a_full_disk_is_told_in_one_line(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(timed_words) as server, FULL_DISK.open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        address = ["--host", "127.0.0.1", "--port", str(server.port)]
        status = main([str(ENGLISH), *address, *flags])

    assert status == 1
    assert capsys.readouterr().err == (
        "whisper-streaming transcribe: standard output cannot be written: No space left on device\n"
    )


async def timed_words(peer: Peer) -> None:
    """A server that hears two words."""
    await peer.accept()
    await peer.hear()
    spoken = segment(0.0, 1.0, " Hello there.")
    words = [
        {"word": " Hello", "start": 0.0, "end": 0.4, "probability": 0.9},
        {"word": " there.", "start": 0.5, "end": 1.0, "probability": 0.9},
    ]
    await peer.segments({**spoken, "words": words})
    await peer.summarise()


def test_a_local_server_that_cannot_start_raises_what_went_wrong() -> None:
    config = ServerConfig(backend=BackendSettings(models=("no-such-model",)))

    with pytest.raises(ModelLoadError, match="no-such-model"), local_server(config):
        pytest.fail("the server started")
