"""The client's command line, in this process and as the script that people run."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest

from tests.client.scripted_server import Peer, ScriptedServer, friendly, partial, running, segment
from whisper_streaming.client.cli import main
from whisper_streaming.version import __version__

REPOSITORY = Path(__file__).parent.parent.parent
SCRIPT = REPOSITORY / "example_websocket_client.py"
FULL_DISK = Path("/dev/full")
RECORDING = REPOSITORY / "tests" / "data" / "lang-de.flac"

# What the guide's table of client settings says, as the options message carries it.
GUIDE_DEFAULTS = {"language": "en", "model": "small", "task": "transcribe", "use_vad": True}


def listen(server: ScriptedServer, *arguments: str) -> int:
    address = ["--host", "127.0.0.1", "--port", str(server.port)]
    return main([*address, "--audio-file", str(RECORDING), "--fast", *arguments])


def test_a_pipe_gets_the_transcript_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with running(friendly) as server:
        status = listen(server)

    output = capsys.readouterr()
    assert status == 0
    assert output.out == "Hello world.\nGood bye.\n"
    assert output.err == ""


def test_the_defaults_are_those_of_the_guide() -> None:
    with running(friendly) as server:
        listen(server)

    assert {name: server.peer.options[name] for name in GUIDE_DEFAULTS} == GUIDE_DEFAULTS


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--language", "auto"], {"language": None}, id="auto"),
        pytest.param(
            ["--language", "tr", "--translate"], {"language": "tr", "task": "translate"}, id="task"
        ),
        pytest.param(["--model", "tiny"], {"model": "tiny"}, id="model"),
        pytest.param(["--no-vad"], {"use_vad": False}, id="no VAD"),
        pytest.param(["--no_vad"], {"use_vad": False}, id="with an underscore"),
        pytest.param(["--no-vad", "--use-vad"], {"use_vad": True}, id="the last one counts"),
        pytest.param(["--word-timestamps"], {"word_timestamps": True}, id="words"),
        pytest.param(["--initial_prompt", "a_b"], {"initial_prompt": "a_b"}, id="prompt"),
        pytest.param(["--hotwords", "Kubernetes"], {"hotwords": "Kubernetes"}, id="hotwords"),
    ],
)
def test_flags_reach_the_server(arguments: list[str], expected: dict[str, object]) -> None:
    with running(friendly) as server:
        assert listen(server, *arguments) == 0

    assert {name: server.peer.options[name] for name in expected} == expected


def test_the_token_and_the_chunk_length_are_used() -> None:
    with running(friendly) as server:
        listen(server, "--token", "sesame", "--chunk-ms", "250")

    assert server.peer.headers["Authorization"] == "Bearer sesame"
    assert {len(piece) for piece in server.peer.pieces[:-1]} == {4_000}


def test_the_url_is_used() -> None:
    with running(friendly) as server:
        status = main(
            ["--url", f"ws://127.0.0.1:{server.port}/x", "--audio-file", str(RECORDING), "--fast"]
        )

    assert status == 0


def test_all_files_are_written(tmp_path: Path) -> None:
    with running(friendly) as server:
        status = listen(
            server,
            *("--output-srt", str(tmp_path / "a.srt")),
            *("--output-vtt", str(tmp_path / "a.vtt")),
            *("--output-json", str(tmp_path / "a.json")),
            *("--output-txt", str(tmp_path / "a.txt")),
        )

    assert status == 0
    assert (tmp_path / "a.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:01,000\nHello")
    assert (tmp_path / "a.vtt").read_text().startswith("WEBVTT\n\n00:00:00.000")
    assert json.loads((tmp_path / "a.json").read_text())["text"] == "Hello world. Good bye."
    assert (tmp_path / "a.txt").read_text() == "Hello world.\nGood bye.\n"


def test_a_reader_that_leaves_costs_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with running(friendly) as server, abandoned_pipe() as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        status = listen(server, "--output-txt", str(tmp_path / "a.txt"))

    assert status == 1
    assert (tmp_path / "a.txt").read_text() == "Hello world.\nGood bye.\n"
    assert caplog.messages == []


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs /dev/full")
def test_captions_on_a_full_disk_cost_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(friendly) as server, FULL_DISK.open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        status = listen(server, "--output-txt", str(tmp_path / "a.txt"))

    assert status == 1
    assert (tmp_path / "a.txt").read_text() == "Hello world.\nGood bye.\n"
    assert capsys.readouterr().err.endswith(
        ": standard output cannot be written: No space left on device\n"
    )


def test_nobody_is_listened_to_for_a_reader_that_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def converse(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.2)
        await peer.segments(segment(0.0, 0.1, " First."))
        await peer.hear()
        await peer.summarise()

    address = ["--host", "127.0.0.1", "--audio-file", str(RECORDING)]
    with running(converse) as server, abandoned_pipe() as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        status = main([*address, "--port", str(server.port)])

    assert status == 1
    assert server.peer.has_ended
    assert server.peer.duration_s < 20.0  # of 22


@contextmanager
def abandoned_pipe() -> Iterator[TextIO]:
    """One whose reader has gone, as "| head" does."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as stdout:
        yield stdout


