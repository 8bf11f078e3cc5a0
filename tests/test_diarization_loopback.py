"""Speaker labels on their way from the real server to real clients."""

import asyncio

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
from tests.server.test_asr import finish
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.client import TranscriptionClient
from whisper_streaming.client.subtitles import to_srt, to_vtt
from whisper_streaming.config import DiarizationSettings, ServerConfig


def labelling(**settings: object) -> ServerConfig:
    """With one speaker at the most, so that the scripted backend's signals have one voice."""
    diarization = DiarizationSettings.model_validate(
        {"enabled": True, "max_speakers": 1, "hold_s": TIMEOUT_S, **settings}
    )
    return scripted_config().model_copy(update={"diarization": diarization})


def speakers(peer: Peer) -> set[object]:
    return {
        segment.get("speaker")
        for message in peer.messages
        for segment in message.get("segments", ())  # type: ignore[attr-defined]
        if segment["completed"]
    }


async def test_segments_say_who_speaks() -> None:
    async with serving(labelling()) as server:
        async with session(server) as peer:
            await peer.send_audio(spoken(WORDS))
            assert await peer.finish() == " ".join(WORDS)
        status = server.client_manager.get_status()["diarization"]

    assert speakers(peer) == {"SPEAKER_00"}
    assert isinstance(status, dict)
    assert (status["engine"], status["failures"]) == ("embedded", 0)
    assert status["stretches"] > 0


async def test_lines_of_asr_say_who_speaks() -> None:
    async with serving(labelling()) as server, connected(server, "/asr?language=en") as peer:
        state = await finish(peer, spoken(WORDS))

    assert {line["speaker"] for line in state["lines"]} == {1}
    assert "".join(line["text"] for line in state["lines"]).split() == WORDS


async def test_subtitles_of_our_client_name_the_speaker() -> None:
    async with serving(labelling()) as server:
        client = TranscriptionClient("127.0.0.1", server.port, realtime=False)
        result = await asyncio.to_thread(client, spoken(WORDS))

    assert {segment.get("speaker") for segment in result.segments} == {"SPEAKER_00"}
    assert "\nSPEAKER_00: " in to_srt(result)
    assert "<v SPEAKER_00>" in to_vtt(result)


async def test_without_diarization_nobody_is_named_and_nothing_is_computed() -> None:
    async with serving() as server:
        async with session(server) as peer:
            await peer.send_audio(spoken(WORDS))
            await peer.finish()
        assert "diarization" not in server.client_manager.get_status()

    assert speakers(peer) == {None}


async def test_a_client_that_wants_speakers_learns_that_there_are_none() -> None:
    async with serving() as server, connected(server) as peer:
        ready = await peer.send_options(enable_diarization=True)

    assert "does not tell who speaks" in str(ready["notice"])


async def test_labels_change_no_words() -> None:
    async with serving(labelling(max_speakers=8)) as server:
        assert await transcribe(server, enable_diarization=True) == " ".join(WORDS)
