"""Records of a real server, which is killed, or whose disk is full, while it records."""

import asyncio
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import numpy as np
import pytest
from websockets.asyncio.client import connect

from tests.forward.test_command_line import running
from tests.records.test_session_record import decoded
from tests.server.peers import WORDS, Peer, scripted_config, serving
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.config import RecordSettings
from whisper_streaming.server import cli

TIMEOUT_S = 60.0
FLAGS = "-b scripted --set vad.detector=energy -H 127.0.0.1 -p 0 --record-dir {dir} --record-audio"
SPEECH = spoken([*WORDS, "Then", "again."], gap_s=0.05)


def journal(folder: Path) -> list[dict[str, object]]:
    """The lines of the only session, each of which must be whole."""
    (path,) = folder.glob("*.jsonl")
    text = path.read_text(encoding="utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def segments(folder: Path) -> list[str]:
    return [str(line["text"]) for line in journal(folder) if line["type"] == "segment"]


def cues(folder: Path) -> str:
    """What is written in the captions, without numbers and times."""
    (path,) = folder.glob("*.srt")
    texts = []
    for number, block in enumerate(path.read_text(encoding="utf-8").split("\n\n"), start=1):
        first, times, *lines = block.splitlines()
        assert first == str(number)
        assert " --> " in times
        texts += lines
    return " ".join(texts)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    async with asyncio.timeout(TIMEOUT_S):
        while not is_so():
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_after_a_kill_every_file_is_whole_up_to_the_last_segment(
    repository: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    async with (
        running(repository, FLAGS.format(dir=folder)) as server,
        connect(f"ws://127.0.0.1:{server.port}", max_size=None) as socket,
    ):
        peer = Peer(socket)
        await peer.send_options()
        await peer.send_audio(SPEECH)
        # The last of the captions to be written.
        await until(lambda: any(b"-->" in path.read_bytes() for path in folder.glob("*.vtt")))
        server.process.kill()
        await server.process.wait()

    text = " ".join(segments(folder))
    assert " ".join([*WORDS, "Then", "again."]).startswith(text)
    assert "end" not in {line["type"] for line in journal(folder)}
    # The next segment may be in the first of the files already.
    assert text.startswith(cues(folder))
    assert cues(folder) != ""
    (vtt,) = folder.glob("*.vtt")
    assert vtt.read_text().startswith("WEBVTT\n\n00:00:0")
    (flac,) = folder.glob("*.flac")
    heard = decoded(flac)
    assert len(heard) > 16_000
    assert np.abs(heard - SPEECH[: len(heard)]).max() <= 1 / 32768


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes are Linux's")
async def test_a_full_disk_costs_no_session_a_word_and_the_record_neither(
    repository: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    async with running(repository, FLAGS.format(dir=folder)) as server:
        url = f"http://127.0.0.1:{server.port}/status"
        unlimited = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        async with (
            httpx2.AsyncClient() as web,
            connect(f"ws://127.0.0.1:{server.port}", max_size=None) as socket,
        ):

            async def records() -> dict[str, object]:
                answer = await web.get(url)
                counts: dict[str, object] = answer.json()["records"]
                return counts

            peer = Peer(socket)
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (200, unlimited[1]))
            await peer.send_options()
            await peer.send_audio(SPEECH)
            await peer.read_until_shown("again.")
            failing = await records()
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, unlimited)
            text = await peer.finish()
            finished = await records()
            async with asyncio.timeout(TIMEOUT_S):
                while finished["open"]:
                    finished = await records()
        log = await server.stop()

    assert text.split() == [*WORDS, "Then", "again."]
    assert (failing["is_failing"], failing["open"]) == (True, 1)
    assert (finished["is_failing"], finished["incomplete"]) == (False, 0)
    assert " ".join(segments(folder)) == cues(folder) == text
    assert journal(folder)[-1]["complete"] is True
    assert log.count("records cannot be written") == log.count("records are written") == 1


async def test_sessions_of_every_protocol_are_recorded(tmp_path: Path) -> None:
    config = scripted_config().model_copy(update={"record": RecordSettings(dir=str(tmp_path))})
    async with serving(config) as server:
        async with connect(f"ws://127.0.0.1:{server.port}") as socket:
            peer = Peer(socket)
            await peer.send_options(uid="../me")
            await peer.send_audio(SPEECH)
            text = await peer.finish()
        assert segments(tmp_path)
        for file in list(tmp_path.iterdir()):
            file.rename(tmp_path.parent / file.name)
        async with connect(f"ws://127.0.0.1:{server.port}/stream") as socket:
            await socket.send(SPEECH.tobytes())
            await socket.send("END_OF_AUDIO")
            async for _ in socket:
                pass

    (moved,) = tmp_path.parent.glob("*.jsonl")
    first, *_, last = map(json.loads, moved.read_text().splitlines())
    assert (first["uid"], first["model"], first["language"]) == ("../me", "scripted", "en")
    assert (last["ended"], last["complete"]) == ("complete", True)
    assert last["account"]["received"] == len(SPEECH)
    assert " ".join(segments(tmp_path)) == text


def test_a_folder_that_cannot_be_had_ends_the_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flags = ["--backend", "scripted", "--record-dir", str(tmp_path / "none" / "records")]

    assert cli.main(flags) == 1
    assert f"there is no folder {tmp_path / 'none'}" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--record-audio", "--record_keep_days=3"])
def test_what_needs_a_folder_says_so(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert cli.main(["--backend", "scripted", flag]) == 2
    assert "without a folder for them (--record-dir)" in capsys.readouterr().err