def test_a_file_that_cannot_be_written_is_noticed_before_the_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(friendly) as server:
        status = listen(server, "--output-srt", str(tmp_path / "none" / "a.srt"))

    assert status == 2
    assert "no such folder" in capsys.readouterr().err
    assert server.peers == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["--sample-rate", "8000"], "--sample-rate is for raw samples only", id="rate"),
        pytest.param(["--channels", "2"], "--channels is for raw samples only", id="channels"),
        pytest.param(
            ["--audio-file", "-", "--sample-rate", "8000"],
            "--sample-rate is for raw samples only",
            id="a recording on standard input",
        ),
        pytest.param(
            ["--raw-format", "int16"], "--raw-format is for samples on standard input", id="a file"
        ),
    ],
)
def test_flags_of_raw_samples_are_refused_where_they_would_do_nothing(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(friendly) as server:
        status = listen(server, *arguments)

    assert status == 2
    assert reason in capsys.readouterr().err
    assert server.peers == []


def test_the_notice_of_the_server_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async def warn(peer: Peer) -> None:
        await peer.accept(notice="demo: understands synthetic voices only")
        await peer.hear()
        await peer.segments(segment(0.0, 1.0, " Words."))
        await peer.summarise()

    with running(warn) as server:
        listen(server)

    output = capsys.readouterr()
    assert output.err == "demo: understands synthetic voices only\n"
    assert output.out == "Words.\n"


def test_use_callback_prints_every_update(capsys: pytest.CaptureFixture[str]) -> None:
    with running(friendly) as server:
        listen(server, "--use-callback")

    assert capsys.readouterr().out.startswith(
        "Transcribed: Hello wor\n  [0.00s-0.50s]: Hello wor ...\n"
        "Transcribed: Hello world.\n  [0.00s-1.00s]: Hello world.\n"
    )


def test_nobody_listening_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--port", "9", "--audio-file", str(RECORDING)])

    error = capsys.readouterr().err
    assert status == 1
    assert error.count("\n") == 1
    assert "python run_websocket_server.py --host localhost --port 9" in error


def test_a_full_server_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.take_options()
        await peer.say(status="WAIT", message=9.99)

    with running(refuse) as server:
        status = listen(server)

    error = capsys.readouterr().err
    assert (status, error.count("\n")) == (1, 1)
    assert "10.0 minutes" in error


def test_overtime_is_status_3_and_the_files_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def cut(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.3)
        await peer.segments(segment(0.0, 0.3, " As far as it got."))
        await peer.say(message="DISCONNECT")

    with running(cut) as server:
        status = listen(server, "--output-txt", str(tmp_path / "a.txt"))

    assert status == 3
    assert "time limit" in capsys.readouterr().err
    assert (tmp_path / "a.txt").read_text() == "As far as it got.\n"


def test_a_lost_connection_is_status_1_and_the_files_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def vanish(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.3)
        await peer.segments(segment(0.0, 0.3, " So far."))
        await asyncio.sleep(0.1)
        peer.socket.transport.abort()

    with running(vanish) as server:
        status = listen(server, "--output-json", str(tmp_path / "a.json"))

    assert status == 1
    assert capsys.readouterr().err.count("\n") == 1
    written = json.loads((tmp_path / "a.json").read_text())
    assert (written["text"], written["complete"]) == ("So far.", False)


def test_lost_audio_is_status_1_and_says_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    async def lose(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        await peer.say(status="WARNING", message="lost", gap={"start": 1.0, "end": 2.5})
        await peer.summarise(gap=24_000)

    with running(lose) as server:
        status = listen(server)

    assert status == 1
    assert "1.5 s of audio were lost" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(["--no-such-flag"], "--no-such-flag", id="unknown flag"),
        pytest.param(["--port", "many"], "invalid int value", id="port of letters"),
        pytest.param(["--port", "99999"], "port must be", id="port out of range"),
        pytest.param(["--chunk-ms", "0"], "chunk_ms", id="chunk of nothing"),
        pytest.param(["--url", "localhost:9090"], "ws:// or wss://", id="no scheme"),
        pytest.param(["--ca-file", "/nonexistent"], "no CA file", id="CA file"),
        pytest.param(["--log-level", "LOUD"], "invalid choice", id="log level"),
    ],
)
def test_wrong_usage_is_status_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--audio-file", str(RECORDING), *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_a_missing_recording_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--audio-file", "/nonexistent.wav"]) == 1
    assert "there is no file /nonexistent.wav" in capsys.readouterr().err


