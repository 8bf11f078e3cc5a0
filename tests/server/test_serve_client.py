"""One connection from its first message to its close, in virtual time."""

import asyncio
import json
import logging
from collections.abc import Sequence

import pytest

from tests.live.memory_socket import DirectDecoder, MemorySocket
from tests.live.virtual_time import run_virtual
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.config import LimitSettings, MediaSettings, ServerConfig
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.live.media_pool import MediaPool
from whisper_streaming.live.vad_thread import VadThread
from whisper_streaming.server import ClientManager, ServeClient
from whisper_streaming.server.serve_client import Service
from whisper_streaming.vad import Vad, VadStream, create_vad
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec

WORDS = ["one", "two", "three", "secret."]


class Bench:
    """A connection with its surroundings. Make it inside the event loop."""

    def __init__(
        self,
        *,
        max_clients: int = 4,
        deaf: bool = False,
        vad: Vad | None = None,
        models: tuple[str, ...] = ("scripted",),
        limits: LimitSettings | None = None,
    ) -> None:
        backend = ScriptedBackend(models=models)
        self.socket = MemorySocket(deaf=deaf)
        self.manager = ClientManager(max_clients, clock=asyncio.get_running_loop().time)
        self.decoder = DirectDecoder(backend)
        service = Service(
            config=ServerConfig(limits=limits or LimitSettings()),
            backend=backend.info,
            decoder=self.decoder,
            manager=self.manager,
            speech_vad=VadThread(vad or create_vad("energy")),
            media=MediaPool(MediaSettings()),
        )
        self.client = ServeClient(self.socket, WhisperLiveServerCodec(), service, label="/ peer")

    def send(self, *, samples: FloatArray | None = None, **options: object) -> None:
        """Put options, audio and the end of audio into the socket."""
        self.socket.put(json.dumps({"uid": "a", **options}))
        audio = spoken(WORDS) if samples is None else samples
        for start in range(0, len(audio), 1600):
            self.socket.put(audio[start : start + 1600].tobytes())
        self.socket.put(b"END_OF_AUDIO")

    @property
    def messages(self) -> list[dict[str, object]]:
        return [json.loads(message) for message in self.socket.sent]


def test_a_session_is_welcomed_served_and_closed() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.send(summary=True)
        await bench.client.run()

        assert bench.messages[0] == {
            "uid": "a",
            "message": "SERVER_READY",
            "backend": "faster_whisper",
            "engine": "scripted",
            "model": "scripted",
        }
        assert bench.messages[-1]["message"] == "SESSION_SUMMARY"
        assert bench.socket.closed == (1000, "")
        assert bench.manager.current_clients == 0

    run_virtual(scenario())


def test_a_client_chooses_a_loaded_model_and_is_told_when_it_gets_another() -> None:
    async def served(model: str) -> tuple[object, object, str | None]:
        bench = Bench(models=("first", "second"))
        bench.send(model=model)
        await bench.client.run()
        used = {request.options.model for request in bench.decoder.requests}
        assert used == {bench.messages[0]["model"]}
        return bench.messages[0]["model"], bench.messages[0].get("notice"), used.pop()

    assert run_virtual(served("second")) == ("second", None, "second")
    assert run_virtual(served("small")) == (
        "first",
        "The model 'small' is not loaded here; 'first' serves you.",
        "first",
    )


def test_a_full_server_says_how_long_to_wait() -> None:
    async def scenario() -> None:
        bench = Bench(max_clients=1)
        bench.manager.admit(90.0)
        bench.send()
        await bench.client.run()

        assert bench.messages == [{"uid": "a", "status": "WAIT", "message": 1.5}]
        assert bench.socket.closed == (1000, "")

    run_virtual(scenario())


