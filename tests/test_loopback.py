"""The real server on a free port, and clients that talk to it over real sockets."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.server.peers import (
    TIMEOUT_S,
    WORDS,
    Peer,
    connected,
    scripted_config,
    serving,
    session,
    transcribe,
)
from whisper_streaming.backends.base import Backend
from whisper_streaming.backends.scripted import ScriptedBackend, ScriptedBehaviour, hears, spoken
from whisper_streaming.client import TranscriptionClient
from whisper_streaming.client.result import TranscriptSegment
from whisper_streaming.config import BackendSettings
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.errors import ListenError, ModelLoadError, SessionStateError
from whisper_streaming.server import WhisperStreamingServer

# Long enough after the last word that it is decoded, too short to end the utterance.
UNFINISHED = np.concatenate((spoken(WORDS), np.zeros(5_600, dtype=np.float32)))


async def test_every_word_arrives_and_the_server_closes() -> None:
    async with serving() as server:
        assert await transcribe(server) == " ".join(WORDS)


async def test_the_summary_accounts_for_every_sample() -> None:
    async with serving() as server, session(server, summary=True) as peer:
        audio = spoken(WORDS)
        await peer.send_audio(audio)
        await peer.finish()

    summary = peer.messages[-1]
    assert summary["message"] == "SESSION_SUMMARY"
    assert summary["received"] == len(audio)
    assert summary["gap"] == 0
    assert summary["decoded"] + summary["silence"] == len(audio)  # type: ignore[operator]


@pytest.mark.parametrize("word_timestamps", [True, False])
async def test_our_client_keeps_the_words_of_open_and_of_completed_segments(
    word_timestamps: bool,
) -> None:
    shown: list[TranscriptSegment] = []
    async with serving() as server:
        client = TranscriptionClient(
            "127.0.0.1",
            server.port,
            word_timestamps=word_timestamps,
            realtime=False,
            transcription_callback=lambda text, segments: shown.extend(segments),
        )
        result = await asyncio.to_thread(client, spoken(WORDS))

    assert result.text == " ".join(WORDS)
    assert {segment["completed"] for segment in shown} == {True, False}
    for segment in (*shown, *result.segments):
        words = segment.get("words", [])
        assert "".join(word["word"] for word in words) == segment["text"] * word_timestamps
    said = [word for segment in result.segments for word in segment.get("words", [])]
    times = [(word["start"], word["end"]) for word in said]
    # A word takes 0.4 s. All its letters may be heard some samples before it ends.
    assert times == [
        (pytest.approx(0.4 * index), pytest.approx(0.4 * (index + 1), abs=0.02))
        for index in range(len(WORDS) * word_timestamps)
    ]


async def test_without_vad_all_audio_is_decoded() -> None:
    async with serving() as server, session(server, summary=True, use_vad=False) as peer:
        audio = spoken(WORDS, gap_s=2.0)
        await peer.send_audio(audio)
        assert await peer.finish() == " ".join(WORDS)

    assert peer.messages[-1]["decoded"] == len(audio)
    assert peer.messages[-1]["silence"] == 0


async def test_four_sessions_give_exactly_the_text_of_one() -> None:
    words = [f"word{index}" for index in range(40)]
    async with serving() as server:
        alone = await transcribe(server, words)
        async with asyncio.TaskGroup() as tasks:
            together = [tasks.create_task(transcribe(server, words)) for _ in range(4)]

    assert alone == " ".join(words)
    assert [task.result() for task in together] == [alone] * 4


async def test_sessions_in_two_languages_do_not_mix() -> None:
    async def heard(server: WhisperStreamingServer, language: str) -> list[dict[str, object]]:
        async with session(server, uid=language, language=None) as peer:
            await peer.send_audio(spoken([f"{language}{i}" for i in range(12)], language=language))
            text = await peer.finish()
        assert text == " ".join(f"{language}{i}" for i in range(12))
        return [message for message in peer.messages if "language" in message]

    async with serving() as server, asyncio.TaskGroup() as tasks:
        german = tasks.create_task(heard(server, "de"))
        french = tasks.create_task(heard(server, "fr"))

    assert [message["language"] for message in german.result()] == ["de"]
    assert [message["language"] for message in french.result()] == ["fr"]


async def test_a_task_of_its_own_changes_nothing_for_the_neighbour() -> None:
    async with serving() as server, asyncio.TaskGroup() as tasks:
        translated = tasks.create_task(transcribe(server, task="translate"))
        plain = tasks.create_task(transcribe(server))

    assert translated.result() == " ".join(WORDS).upper()
    assert plain.result() == " ".join(WORDS)


async def test_the_fifth_client_is_told_to_wait_in_minutes() -> None:
    async with serving(scripted_config(max_connection_time_s=120)) as server, AsyncExitStack() as s:
        for _ in range(4):
            await s.enter_async_context(session(server))
        fifth = await s.enter_async_context(connected(server))
        answer = await fifth.send_options()
        assert await fifth.read_to_close() == 1000
        status = server.client_manager.get_status()

    assert answer["status"] == "WAIT"
    assert isinstance(answer["message"], float)
    assert 1.5 < answer["message"] <= 2.0
    assert status["current_clients"] == 4
    assert status["refused_clients"] == 1


async def test_of_fifty_simultaneous_connects_four_are_admitted() -> None:
    async with serving() as server:
        admitted = asyncio.Semaphore(0)
        leave = asyncio.Event()

        async def knock() -> object:
            async with connected(server) as peer:
                answer = await peer.send_options()
                admitted.release()
                await leave.wait()
                return answer.get("message") if "status" not in answer else answer["status"]

        async with asyncio.TaskGroup() as tasks:
            knocks = [tasks.create_task(knock()) for _ in range(50)]
            for _ in knocks:
                await admitted.acquire()
            assert server.client_manager.current_clients == 4
            leave.set()

        answers = sorted(str(task.result()) for task in knocks)
        assert answers == ["SERVER_READY"] * 4 + ["WAIT"] * 46
        assert await transcribe(server) == " ".join(WORDS)


async def test_overtime_flushes_the_last_words_then_disconnects() -> None:
    config = scripted_config(max_connection_time_s=1.5)
    async with serving(config) as server, session(server, summary=True) as peer:
        await peer.send_audio(spoken(WORDS))
        assert await peer.read_to_close() == 1000

    assert peer.text == " ".join(WORDS)
    assert peer.messages[-1]["message"] == "DISCONNECT"
    assert peer.messages[-2]["gap"] == 0


async def test_an_idle_client_is_disconnected_by_the_clock() -> None:
    async with serving(scripted_config(max_connection_time_s=0.3)) as server:
        async with session(server) as peer:
            assert await peer.read_to_close() == 1000
        assert server.client_manager.current_clients == 0

    assert peer.messages[-1]["message"] == "DISCONNECT"


async def test_a_client_can_shorten_its_time_but_not_extend_it() -> None:
    async with (
        serving(scripted_config(max_connection_time_s=0.5)) as server,
        session(server, max_connection_time=0.1) as short,
        session(server, max_connection_time=600) as greedy,
    ):
        assert await short.read_to_close() == 1000
        assert server.client_manager.current_clients == 1
        assert await greedy.read_to_close() == 1000


async def test_the_tail_arrives_without_end_of_audio() -> None:
    async with serving() as server, session(server) as peer:
        await peer.send_audio(spoken(WORDS))
        while peer.text != " ".join(WORDS):
            await peer.read()


async def test_audio_before_ready_is_heard() -> None:
    async with serving() as server, connected(server) as peer:
        await peer.socket.send('{"uid": "firefox"}')
        await peer.send_audio(spoken(WORDS))
        assert await peer.finish() == " ".join(WORDS)


async def test_the_text_stream_needs_no_options() -> None:
    async with serving() as server, connected(server, "/stream?format=s16") as peer:
        await peer.socket.send((spoken(WORDS) * 32767).astype("<i2").tobytes())
        await peer.socket.send("END_OF_AUDIO")
        messages = [message async for message in peer.socket]

    assert " ".join(str(message) for message in messages) == " ".join(WORDS)


async def test_an_unknown_stream_format_is_refused_at_the_handshake() -> None:
    async with serving() as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{server.port}/stream?format=mp3")

    assert refused.value.response.status_code == 400
    assert b"use f32 or s16" in refused.value.response.body


async def test_a_failed_decode_is_reported_and_the_session_goes_on() -> None:
    backend = ScriptedBackend(ScriptedBehaviour(hears_cut_words=False, fails=hears("poison")))
    async with serving(backend=backend) as server, session(server, summary=True) as peer:
        await peer.send_audio(spoken(["poison"], gap_s=1.5))
        await peer.send_audio(spoken(WORDS))
        text = await peer.finish()

    assert text == " ".join(WORDS)
    assert len(peer.statuses("WARNING")) == 1
    summary = peer.messages[-1]
    assert summary["gap"] > 0  # type: ignore[operator]


def get(server: WhisperStreamingServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}") as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_http_answers_health_status_and_a_hint() -> None:
    async with serving() as server, session(server) as peer:
        await peer.send_audio(spoken(["secret"]))
        health = await asyncio.to_thread(get, server, "/healthz")
        status, body = await asyncio.to_thread(get, server, "/status")
        hint = await asyncio.to_thread(get, server, "/somewhere")

    assert health == (200, "ok\n")
    assert status == 200
    assert json.loads(body)["current_clients"] == 1
    assert "secret" not in body
    assert hint[0] == 426
    assert "WebSocket" in hint[1]


async def test_stopping_flushes_the_last_words_to_every_client() -> None:
    async with serving() as server, session(server, summary=True) as peer:
        await peer.send_audio(UNFINISHED)
        await peer.read_until_shown("ten.")
        async with asyncio.TaskGroup() as tasks:
            closed = tasks.create_task(peer.read_to_close())
            tasks.create_task(server.stop())

    assert closed.result() == 1012
    assert peer.text == " ".join(WORDS)
    assert peer.messages[-1]["message"] == "SESSION_SUMMARY"


class StuckBackend(ScriptedBackend):
    """Can be made to stand still inside of a decode, however fast the machine is."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = threading.Event()
        self.may_go.set()

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        assert self.may_go.wait(TIMEOUT_S), "nobody let the decode go"
        return super().decode_batch(requests)


