"""Translations at a running server, over every protocol, with translators good and bad."""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from tests.server.peers import WORDS, Peer, connected, scripted_config, serving, session, transcribe
from tests.server.test_asr import finish as finish_asr
from tests.translation.fakes import UpperTranslator
from tests.translation.toy_models import build_opus
from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.client import AsyncTranscriptionClient
from whisper_streaming.config import RecordSettings, ServerConfig, TranslationSettings

TEXT = " ".join(WORDS)
GERMAN = ["ich", "höre", "Katzen."]


def translating(**settings: object) -> ServerConfig:
    """A server with these settings of ``translation``."""
    return scripted_config().model_copy(
        update={"translation": TranslationSettings.model_validate(settings)}
    )


def translations(peer: Peer) -> list[str]:
    """The texts of the last ``translated_segments`` message."""
    lists = [each["translated_segments"] for each in peer.messages if "translated_segments" in each]
    return [segment["text"] for segment in lists[-1]] if lists else []  # type: ignore[attr-defined]


def warnings(peer: Peer) -> list[object]:
    return [message["message"] for message in peer.statuses("WARNING")]


async def test_english_by_ear_needs_nothing_and_the_words_stay_as_they_are() -> None:
    """The scripted backend translates to capitals."""
    async with serving() as server:
        plain = await transcribe(server, language="de")
        async with session(
            server, language="de", enable_translation=True, target_language="en"
        ) as peer:
            await peer.send_audio(spoken(WORDS))
            text = await peer.finish()

    assert text == plain == TEXT
    assert translations(peer) == [TEXT.upper()]
    assert warnings(peer) == []


async def test_a_text_model_translates_what_was_heard(tmp_path: Path) -> None:
    folder = build_opus(tmp_path / "opus-mt-de-en")
    async with (
        serving(translating(models=[str(folder)], by_ear=False)) as server,
        session(server, language="de", enable_translation=True, target_language="en") as peer,
    ):
        await peer.send_audio(spoken(GERMAN))
        assert await peer.finish() == "ich höre Katzen."

    assert translations(peer) == ["I hear cats."]


@pytest.mark.parametrize("mode", ["full", "diff"])
async def test_lines_of_asr_get_their_translation(mode: str) -> None:
    path = f"/asr?language=de&target_language=en&mode={mode}"
    async with serving() as server, connected(server, path) as peer:
        state = await finish_asr(peer, spoken(WORDS))

    assert [line.get("translation") for line in state["lines"]] == [TEXT.upper()]
    assert state["buffer_translation"] == ""


async def test_our_client_gets_both() -> None:
    async with serving() as server:
        client = AsyncTranscriptionClient(
            "127.0.0.1", server.port, "de", target_language="en", realtime=False
        )
        result = await client.transcribe(spoken(WORDS))

    assert (result.text, result.translation) == (TEXT, TEXT.upper())
    assert result.complete


async def test_the_servers_target_is_for_those_who_can_show_it() -> None:
    async with serving(translating(target_language="en")) as server:
        # As WhisperLive's client does, and as one that knows of no translations.
        stock = {"enable_translation": False, "target_language": "fr"}
        peers = []
        for options in (stock, {}, {"summary": True, **stock}, {"summary": True}):
            async with session(server, language="de", **options) as peer:
                await peer.send_audio(spoken(WORDS))
                assert await peer.finish() == TEXT
                peers.append(peer)
        async with connected(server, "/asr?language=de") as peer:
            state = await finish_asr(peer, spoken(WORDS))

    assert [translations(each) for each in peers] == [[], [], [], [TEXT.upper()]]
    assert [line.get("translation") for line in state["lines"]] == [TEXT.upper()]