def test_a_client_of_a_full_server_may_hang_up_first_but_not_stay() -> None:
    async def seconds_until_closed(*, hangs_up: bool) -> float:
        loop = asyncio.get_running_loop()
        bench = Bench(max_clients=1)
        bench.manager.admit(90.0)
        bench.send()
        if hangs_up:
            loop.call_later(0.5, bench.socket.vanish)
        began = loop.time()
        await bench.client.run()
        return loop.time() - began

    assert run_virtual(seconds_until_closed(hangs_up=False)) == pytest.approx(3.0)
    assert run_virtual(seconds_until_closed(hangs_up=True)) == pytest.approx(0.5)


def test_wishes_that_no_model_fulfils_give_the_place_back() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.send(language="xx")
        await bench.client.run()

        [error] = bench.messages
        assert error["status"] == "ERROR"
        assert bench.socket.closed is not None
        assert bench.socket.closed[0] == 1007
        assert bench.manager.current_clients == 0

    run_virtual(scenario())


def test_a_client_without_options_is_closed_after_a_while() -> None:
    async def scenario() -> None:
        bench = Bench(limits=LimitSettings(options_timeout_s=10.0))
        await bench.client.run()

        assert asyncio.get_running_loop().time() == pytest.approx(10.0)
        assert bench.socket.closed is not None
        assert bench.socket.closed[0] == 1007

    run_virtual(scenario())


class BrokenVad:
    """A detector with a fault."""

    def open_stream(self) -> "BrokenVad":
        return self

    def judge(self, streams: Sequence[VadStream]) -> list[FloatArray]:
        raise NotImplementedError

    def process(self, samples: FloatArray) -> FloatArray:
        raise NotImplementedError

    def push(self, samples: FloatArray) -> FloatArray:
        raise ZeroDivisionError("secret detail")


def test_a_fault_of_ours_ends_the_session_without_details(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        bench = Bench(vad=BrokenVad())
        bench.send()
        await bench.client.run()

        assert bench.messages[-1] == {"uid": "a", "status": "ERROR", "message": "internal error"}
        assert bench.socket.closed == (1011, "internal error")
        assert bench.manager.current_clients == 0

    run_virtual(scenario())
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None


def test_a_deaf_client_is_closed_without_another_message() -> None:
    async def scenario() -> None:
        bench = Bench(deaf=True, limits=LimitSettings(send_timeout_s=30.0))
        bench.send()
        await bench.client.run()

        assert asyncio.get_running_loop().time() == pytest.approx(30.0)
        assert bench.socket.closed is not None
        assert bench.socket.closed[0] == 1008

    run_virtual(scenario())


def test_a_client_that_leaves_before_its_options_leaves_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.socket.vanish()
        await bench.client.run()
        assert bench.messages == []

    with caplog.at_level(logging.INFO):
        run_virtual(scenario())
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_stopping_closes_a_connection_that_has_no_session() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bench.client.run())
            await asyncio.sleep(1.0)
            await bench.client.stop()
        assert bench.socket.closed == (1012, "the server stops")

    run_virtual(scenario())


def test_the_log_has_one_line_at_the_start_and_one_at_the_end_and_no_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.send()
        await bench.client.run()
        assert "secret" in str(bench.messages)

    with caplog.at_level(logging.INFO):
        run_virtual(scenario())

    opened, ended = [record.getMessage() for record in caplog.records]
    assert opened.startswith("[1 / peer] opened uid='a' model=scripted language=en")
    assert ended.startswith("[1 / peer] ended complete audio=1.6s")
    assert "secret" not in caplog.text


def test_the_status_shows_the_session_and_no_words() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.socket.put('{"uid": "a"}')
        bench.socket.put(spoken(WORDS).tobytes()[: 4 * 9600])
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(bench.client.run())
            await asyncio.sleep(1.0)
            [row] = bench.manager.get_status()["sessions"]  # type: ignore[misc]
            running.cancel()

        assert row["client"] == "/ peer"
        assert row["audio_s"] == 0.6
        assert row["age_s"] == pytest.approx(1.0)
        assert "one" not in json.dumps(row)

    run_virtual(scenario())