async def test_a_drain_that_takes_too_long_reports_what_is_lost() -> None:
    backend = StuckBackend()
    async with (
        serving(scripted_config(drain_timeout_s=0.2), backend) as server,
        session(server, summary=True) as peer,
        asyncio.TaskGroup() as tasks,
    ):
        backend.may_go.clear()
        await peer.send_audio(UNFINISHED)
        await until_decoding(server)
        closed = tasks.create_task(peer.read_to_close())
        tasks.create_task(server.stop())
        assert await closed == 1012
        backend.may_go.set()

    assert len(peer.statuses("WARNING")) == 1
    assert peer.messages[-1]["gap"] > 0  # type: ignore[operator]


async def test_a_drain_can_be_cut_short() -> None:
    backend = StuckBackend()
    async with (
        serving(scripted_config(drain_timeout_s=600), backend) as server,
        session(server) as peer,
        asyncio.TaskGroup() as tasks,
    ):
        backend.may_go.clear()
        await peer.send_audio(UNFINISHED)
        await until_decoding(server)
        closed = tasks.create_task(peer.read_to_close())
        draining = tasks.create_task(server.stop())
        await asyncio.sleep(0.05)
        assert not closed.done()
        tasks.create_task(server.stop(drain=False))
        assert await closed == 1012
        assert not draining.done(), "the decode was awaited"
        backend.may_go.set()


