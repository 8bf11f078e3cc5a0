"""The flags of whisper.cpp's WebSocket example, on the real program."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.contract.workshop import sentence
from tests.forward.receiver import is_signed, receiving, status
from tests.server.peers import Peer
from whisper_streaming.server import cli

TIMEOUT_S = 60.0

# The long names are those of tests/test_seed_contract.py.
SHORT_NAMES = (
    "-m demo -t 2 -H 127.0.0.1 -p 0 -f {url} -nm 2 -l tr -vth 0.4 -tr -ng -bs 2 --log-level DEBUG"
)


@dataclass
class Program:
    """The server as a process."""

    process: asyncio.subprocess.Process
    port: int

    async def stop(self) -> str:
        """Tell it to stop; what it logged."""
        self.process.terminate()
        async with asyncio.timeout(TIMEOUT_S):
            _, log = await self.process.communicate()
        assert self.process.returncode == 0
        return log.decode()


@asynccontextmanager
async def running(repository: Path, flags: str, **variables: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "run_websocket_server.py",
        *flags.split(),
        cwd=repository,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on ws://127.0.0.1:"), line
        yield Program(process, int(line.rpartition(":")[2]))
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


@pytest.mark.model
@pytest.mark.slow
async def test_turkish_speech_is_posted_to_llama_cpp_in_english_and_no_secret_is_logged(
    repository: Path,
) -> None:
    """A client that asks for nothing gets what the flags say, and so does the service."""
    async with receiving(status(500)) as receiver:
        url = f"http://captions:PASSWORD@127.0.0.1:{receiver.port}/completion?key=TOKEN"
        flags, secret = SHORT_NAMES.format(url=url), "SIGNING-KEY"
        async with running(repository, flags, WHISPER_STREAMING__FORWARD__SECRET=secret) as server:
            async with connect(f"ws://127.0.0.1:{server.port}", max_size=None) as socket:
                peer = Peer(socket)
                await peer.send_options()
                await peer.send_audio(sentence("tr").samples)
                heard = await peer.finish()
            log = await server.stop()

    assert words(heard) == words(sentence("tr").english)
    failed, accepted = receiver.requests
    assert (failed.id, failed.body) == (accepted.id, accepted.body)
    assert accepted.path == "/completion?key=TOKEN"
    assert accepted.content == {"prompt": heard, "n_predict": 128, "stream": False}
    assert is_signed(accepted, secret)
    assert (
        f"http://127.0.0.1:{receiver.port} did not take segments, trying again: status 500" in log
    )
    assert not [word for word in ("PASSWORD", "TOKEN", secret) if word in log]


@pytest.mark.parametrize("name", ["-f", "--forward-url", "--forward_url"])
def test_a_bad_url_is_an_error_with_status_1(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert cli.main(["--backend", "scripted", name, "localhost:8080/completion"]) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "cannot forward to 'localhost:8080/completion': a URL such as http://" in printed.err


def test_an_empty_secret_is_a_wrong_setting_and_not_a_known_key(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHISPER_STREAMING__FORWARD__SECRET", "")

    assert cli.main(["-f", "http://localhost:8080/"]) == 2
    assert "bad settings: forward.secret" in capsys.readouterr().err


def test_help_teaches_forwarding_by_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])

    text = capsys.readouterr().out
    assert "--forward-url http://localhost:8000/captions --max-messages 5" in text
    assert "-f URL, --forward-url URL" in text
    assert "-nm N, --max-messages N" in text


@pytest.mark.parametrize(
    "flags", [["-nm", "0"], ["--max-messages", "some"], ["--forward-interval", "0"]]
)
def test_bad_numbers_are_wrong_settings(
    capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    assert cli.main(flags) == 2

    assert "bad settings: forward." in capsys.readouterr().err
