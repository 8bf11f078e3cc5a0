"""What the guide's names and options promise beyond its printed blocks, one test each."""

import inspect
import json
import re
from collections.abc import Sequence

import pytest

from tests.contract.command_lines import ROOT
from tests.server.peers import WORDS, connected, scripted_config, serving, session, transcribe
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.client import AsyncTranscriptionClient, TranscriptionClient
from whisper_streaming.config import ServerConfig, VadSettings
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Hypothesis
from whisper_streaming.server import ClientManager, WhisperStreamingServer

TEXT = " ".join(WORDS)


class ListeningBackend(ScriptedBackend):
    """Notes the options of every decode."""

    def __init__(self) -> None:
        super().__init__(models=("first", "second"))
        self.options: list[DecodeOptions] = []

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        self.options += [request.options for request in requests]
        return super().decode_batch(requests)

    @property
    def only_options(self) -> DecodeOptions:
        """The options that all decodes had."""
        (options,) = set(self.options)
        return options


@pytest.fixture
def backend() -> ListeningBackend:
    return ListeningBackend()


# --- options: what is absent takes the server's settings --------------------------------------


async def test_only_uid_is_required() -> None:
    async with serving() as server, connected(server) as peer:
        await peer.socket.send('{"uid": "mine"}')
        ready = await peer.read()
        await peer.send_audio(spoken(WORDS))
        assert await peer.finish() == TEXT

    assert (ready["uid"], ready["message"]) == ("mine", "SERVER_READY")


async def test_without_uid_the_answer_is_an_error_in_words() -> None:
    async with serving() as server, connected(server) as peer:
        await peer.socket.send('{"language": "en"}')
        answer = await peer.read()

    assert answer["status"] == "ERROR"
    assert "uid" in str(answer["message"])


async def test_absent_options_take_the_servers_settings(backend: ListeningBackend) -> None:
    config = scripted_config().model_copy(update={"language": "de", "task": "translate"})
    async with serving(config, backend) as server:
        assert await transcribe(server) == TEXT.upper()  # the scripted backend's translation

    options = backend.only_options
    assert (options.language, options.task, options.model) == ("de", "translate", "first")


async def test_given_options_override_the_servers_settings(backend: ListeningBackend) -> None:
    config = scripted_config().model_copy(update={"language": "de", "task": "translate"})
    wishes = {"language": "fr", "task": "transcribe", "model": "second"}
    async with serving(config, backend) as server:
        assert await transcribe(server, **wishes) == TEXT

    options = backend.only_options
    assert (options.language, options.task, options.model) == ("fr", "transcribe", "second")


async def test_language_null_means_detection() -> None:
    async with serving() as server, session(server, language=None) as peer:
        await peer.send_audio(spoken(WORDS, language="tr"))
        assert await peer.finish() == TEXT

    detected = [message for message in peer.messages if "language" in message]
    assert [message["language"] for message in detected] == ["tr"]


async def test_another_model_gets_the_first_one_and_a_notice(backend: ListeningBackend) -> None:
    async with serving(backend=backend) as server, connected(server) as peer:
        ready = await peer.send_options(model="small")
        await peer.send_audio(spoken(WORDS))
        assert await peer.finish() == TEXT

    assert ready["model"] == backend.only_options.model == "first"
    assert ready["notice"] == "The model 'small' is not loaded here; 'first' serves you."


# --- options: use_vad -------------------------------------------------------------------------


@pytest.mark.parametrize("enabled", [True, False])
async def test_absent_use_vad_takes_the_servers_setting(enabled: bool) -> None:
    vad = VadSettings(detector="energy", enabled=enabled)
    config = scripted_config().model_copy(update={"vad": vad})
    async with serving(config) as server, session(server, summary=True) as peer:
        await peer.send_audio(spoken(WORDS, gap_s=2.0))
        assert await peer.finish() == TEXT

    assert (peer.messages[-1]["silence"] == 0) is (not enabled)


async def test_without_vad_nothing_is_withheld_and_utterances_still_end() -> None:
    audio = spoken(WORDS[:3], gap_s=2.0)
    async with serving() as server, session(server, use_vad=False, summary=True) as peer:
        await peer.send_audio(audio)
        while "one" not in peer.text:  # completed by the pause, before any end of audio
            await peer.read()
        assert await peer.finish() == " ".join(WORDS[:3])

    assert peer.messages[-1]["decoded"] == len(audio)