def test_a_missing_pyaudio_is_status_1_and_names_the_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyaudio", None)

    assert main([]) == 1
    assert main(["--list-devices"]) == 1
    assert capsys.readouterr().err.count('pip install "pyaudio"') == 2


def test_the_version_and_the_help_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"whisper-streaming {__version__}\n"
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("examples:", "--output-srt", "--fast", "exit status:", "--list-devices"):
        assert word in text


@pytest.mark.slow
def test_the_script_reads_standard_input(tmp_path: Path) -> None:
    samples = np.zeros(8_000, "<i2")
    with running(friendly) as server:
        done = subprocess.run(
            [
                sys.executable, SCRIPT, "--host", "127.0.0.1", "--port", str(server.port),
                "--audio-file", "-", "--raw-format", "int16", "--sample_rate", "8000",
            ],
            input=samples.tobytes(),
            capture_output=True,
            timeout=60,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"Hello world.\nGood bye.\n"
    assert len(server.peer.samples) == 16_000


@pytest.mark.slow
def test_ctrl_c_prints_the_last_words_and_writes_the_files(tmp_path: Path) -> None:
    async def converse(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.2)
        await peer.segments(segment(0.0, 0.1, " First."), partial(0.1, 0.2, " Se"))
        await peer.hear()
        await peer.segments(segment(0.0, 0.1, " First."), segment(0.1, 0.4, " Second."))
        await peer.summarise()

    with running(converse) as server:
        script = subprocess.Popen(
            [
                sys.executable, SCRIPT, "--host", "127.0.0.1", "--port", str(server.port),
                "--audio-file", RECORDING, "--output-srt", tmp_path / "a.srt",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert script.stdout is not None
        assert script.stdout.readline() == "First.\n"
        os.kill(script.pid, signal.SIGINT)
        rest, errors = script.communicate(timeout=60)

    assert (rest, errors) == ("Second.\n", "")
    assert script.returncode == 0
    assert server.peer.has_ended
    assert server.peer.duration_s < 20.0  # of 22
    assert (tmp_path / "a.srt").read_text().count("-->") == 2


@pytest.mark.slow
def test_ctrl_c_while_a_piped_recording_is_silent_ends_the_audio_too() -> None:
    recording = io.BytesIO()
    with wave.open(recording, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(bytes(320_000))
    with running(friendly) as server:
        script = subprocess.Popen(
            [
                sys.executable, SCRIPT, "--host", "127.0.0.1", "--port", str(server.port),
                "--audio-file", "-", "--fast", "--use-callback",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert script.stdin is not None
        assert script.stdout is not None
        script.stdin.write(recording.getvalue()[:200_000])
        script.stdin.flush()
        assert script.stdout.readline() == b"Transcribed: Hello wor\n"
        time.sleep(0.3)  # by now it mostly waits for the rest; earlier is right as well
        os.kill(script.pid, signal.SIGINT)
        # The pipe stays open: only Ctrl-C can end this.
        assert script.wait(60) == 0
        assert b"Transcribed: Hello world. Good bye." in script.stdout.read()
        script.communicate()

    assert server.peer.has_ended


@pytest.mark.slow
def test_ctrl_c_while_standard_input_is_silent_ends_the_audio_too() -> None:
    with running(friendly) as server:
        script = subprocess.Popen(
            [
                sys.executable, SCRIPT, "--host", "127.0.0.1", "--port", str(server.port),
                "--audio-file", "-", "--raw-format", "int16", "--use-callback",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert script.stdin is not None
        assert script.stdout is not None
        script.stdin.write(bytes(2 * 3_200))
        script.stdin.flush()
        assert script.stdout.readline() == b"Transcribed: Hello wor\n"
        os.kill(script.pid, signal.SIGINT)
        rest, errors = script.communicate(timeout=60)

    assert script.returncode == 0, errors
    assert b"Transcribed: Hello world. Good bye." in rest
