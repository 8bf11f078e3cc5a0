"""A second look at sessions of the real server, with a backend that hears what is written."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.live_kit.programs import run, said, scripted_engine
from tests.server.peers import TIMEOUT_S, WORDS, connected, scripted_config, serving, session
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.client import AsyncTranscriptionClient
from whisper_streaming.config import (
    PolicySettings,
    RecordSettings,
    SecondPassSettings,
    ServerConfig,
    TextHookSettings,
)
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, Word
from whisper_streaming.errors import DecodeError
from whisper_streaming.live_kit import AudioProcessor
from whisper_streaming.server import WhisperStreamingServer

SAID = ["first", "second."]


class LooksTwice(ScriptedBackend):
    """Hears in capitals what it is given a second time."""

    def __init__(self, *, fails: bool = False, is_deaf: bool = False) -> None:
        super().__init__()
        self.background: list[DecodeRequest] = []
        self.fails = fails
        self.is_deaf = is_deaf

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        heard = super().decode_batch(requests)
        for index, request in enumerate(requests):
            if request.is_background:
                self.background.append(request)
                if self.fails:
                    raise DecodeError("the second look fails")
                heard[index] = _in_capitals(heard[index])
                if self.is_deaf:
                    heard[index] = replace(heard[index], words=())
        return heard


def _in_capitals(hypothesis: Hypothesis) -> Hypothesis:
    words = tuple(Word(word.text.upper(), word.start, word.end) for word in hypothesis.words)
    return replace(hypothesis, words=words)


def _config(**settings: object) -> ServerConfig:
    second_pass = SecondPassSettings.model_validate({"enabled": True, **settings})
    return scripted_config().model_copy(update={"second_pass": second_pass})


def _stats(server: WhisperStreamingServer) -> Mapping[str, int]:
    section = server.client_manager.get_status()["second_pass"]
    assert isinstance(section, dict)
    return section


async def _talk(server: WhisperStreamingServer, **options: object) -> list[dict[str, object]]:
    """All messages of a session; the text of what was said live is checked."""
    async with session(server, numeric_times=True, summary=True, **options) as peer:
        await peer.send_audio(spoken(SAID, gap_s=2.0))
        assert await peer.finish() == " ".join(SAID)
    return peer.messages


async def test_the_end_of_a_session_brings_one_revision() -> None:
    backend = LooksTwice()
    async with serving(_config(), backend) as server:
        messages = await _talk(server, word_timestamps=True)
        assert _stats(server) == {"running": 0, "done": 1, "failed": 0}

    kinds = [key for message in messages for key in message if key in ("revision", "message")]
    assert kinds == ["message", "revision", "message"]  # ready, the revision, the summary
    [revision] = [message["revision"] for message in messages if "revision" in message]
    assert isinstance(revision, dict)
    assert revision["language"] == "en"
    segments = revision["segments"]
    assert [segment["text"] for segment in segments] == [" FIRST", " SECOND."]
    assert [segment["completed"] for segment in segments] == [True, True]
    assert segments[1]["start"] == pytest.approx(2.4, abs=0.05)
    assert [word["word"] for word in segments[1]["words"]] == [" SECOND."]
    assert {request.beam_size for request in backend.background} == {5}


async def test_our_client_gives_both_transcripts() -> None:
    audio = spoken(SAID, gap_s=2.0)
    async with serving(_config(), LooksTwice()) as server:
        client = AsyncTranscriptionClient("127.0.0.1", server.port, realtime=False)
        result = await client.transcribe(audio)

    assert result.text == "first second."
    assert result.complete
    assert result.revision is not None
    assert result.best.text == "FIRST SECOND."
    assert result.best.complete


async def test_a_client_that_would_not_understand_it_does_not_wait_for_it(tmp_path: Path) -> None:
    records = RecordSettings(dir=str(tmp_path / "records"))
    for config, looks in [(_config(), 0), (_config().model_copy(update={"record": records}), 1)]:
        async with serving(config, LooksTwice()) as server:
            async with session(server) as peer:
                await peer.send_audio(spoken(SAID))
                assert await peer.finish() == " ".join(SAID)
            assert _stats(server) == {"running": 0, "done": looks, "failed": 0}
        assert not [message for message in peer.messages if "revision" in message]

    [record] = (tmp_path / "records").glob("*.srt")
    assert "FIRST SECOND." in record.read_text()


async def test_the_lines_of_a_state_are_replaced() -> None:
    audio = said(SAID) + bytes(2 * SAMPLE_RATE)
    async with scripted_engine(LooksTwice(), _config()) as engine:
        for mode in ("full", "diff"):
            states = await run(AudioProcessor(transcription_engine=engine, mode=mode), audio)
            lines = [line.text for line in states[-1].lines if line.text]
            assert "".join(lines) == " FIRST SECOND."
            assert any(" first" in str(state.to_dict()) for state in states[:-1])


async def test_the_text_hook_sees_the_second_look_too() -> None:
    hook = TextHookSettings(name="tests.text_hook.hooks:redact", timeout_s=30.0)
    config = _config().model_copy(update={"text_hook": hook})
    async with serving(config) as server:
        client = AsyncTranscriptionClient("127.0.0.1", server.port, realtime=False)
        result = await client.transcribe(spoken(["the", "secret", "word"]))

    assert result.best.text == result.text == "the ***"


async def test_a_second_look_holds_no_place() -> None:
    class Slow(LooksTwice):
        def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
            if requests[0].is_background:
                assert asyncio.run_coroutine_threadsafe(_next_client(), loop).result(TIMEOUT_S)
            return super().decode_batch(requests)

    async def _next_client() -> bool:
        async with connected(server) as peer:
            answer = await peer.send_options()
            await peer.socket.close()
            return answer.get("message") == "SERVER_READY"

    loop = asyncio.get_running_loop()
    config = _config()
    limits = config.limits.model_copy(update={"max_clients": 1})
    async with serving(config.model_copy(update={"limits": limits}), Slow()) as server:
        await _talk(server)
        assert _stats(server)["done"] == 1


@pytest.mark.parametrize(
    ("settings", "backend", "reason"),
    [
        ({"max_audio_s": 1.0}, LooksTwice(), "it is longer than 0.000277778 hours"),
        ({}, LooksTwice(fails=True), "the transcription model failed"),
        ({}, LooksTwice(is_deaf=True), "it heard nothing"),
        ({"timeout_s": 0.000001}, LooksTwice(), "it took longer than 1e-06 s"),
    ],
)
async def test_a_second_look_that_fails_takes_nothing_away(
    settings: dict[str, object],
    backend: LooksTwice,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        async with serving(_config(**settings), backend) as server:
            messages = await _talk(server)
            assert _stats(server) == {"running": 0, "done": 0, "failed": 1}

    assert not [message for message in messages if "revision" in message]
    [notice] = [str(each["message"]) for each in messages if each.get("status") == "WARNING"]
    assert notice.startswith("there is no second look at this session: ")
    assert reason in notice
    assert "no second look at the session" in caplog.text


async def test_a_server_without_a_place_for_files_serves_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    async with serving(_config(), LooksTwice()) as server:
        messages = await _talk(server)

    [notice] = [str(each["message"]) for each in messages if each.get("status") == "WARNING"]
    assert notice == "there is no second look at this session: the audio could not be kept"


async def test_what_there_was_no_room_for_is_heard_in_a_second_piece() -> None:
    class Cramped(LooksTwice):
        def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
            cramped = [
                replace(request, max_new_tokens=4) if request.is_background else request
                for request in requests
            ]
            return super().decode_batch(cramped)

    backend = Cramped()
    words = [f"w{number}" for number in range(6)]
    async with serving(_config(), backend) as server:
        result = await AsyncTranscriptionClient(
            "127.0.0.1", server.port, realtime=False
        ).transcribe(spoken(words))

    assert result.text == " ".join(words)
    assert result.best.text == result.text.upper()
    assert [request.end_sample for request in backend.background] == [
        backend.background[0].end_sample
    ] * 2


@pytest.mark.parametrize("is_per_utterance", [True, False])
async def test_utterances_in_several_languages_stay_what_they_are(is_per_utterance: bool) -> None:
    backend = LooksTwice()
    policy = PolicySettings(language_lock="utterance" if is_per_utterance else "session")
    config = _config().model_copy(update={"policy": policy})
    turkish, german = "bir iki üç dört beş altı yedi", "eins zwei drei vier fünf sechs sieben"
    pause = np.zeros(2 * SAMPLE_RATE, np.float32)
    said_in = spoken(turkish.split(), language="tr"), spoken(german.split(), language="de")
    audio = np.concatenate([said_in[0], pause, said_in[1]])
    async with serving(config, backend) as server:
        client = AsyncTranscriptionClient(
            "127.0.0.1", server.port, language="tr,de,en", realtime=False
        )
        result = await client.transcribe(audio)

    assert result.text == f"{turkish} {german}"
    assert result.best.text == result.text.upper()
    asked = {(each.options.language, each.options.candidates) for each in backend.background}
    if is_per_utterance:
        assert asked == {(None, ("tr", "de"))}
        assert len(backend.background) == 2  # each by itself
    else:
        assert {language for language, _ in asked} == {"tr"}


async def test_a_server_that_stops_does_not_wait_for_a_second_look() -> None:
    begun, loop = asyncio.Event(), asyncio.get_running_loop()

    class Waiting(LooksTwice):
        def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
            if requests[0].is_background:
                loop.call_soon_threadsafe(begun.set)
            return super().decode_batch(requests)

    async with serving(_config(), Waiting()) as server:
        async with session(server, summary=True) as peer:
            await peer.send_audio(spoken(WORDS))
            await peer.socket.send(b"END_OF_AUDIO")
            await begun.wait()
            server._expect_running().stopping.set()
            async with asyncio.timeout(TIMEOUT_S):
                await peer.read_to_close()
        assert peer.text == " ".join(WORDS)