async def test_who_cannot_show_a_translation_hears_nothing_of_it(tmp_path: Path) -> None:
    """Not even that it is missing, where it is made for the record."""
    config = translating(target_language="fr", models=[named(Broken)])
    recording = config.model_copy(update={"record": RecordSettings(dir=str(tmp_path))})
    heard = []
    for each in (config, recording):
        async with serving(each) as server, connected(server, "/stream?language=de") as peer:
            await peer.send_audio(spoken(WORDS))
            await peer.socket.send("END_OF_AUDIO")
            heard.append([message async for message in peer.socket])

    assert heard == [[TEXT], [TEXT]]
    (journal,) = tmp_path.glob("*.jsonl")
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    assert [line["text"] for line in lines if line["type"] == "translation"] == [None]


async def test_a_page_is_told_what_it_can_ask_for(tmp_path: Path) -> None:
    folder = build_opus(tmp_path / "opus-mt-de-fr")
    async with serving(translating(models=[str(folder)])) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert json.loads(answer.partition(b"\r\n\r\n")[2])["target_languages"] == ["en", "fr"]


# --- refusals


async def test_a_target_that_cannot_be_had_is_refused_in_words() -> None:
    async with serving() as server, connected(server) as peer:
        answer = await peer.send_options(
            language="de", enable_translation=True, target_language="fr"
        )
        code = await peer.read_to_close()

    assert answer["status"] == "ERROR"
    assert answer["message"] == (
        "target_language 'fr': this server does not translate from 'de' to it; leave it out, "
        "or take en"
    )
    assert code == 1007


async def test_asr_refuses_a_target_that_cannot_be_had() -> None:
    path = "/asr?language=de&target_language=fr"
    async with serving() as server, connected(server, path) as peer:
        answer = await peer.read()
        with pytest.raises(ConnectionClosed) as closed:
            await peer.read()

    assert answer["type"] == "error"
    assert "'fr': this server does not translate from 'de' to it" in str(answer["error"])
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400


async def test_a_stock_client_that_only_names_a_language_is_not_refused() -> None:
    """WhisperLive's client always sends ``target_language``, and ``enable_translation`` false."""
    async with serving() as server:
        text = await transcribe(server, enable_translation=False, target_language="fr")

    assert text == TEXT


# --- translators that fail


class Broken(UpperTranslator):
    """Made by its name, as a program of the operator's is."""

    def __init__(self) -> None:
        super().__init__(("de", "fr"), fails=["e"])


class Hanging(UpperTranslator):
    def __init__(self) -> None:
        super().__init__(("de", "fr"), waits=True)


def named(translator: type[UpperTranslator]) -> str:
    return f"python:{__name__}:{translator.__name__}"


@pytest.mark.parametrize(
    ("translator", "reason"),
    [
        (Broken, "a part is not translated: the translator failed"),
        (Hanging, "a part is not translated: the translator did not answer in time"),
    ],
)
async def test_a_bad_translator_costs_its_translations_and_is_told_once(
    translator: type[UpperTranslator], reason: str
) -> None:
    config = translating(models=[named(translator)], timeout_s=0.2)
    async with serving(config) as server:
        async with session(
            server, language="de", enable_translation=True, target_language="fr"
        ) as peer:
            for words in (["one", "two."], ["three", "four."]):
                await peer.send_audio(spoken(words))
                await peer.send_audio(np.zeros(16_000, np.float32))
            text = await peer.finish()
        untouched = await transcribe(server, language="de")

    assert text == "one two. three four."
    assert untouched == TEXT
    assert translations(peer) == []
    assert warnings(peer) == [reason]


async def test_who_only_hears_that_a_translation_is_missing_keeps_its_lines() -> None:
    config = translating(models=[named(Broken)], timeout_s=0.2)
    path = "/asr?language=de&target_language=fr"
    async with serving(config) as server, connected(server, path) as peer:
        state = await finish_asr(peer, spoken(WORDS))

    client = LiveKitClient()
    for message in peer.messages[1:-1]:
        client.on_message(message)
    assert "".join(line["text"] for line in state["lines"]).split() == WORDS
    assert [each["warning"] for each in peer.messages if "warning" in each] == [
        "a part is not translated: the translator failed"
    ]