async def until_decoding(server: WhisperStreamingServer) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while server.client_manager.get_status()["scheduler"]["running"] == 0:  # type: ignore[index]
            await asyncio.sleep(0.01)


async def test_a_draining_server_is_unhealthy_and_takes_nobody() -> None:
    backend = StuckBackend()
    async with serving(backend=backend) as server:
        assert server.is_healthy
        async with session(server) as peer, asyncio.TaskGroup() as tasks:
            backend.may_go.clear()
            await peer.send_audio(UNFINISHED)
            await until_decoding(server)
            stopping = tasks.create_task(server.stop())
            await asyncio.sleep(0.05)
            assert not stopping.done()
            assert not server.is_healthy
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.port)
            backend.may_go.set()


def test_a_server_that_does_not_run_has_no_port_but_a_client_manager() -> None:
    server = WhisperStreamingServer()

    assert not server.is_healthy
    assert server.client_manager.get_status()["current_clients"] == 0
    with pytest.raises(SessionStateError):
        _ = server.port


async def test_a_server_serves_once() -> None:
    async with serving() as server:
        with pytest.raises(SessionStateError, match="started before"):
            await server.start()
        await server.stop()


class BrokenBackend(ScriptedBackend):
    def warm_up(self) -> None:
        raise ModelLoadError("broken weights")


async def test_a_failed_warm_up_opens_no_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    server = WhisperStreamingServer(
        scripted_config(), backend_factory=lambda settings: BrokenBackend()
    )

    with pytest.raises(ModelLoadError, match="broken weights"):
        await server.start("127.0.0.1", port)

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_taken_port_is_refused_before_the_model_is_loaded() -> None:
    def load(settings: BackendSettings) -> Backend:
        raise AssertionError("the model was loaded")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = WhisperStreamingServer(scripted_config(), backend_factory=load)
        with pytest.raises(ListenError, match=r"already in use.*--port 0"):
            await server.start("127.0.0.1", port)


@pytest.fixture
def server_process(repository: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The real program with the scripted backend, and its port."""
    process = subprocess.Popen(
        [
            sys.executable,
            "run_websocket_server.py",
            "--backend=scripted",
            "--port=0",
            "--set=vad.detector=energy",
            "--host=127.0.0.1",
        ],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on ws://127.0.0.1:"), line
        yield process, int(line.rpartition(":")[2])
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_every_client_then_exits_with_0(
    server_process: tuple[subprocess.Popen[str], int], number: signal.Signals
) -> None:
    process, port = server_process
    async with connect(f"ws://127.0.0.1:{port}") as socket, connect(f"ws://127.0.0.1:{port}") as b:
        peers = [Peer(socket), Peer(b)]
        for peer in peers:
            await peer.send_options()
            await peer.send_audio(UNFINISHED)
            await peer.read_until_shown("ten.")
        process.send_signal(number)
        assert [await peer.read_to_close() for peer in peers] == [1012, 1012]

    assert [peer.text for peer in peers] == [" ".join(WORDS)] * 2
    assert await asyncio.to_thread(process.wait, 60) == 0
