"""What only the blocking client does: push mode, stop from elsewhere, Ctrl-C, TLS."""

import asyncio
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.client.conftest import noise
from tests.client.scripted_server import Peer, friendly, partial, running, segment
from whisper_streaming.client import (
    AudioSourceError,
    ClientError,
    ConnectionLost,
    TranscriptionClient,
    TranscriptionResult,
)
from whisper_streaming.core.audio import FloatArray

CERTIFICATE = Path(__file__).parent / "localhost.pem"


def endless() -> Iterator[FloatArray]:
    while True:
        yield noise(0.1)


def test_pushing_connects_with_the_first_samples_and_waits_for_ready() -> None:
    ready = threading.Event()

    async def slow_start(peer: Peer) -> None:
        await peer.take_options()
        assert peer.options["uid"]
        ready.set()
        await peer.say(
            message="SERVER_READY", backend="faster_whisper", engine="scripted", model="demo"
        )
        await peer.hear()
        await peer.segments(segment(0.0, 0.3, " Pushed."))
        await peer.summarise()

    with running(slow_start) as server:
        client = TranscriptionClient("127.0.0.1", server.port)
        assert server.peers == []
        client.send(np.zeros(1600, np.int16))
        assert ready.is_set()
        client.send(np.zeros((1600, 2), np.float32))
        result = client.finish()

    assert result.text == "Pushed."
    assert result.samples_sent == 3200


def test_a_client_can_push_again_after_it_finished() -> None:
    with running(friendly) as server:
        client = TranscriptionClient("127.0.0.1", server.port)
        texts = []
        for rate in (8_000, 16_000):  # each session may have its own rate
            client.send(np.zeros(1600, np.int16), rate)
            texts.append(client.finish().text)

    assert texts == ["Hello world. Good bye."] * 2
    assert len({str(peer.options["uid"]) for peer in server.peers}) == 2


def test_the_rate_of_pushed_audio_cannot_change() -> None:
    with running(friendly) as server:
        client = TranscriptionClient("127.0.0.1", server.port)
        client.send(np.zeros(1600, np.int16), 8_000)
        with pytest.raises(AudioSourceError, match="from 8000 to 16000"):
            client.send(np.zeros(1600, np.int16), 16_000)
        client.close()


def test_a_first_push_that_fails_leaves_the_rate_open() -> None:
    with running(friendly) as server:
        client = TranscriptionClient("127.0.0.1", server.port)
        with pytest.raises(AudioSourceError, match="not finite"):
            client.send(np.array([np.nan]), 8_000)
        assert server.peers == []
        client.send(np.zeros(1600, np.int16), 16_000)
        assert client.finish().samples_sent == 1600


def test_a_source_cannot_be_read_while_audio_is_pushed() -> None:
    with (
        running(friendly) as server,
        TranscriptionClient("127.0.0.1", server.port) as client,
    ):
        client.send(noise(0.1))
        with pytest.raises(ClientError, match="a session is running"):
            client(noise(0.1))


def test_pushing_after_overtime_says_so_and_finish_gives_the_transcript() -> None:
    said = threading.Event()

    async def cut(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.1)
        await peer.segments(segment(0.0, 0.1, " All."))
        await peer.say(message="DISCONNECT")
        said.set()

    with running(cut) as server:
        client = TranscriptionClient("127.0.0.1", server.port)
        with pytest.raises(ConnectionLost, match="time is over") as caught:
            for _ in range(200):
                client.send(noise(0.1))
                said.wait(timeout=0.05)
        result = client.finish()

    assert isinstance(caught.value.result, TranscriptionResult)
    assert result.text == "All."
    assert result.is_overtime


def test_leaving_the_client_without_finish_drops_the_connection() -> None:
    dropped = threading.Event()

    async def listen(peer: Peer) -> None:
        await peer.accept()
        try:
            await peer.hear()
        finally:
            dropped.set()

    with running(listen) as server:
        with TranscriptionClient("127.0.0.1", server.port) as client:
            client.send(noise(0.1))
        assert dropped.wait(timeout=30)

    assert not server.peer.has_ended
    assert [t.name for t in threading.enumerate() if t.name == "whisper-streaming-reader"] == []


def test_the_callback_can_stop_the_session() -> None:
    with running(friendly) as server:
        client = TranscriptionClient("127.0.0.1", server.port)
        client.transcription_callback = lambda _text, _segments: client.stop()
        result = client(endless())

    assert result.text == "Hello world. Good bye."
    assert result.complete
    assert server.peer.has_ended


def test_another_thread_can_stop_a_wait_for_the_next_chunk() -> None:
    with running(friendly) as server:
        client = TranscriptionClient("127.0.0.1", server.port, chunk_ms=10_000)
        heard = threading.Timer(0.5, client.stop)
        heard.start()
        started = time.monotonic()
        client(noise(60.0))
        took_s = time.monotonic() - started
        heard.join()

    assert took_s < 9.5  # the first chunk was due after 10 s


def test_finish_in_the_callback_is_refused_instead_of_waiting_for_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running(friendly) as server:
        client = TranscriptionClient("127.0.0.1", server.port)
        client.transcription_callback = lambda _text, _segments: client.finish()
        client(noise(0.3))

    assert "call stop() there" in caplog.text