# --- options: limits --------------------------------------------------------------------------


@pytest.mark.parametrize(("asked_s", "granted_s"), [(5, 5.0), (10_000, 120.0)])
async def test_max_connection_time_can_only_shorten(asked_s: float, granted_s: float) -> None:
    config = scripted_config(max_connection_time_s=120)
    async with serving(config) as server, session(server, max_connection_time=asked_s):
        rows = server.client_manager.get_status()["sessions"]

    assert isinstance(rows, list)
    (row,) = rows
    assert granted_s - 2 < row["time_left_s"] <= granted_s


@pytest.mark.parametrize("asked", [1, 100])
async def test_max_clients_of_a_client_is_ignored(asked: int) -> None:
    async with (
        serving() as server,
        session(server, max_clients=asked),
        session(server, max_clients=asked),
    ):
        status = server.client_manager.get_status()

    assert (status["current_clients"], status["max_clients"]) == (2, 4)


@pytest.mark.parametrize("option", ["same_output_threshold", "clip_audio"])
async def test_options_of_another_algorithm_are_accepted_and_documented(option: str) -> None:
    page = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    async with serving() as server:
        assert await transcribe(server, WORDS, **{option: 7}) == TEXT
        assert await transcribe(server, WORDS, **{option: True}) == TEXT

    (line,) = [line for line in page.splitlines() if f"`{option}`" in line]
    assert re.search(r"no effect|without effect|ignored", line), line


# --- names, order and defaults ----------------------------------------------------------------


def test_a_server_needs_no_arguments() -> None:
    server = WhisperStreamingServer()

    assert server.config == ServerConfig()
    assert (server.config.host, server.config.port) == ("localhost", 9090)
    assert list(inspect.signature(server.run).parameters)[:2] == ["host", "port"]


def test_a_client_manager_needs_no_arguments() -> None:
    manager = ClientManager()

    assert (manager.max_clients, manager.max_connection_time) == (4, 600.0)


@pytest.mark.parametrize("client_type", [TranscriptionClient, AsyncTranscriptionClient])
def test_a_client_needs_no_more_than_a_callback(
    client_type: type[TranscriptionClient | AsyncTranscriptionClient],
) -> None:
    def callback(text: str, segments: object) -> None:
        """Does nothing."""

    client = client_type(transcription_callback=callback)

    assert client.transcription_callback is callback
    assert (client.host, client.port) == ("localhost", 9090)
    assert (client.language, client.model, client.translate) == ("en", "small", False)


@pytest.mark.parametrize("client_type", [TranscriptionClient, AsyncTranscriptionClient])
def test_a_client_keeps_the_order_and_the_attributes(
    client_type: type[TranscriptionClient | AsyncTranscriptionClient],
) -> None:
    names = ["host", "port", "language", "model", "translate"]
    values = ("example.org", 9999, "tr", "medium", True)
    client = client_type(*values)

    assert list(inspect.signature(client_type).parameters)[:5] == names
    assert {name: vars(client)[name] for name in names} == dict(zip(names, values, strict=True))


# --- status -----------------------------------------------------------------------------------


def test_the_status_of_an_idle_manager_is_a_dict_of_numbers() -> None:
    status = ClientManager().get_status()

    assert status["current_clients"] == 0
    assert status["max_clients"] == 4
    assert status["estimated_wait_time_minutes"] == 0.0
    assert json.loads(json.dumps(status)) == status


async def test_the_status_of_a_full_server_says_how_long_to_wait() -> None:
    config = scripted_config(max_clients=1, max_connection_time_s=120)
    async with serving(config) as server, session(server):
        status = server.client_manager.get_status()

    minutes = status["estimated_wait_time_minutes"]
    assert isinstance(minutes, float)
    assert 1.9 < minutes <= 2.0
    assert (status["current_clients"], status["max_clients"]) == (1, 1)


async def test_the_client_manager_of_a_server_is_the_running_one() -> None:
    server = WhisperStreamingServer(
        scripted_config(), backend_factory=lambda settings: ScriptedBackend()
    )
    manager = server.client_manager
    async with server.serving():
        assert manager.current_clients == 0
        async with session(server):
            assert manager.current_clients == 1
        assert server.client_manager is manager
