"""Every program in examples/ runs, against a real server with the embedded model."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.contract.markdown import read_page
from tests.contract.node import MISSING, find_node
from tests.contract.workshop import (
    ROOT,
    Outcome,
    Sentence,
    Workshop,
    free_port,
    open_workshop,
    sentence,
    wait_until_healthy,
)
from tests.encoded_audio import encode, forged_wav, slices
from tests.wire.live_kit_client import Fields, LiveKitClient
from whisper_streaming.core.audio import SAMPLE_RATE

EXAMPLES = ROOT / "examples"
SENTENCE = sentence()

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("examples")) as workshop:
        yield workshop


def run_example(workshop: Workshop, name: str, *arguments: str, microphone: bool = True) -> Outcome:
    """Run an example against the server of the workshop."""
    command = [sys.executable, str(EXAMPLES / name), *arguments, "--port", str(workshop.port)]
    return workshop.run(command, microphone=microphone)


def test_every_example_has_a_test() -> None:
    source = Path(__file__).read_text()
    names = {path.name for path in EXAMPLES.iterdir() if path.is_file()}

    assert names == {
        "asyncio_server.py", "callback.py", "fastapi_server.py", "microphone.py", "server.py",
        "stream.mjs", "transcribe_file.py", "translation.py",
    }  # fmt: skip
    assert all(source.count(f'"{name}"') >= 2 for name in names)


def test_the_server_says_where_it_is_and_stops_in_order(workshop: Workshop) -> None:
    port = free_port()
    command = [sys.executable, str(EXAMPLES / "server.py"), "--model", "demo", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=workshop.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert wait_until_healthy(process, port)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=120)
    finally:
        process.kill()

    assert process.returncode == 0, stderr
    assert stdout == f"listening on ws://localhost:{port}\nup to 8 clients\n"


@dataclass
class OwnServer:
    """An example that is a server without ours."""

    port: int
    process: "subprocess.Popen[str]"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("fastapi_server.py", id="fastapi_server"),
        pytest.param("asyncio_server.py", id="asyncio_server"),
    ],
)
def own_server(request: pytest.FixtureRequest, workshop: Workshop) -> Iterator[OwnServer]:
    """The example runs until it is told to stop, and must do so without a complaint."""
    with own_server_of(workshop, request.param) as server:
        yield server
        server.process.send_signal(signal.SIGINT)
        output, _ = server.process.communicate(timeout=60)
    assert server.process.returncode == 0, output
    assert "Traceback" not in output, output


@contextlib.contextmanager
def own_server_of(workshop: Workshop, name: str) -> Iterator[OwnServer]:
    """An example that is a server; who asks for it stops it."""
    port = free_port()
    command = [sys.executable, str(EXAMPLES / name), "--model", "demo"]
    process = subprocess.Popen(
        [*command, "--language", "en", "--port", str(port)],
        cwd=workshop.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait_until_it_listens(process, port)
        yield OwnServer(port, process)
    finally:
        process.kill()


def wait_until_it_listens(process: "subprocess.Popen[str]", port: int) -> None:
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        assert process.poll() is None, process.communicate()[0]
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 5):
            return
        time.sleep(0.1)  # another process: there is nothing to wait on
    raise AssertionError(f"nobody listens on {port}")


async def converse(server: OwnServer, query: str, stream: bytes) -> tuple[list[Fields], int]:
    """What a client of WhisperLiveKit gets, and the close code."""
    messages, code, _ = await converse_to_the_reason(server, query, stream)
    return messages, code


async def converse_to_the_reason(
    server: OwnServer, query: str, stream: bytes
) -> tuple[list[Fields], int, str]:
    """What a client of WhisperLiveKit gets, the close code, and the reason."""
    messages: list[Fields] = []
    async with connect(f"ws://localhost:{server.port}/asr?{query}") as connection:
        with contextlib.suppress(ConnectionClosed):  # it may be refused before all is sent
            for piece in slices(stream, 20):
                await connection.send(piece)
            await connection.send(b"")
        try:
            async with asyncio.timeout(60):
                while True:
                    messages.append(json.loads(await connection.recv()))
        except ConnectionClosed as closed:
            closing = closed.rcvd
            return (messages, closing.code, closing.reason) if closing else (messages, 1006, "")


def shown(messages: list[Fields]) -> str:
    """The text that the client shows in the end."""
    client = LiveKitClient()
    for message in messages[1:-1]:
        client.on_message(message)
    return "".join(line["text"] for line in client.state["lines"]).strip()


@pytest.mark.parametrize("mode", ["full", "diff"])
async def test_a_server_of_your_own_takes_samples(own_server: OwnServer, mode: str) -> None:
    messages, code = await converse(own_server, f"mode={mode}", int16(SENTENCE).tobytes())

    assert messages[0] == {"type": "config", "useAudioWorklet": True, "mode": mode}
    assert (messages[-1], code) == ({"type": "ready_to_stop"}, 1000)
    assert shown(messages) == SENTENCE.text


async def test_a_server_of_your_own_takes_what_a_browser_records(own_server: OwnServer) -> None:
    german = sentence("de")
    streams = [encode("webm", int16(each), rate=SAMPLE_RATE) for each in (SENTENCE, german)]

    both = await asyncio.gather(
        converse(own_server, "", streams[0]), converse(own_server, "language=de", streams[1])
    )

    assert [code for _, code in both] == [1000, 1000]
    assert [shown(messages) for messages, _ in both] == [SENTENCE.text, german.text]


async def test_a_server_of_your_own_says_what_is_wrong(own_server: OwnServer) -> None:
    refused, code, reason = await converse_to_the_reason(own_server, "language=klingon", bytes(2))
    broken, *closing = await converse_to_the_reason(own_server, "", forged_wav(bytes(999), rate=1))

    assert (refused[0]["type"], code) == ("error", 4400)
    assert "does not know the language 'klingon'" in refused[0]["error"]
    assert reason == refused[0]["error"][:123]
    assert broken[-1]["error"] == "audio with 1 samples a second is not taken"
    assert closing == [1003, broken[-1]["error"]]


async def test_a_server_of_your_own_reads_a_url_as_ours_does(own_server: OwnServer) -> None:
    empty, code = await converse(own_server, "language=&mode=&token=", int16(SENTENCE).tobytes())
    wished, _ = await converse(own_server, "mode=foo", bytes(2))
    refused, *closing = await converse(own_server, "target_language=fr", bytes(2))

    assert (shown(empty), code) == (SENTENCE.text, 1000)
    assert (empty[0]["mode"], wished[0]["mode"]) == ("full", "foo")
    assert "target_language 'fr': this server does not translate" in refused[0]["error"]
    assert closing == [4400]


async def test_a_server_of_your_own_outlives_clients_that_leave(own_server: OwnServer) -> None:
    async with connect(f"ws://localhost:{own_server.port}/asr") as connection:
        await connection.send(int16(SENTENCE).tobytes())
        await connection.recv()
    async with connect(f"ws://localhost:{own_server.port}/asr") as connection:
        await connection.send("text is not for it")
        connection.transport.abort()

    messages, _ = await converse(own_server, "", int16(SENTENCE).tobytes())
    assert shown(messages) == SENTENCE.text


@pytest.mark.parametrize(
    ("name", "number", "status"),
    [
        # Uvicorn ends by the signal that stopped it.
        pytest.param("fastapi_server.py", signal.SIGTERM, -signal.SIGTERM, id="fastapi-SIGTERM"),
        pytest.param("asyncio_server.py", signal.SIGTERM, 0, id="asyncio-SIGTERM"),
        pytest.param("asyncio_server.py", signal.SIGINT, 0, id="asyncio-SIGINT"),
        pytest.param("fastapi_server.py", signal.SIGINT, 0, id="fastapi-SIGINT"),
    ],
)
async def test_a_server_of_your_own_that_stops_sends_the_last_words(
    workshop: Workshop, name: str, number: signal.Signals, status: int
) -> None:
    with own_server_of(workshop, name) as server:
        url = f"ws://localhost:{server.port}/asr"
        async with connect(url) as connection:
            await connection.send(int16(SENTENCE).tobytes())
            messages = [json.loads(await connection.recv()) for _ in range(3)]
            server.process.send_signal(number)
            with contextlib.suppress(ConnectionClosed):
                async with asyncio.timeout(60):
                    while True:
                        messages.append(json.loads(await connection.recv()))
        output, _ = await asyncio.to_thread(server.process.communicate, timeout=60)

    assert (messages[-1], connection.close_code) == ({"type": "ready_to_stop"}, 1012)
    assert shown(messages) == SENTENCE.text
    assert server.process.returncode == status, output
    assert "Traceback" not in output, output


@pytest.mark.parametrize(
    ("name", "status"),
    [
        pytest.param("fastapi_server.py", 3, id="fastapi, as uvicorn"),
        pytest.param("asyncio_server.py", 1, id="asyncio"),
    ],
)
def test_a_port_that_is_taken_is_said_without_a_traceback(
    workshop: Workshop, name: str, status: int
) -> None:
    command = [sys.executable, str(EXAMPLES / name), "--model", "demo", "--port"]
    with socket.create_server(("127.0.0.1", 0)) as other:
        outcome = workshop.run([*command, str(other.getsockname()[1])])

    assert outcome.returncode == status
    assert "address already in use" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("name", ["fastapi_server.py", "asyncio_server.py"])
def test_the_guide_prints_the_servers_that_are_tested_here(name: str) -> None:
    page = (ROOT / "docs" / "integration.md").read_text(encoding="utf-8")

    printed = [block.text for block in read_page(page).blocks if block.language == "python"]
    assert (EXAMPLES / name).read_text(encoding="utf-8").strip() in map(str.strip, printed)


def int16(said: Sentence) -> npt.NDArray[np.int16]:
    return np.round(said.samples * 32767).astype("<i2")


def test_a_file_becomes_text_and_subtitles(workshop: Workshop) -> None:
    outcome = run_example(workshop, "transcribe_file.py", "audio.wav").expect_success()

    assert outcome.stdout == f"{SENTENCE.text}\nwrote audio.srt\n"
    number, times, text = (workshop.folder / "audio.srt").read_text().strip().split("\n")
    assert (number, text) == ("1", SENTENCE.text)
    assert re.fullmatch(r"00:00:00,\d{3} --> 00:00:01,\d{3}", times)


def test_a_file_that_is_not_there_is_said_in_one_line(workshop: Workshop) -> None:
    outcome = run_example(workshop, "transcribe_file.py", "missing.wav")

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr.splitlines() == ["there is no file missing.wav"]


def test_the_callback_prints_each_final_caption_once(workshop: Workshop) -> None:
    outcome = run_example(workshop, "callback.py", "audio.wav").expect_success()

    (line,) = outcome.stdout.splitlines()
    assert re.fullmatch(rf"\[  0\.\d\d -   1\.\d\d\] {re.escape(SENTENCE.text)}", line)


def test_the_microphone_is_captioned_until_ctrl_c(workshop: Workshop) -> None:
    outcome = run_example(workshop, "microphone.py").expect_success()

    assert f"\x1b[K{SENTENCE.text}\n" in outcome.stdout
    assert outcome.stdout.endswith(f"\nAll of it: {SENTENCE.text}\n")


def test_without_a_sound_library_the_microphone_says_what_to_install(workshop: Workshop) -> None:
    outcome = run_example(workshop, "microphone.py", microphone=False)

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert 'the microphone needs PyAudio: run pip install "pyaudio"' in outcome.stderr


@pytest.mark.parametrize("language", ["de", "auto"])
def test_german_becomes_english(workshop: Workshop, language: str) -> None:
    workshop.add_recording("deutsch.wav", "de")
    outcome = run_example(
        workshop, "translation.py", "deutsch.wav", "--language", language
    ).expect_success()

    assert outcome.stdout == f"{sentence('de').english}\n"


@pytest.mark.requires_node
def test_node_sends_raw_samples_and_prints_finals(workshop: Workshop) -> None:
    node = find_node()
    if node is None:
        pytest.skip(MISSING)
    samples = np.round(SENTENCE.samples * 32767).astype("<i2")
    (workshop.folder / "audio.raw").write_bytes(samples.tobytes())
    url = f"ws://localhost:{workshop.port}/stream?format=s16"
    outcome = workshop.run([*node, str(EXAMPLES / "stream.mjs"), "audio.raw", url])

    assert outcome.expect_success().stdout == f"{SENTENCE.text}\n"


@pytest.mark.requires_node
def test_node_says_when_there_is_no_server(workshop: Workshop) -> None:
    node = find_node()
    if node is None:
        pytest.skip(MISSING)
    url = f"ws://localhost:{free_port()}/stream"
    outcome = workshop.run([*node, str(EXAMPLES / "stream.mjs"), "audio.raw", url])

    assert outcome.returncode == 1
    assert f"no connection to {url}: is the server running?" in outcome.stderr