def test_a_callback_that_exits_ends_the_session_with_what_was_heard() -> None:
    def leave(_text: str, _segments: object) -> None:
        sys.exit(3)  # ends the reading thread only

    with running(friendly) as server:
        client = TranscriptionClient("127.0.0.1", server.port, transcription_callback=leave)
        with pytest.raises(ClientError, match=r"SystemExit.*call stop\(\) there") as caught:
            client(endless())

    assert isinstance(caught.value.result, TranscriptionResult)
    assert caught.value.result.text == "Hello wor"


def test_waiting_costs_no_cpu() -> None:
    used: list[float] = []

    async def be_slow(peer: Peer) -> None:
        await peer.accept()
        await peer.hear()
        before = time.process_time()
        await asyncio.sleep(0.6)
        used.append(time.process_time() - before)
        await peer.summarise()

    with running(be_slow) as server:
        TranscriptionClient("127.0.0.1", server.port)(noise(0.1))

    # Of all threads, the server's too. One that asks again and again would take 0.6.
    assert used[0] < 0.15


@pytest.fixture
def tls_server() -> Iterator[tuple[str, Path]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with running(friendly, ssl_context=context) as server:
        yield f"wss://localhost:{server.port}", CERTIFICATE


def test_tls_works_with_the_authority_of_the_server(tls_server: tuple[str, Path]) -> None:
    url, certificate = tls_server

    result = TranscriptionClient(url=url, ca_file=str(certificate))(noise(0.3))

    assert result.complete


def test_an_untrusted_certificate_is_refused_with_the_remedy(
    tls_server: tuple[str, Path],
) -> None:
    with pytest.raises(ConnectionLost, match="--ca-file"):
        TranscriptionClient(url=tls_server[0])(noise(0.1))


def test_plain_text_where_tls_is_expected_says_so() -> None:
    with running(friendly) as server, pytest.raises(ConnectionLost, match="does not speak TLS"):
        TranscriptionClient(url=f"wss://127.0.0.1:{server.port}")(noise(0.1))


def test_a_ca_file_alone_asks_for_tls(tls_server: tuple[str, Path]) -> None:
    url, certificate = tls_server
    port = int(url.rpartition(":")[2])

    result = TranscriptionClient("localhost", port, ca_file=str(certificate))(noise(0.2))

    assert result.complete


INTERRUPTED_PROGRAM = """
import itertools, sys
import numpy as np
from whisper_streaming.client import TranscriptionClient
def callback(text, segments):
    print(text, flush=True)
client = TranscriptionClient("127.0.0.1", int(sys.argv[1]), transcription_callback=callback,
                             realtime=sys.argv[2] == "paced")
result = client(itertools.repeat(np.zeros(1600, np.float32)))
print("RESULT", result, result.complete, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("pace", ["paced", "fast"])
def test_ctrl_c_ends_the_audio_and_waits_for_the_last_words(pace: str) -> None:
    async def listen(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.3)  # Ctrl-C is to come in the middle of sending, and not before it
        await peer.segments(partial(0.0, 0.2, " Hel"))
        await peer.hear()
        await peer.segments(segment(0.0, 0.2, " Hello."))
        await peer.summarise()

    with running(listen) as server:
        program = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED_PROGRAM, str(server.port), pace],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "Hel\n"
        os.kill(program.pid, signal.SIGINT)
        rest, _ = program.communicate(timeout=60)

    assert rest == "Hello.\nRESULT Hello. True\n"
    assert program.returncode == 0
    assert server.peer.has_ended


@pytest.mark.slow
def test_a_second_ctrl_c_stops_waiting() -> None:
    async def never_finish(peer: Peer) -> None:
        await peer.accept()
        await peer.hear(0.3)  # Ctrl-C is to come in the middle of sending, and not before it
        await peer.segments(partial(0.0, 0.2, " Hel"))
        await peer.hear()
        await peer.segments(partial(0.0, 0.2, " Hello"))
        await peer.socket.wait_closed()

    with running(never_finish) as server:
        program = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED_PROGRAM, str(server.port), "paced"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "Hel\n"
        os.kill(program.pid, signal.SIGINT)
        assert program.stdout.readline() == "Hello\n"
        os.kill(program.pid, signal.SIGINT)
        program.communicate(timeout=60)

    assert program.returncode == -signal.SIGINT


def test_the_programs_own_ctrl_c_handler_is_left_alone() -> None:
    def handler(_signal: int, _frame: object) -> None:
        raise AssertionError("not called in this test")

    before = signal.signal(signal.SIGINT, handler)
    try:
        with running(friendly) as server:
            client = TranscriptionClient("127.0.0.1", server.port)
            seen: list[object] = []
            client.transcription_callback = lambda _t, _s: seen.append(
                signal.getsignal(signal.SIGINT)
            )
            client(noise(0.3))
        assert seen
        assert set(seen) == {handler}
    finally:
        signal.signal(signal.SIGINT, before)


def test_importing_the_client_loads_no_model_runtime_and_no_sound() -> None:
    code = (
        "import sys, whisper_streaming.client\n"
        "heavy = {'faster_whisper', 'ctranslate2', 'onnxruntime', 'torch', 'pyaudio'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("[]\n", "")
