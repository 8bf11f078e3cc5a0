"""Translations in both clients, the command line and files."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile

from tests.client.conftest import Transcribe, noise
from tests.client.scripted_server import Peer, running, segment, stock_segment
from whisper_streaming.client import (
    AsyncTranscriptionClient,
    TranscriptionClient,
    TranscriptionResult,
    TranslatedSegment,
)
from whisper_streaming.client.cli import main
from whisper_streaming.client.conversation import ClientSession, Patience, SessionOptions
from whisper_streaming.client.display import CallbackReport, LiveCaptions, PlainCaptions
from whisper_streaming.client.subtitles import to_json, to_jsonl, to_srt
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.errors import ConfigurationError


def translated(start: float, end: float, text: str, *, completed: bool = True) -> TranslatedSegment:
    return TranslatedSegment(
        start=start, end=end, text=text, completed=completed, target_language="en"
    )


async def translating(peer: Peer) -> None:
    """A session of two sentences; the second translation comes after the last word."""
    await peer.accept()
    await peer.hear()
    first, second = segment(0.0, 1.0, " Guten Tag."), segment(1.0, 2.0, " Danke.")
    await peer.segments(first)
    good, thanks = translated(0.0, 1.0, "Good day."), translated(1.0, 2.0, "Thank you.")
    await peer.say(translated_segments=[good])
    await peer.say(translated_segments=[good, translated(1.0, 1.5, "Tha", completed=False)])
    await peer.segments(first, second)
    await peer.say(translated_segments=[good, thanks])
    await peer.summarise()


def test_a_client_asks_for_a_language_and_gets_it_beside_the_words(transcribe: Transcribe) -> None:
    heard: list[tuple[str, list[bool]]] = []

    def listen(text: str, segments: list[TranslatedSegment]) -> None:
        heard.append((text, [each["completed"] for each in segments]))

    with running(translating) as server:
        result = transcribe(
            server, noise(0.2), language="de", target_language="en", translation_callback=listen
        )

    asked = server.peer.options
    assert (asked["enable_translation"], asked["target_language"]) == (True, "en")
    assert result.text == "Guten Tag. Danke."
    assert result.translation == "Good day. Thank you."
    assert result.translations == [
        translated(0.0, 1.0, "Good day."),
        translated(1.0, 2.0, "Thank you."),
    ]
    assert result.complete
    assert heard == [
        ("Good day.", [True]),
        ("Good day. Tha", [True, False]),
        ("Good day. Thank you.", [True, True]),
    ]


def test_who_asks_for_none_sends_what_was_always_sent(transcribe: Transcribe) -> None:
    with running(translating) as server:
        transcribe(server, noise(0.2))

    assert server.peer.options.keys().isdisjoint({"enable_translation", "target_language"})


def test_words_and_translations_have_callbacks_of_their_own(transcribe: Transcribe) -> None:
    texts: list[str] = []

    with running(translating) as server:
        transcribe(
            server,
            noise(0.2),
            target_language="en",
            transcription_callback=lambda text, segments: texts.append(text),
        )

    assert texts == ["Guten Tag.", "Guten Tag. Danke."]


@pytest.mark.parametrize("client", [TranscriptionClient, AsyncTranscriptionClient])
def test_a_callback_that_is_a_coroutine_is_refused(
    client: type[TranscriptionClient | AsyncTranscriptionClient],
) -> None:
    async def listen(text: str, segments: list[TranslatedSegment]) -> None: ...

    with pytest.raises(ConfigurationError, match="translation_callback is a plain function"):
        client(translation_callback=listen)


async def test_updates_of_a_session_have_the_translation() -> None:
    with running(translating) as server:
        client = AsyncTranscriptionClient("127.0.0.1", server.port, "de", target_language="en")
        async with client:
            await client.send(noise(0.2))
            result = await client.finish()
            updates = [update async for update in client]

    assert updates[-1].translations == result.translations


def session(**options: object) -> ClientSession:
    return ClientSession(
        SessionOptions(**options),  # type: ignore[arg-type]
        Patience(settle_s=10.0),
        clock=lambda: 0.0,
    )


def say(session: ClientSession, *translations: dict[str, object]) -> None:
    session.receive(json.dumps({"uid": "u", "translated_segments": translations}))


def test_each_translation_is_taken_once_however_often_it_is_listed() -> None:
    client = session(target_language="en")
    client.receive('{"uid": "u", "message": "SERVER_READY", "backend": "faster_whisper"}')
    lines = [stock_segment(n, n + 1, "No.") | {"target_language": "en"} for n in range(4)]

    say(client, lines[0])
    say(client, lines[0], lines[1])
    assert client.receive(json.dumps({"translated_segments": lines[:2]})) is None
    say(client, lines[2], lines[3])  # the server lists no more

    assert [each["start"] for each in client.result().translations] == [0, 1, 2, 3]


# --- what is shown and written


RESULT = TranscriptionResult(
    text="Guten Tag. Danke.",
    segments=[],
    complete=True,
    language="de",
    translations=[translated(0.0, 1.0, "Good day."), translated(1.0, 2.5, "Thank you.")],
)


def test_a_translation_is_written_like_a_transcript() -> None:
    english = RESULT.translated()

    assert (english.text, english.language, english.translations) == (
        "Good day. Thank you.", "en", [],
    )  # fmt: skip
    assert to_srt(english).splitlines() == [
        "1", "00:00:00,000 --> 00:00:01,000", "Good day.", "",
        "2", "00:00:01,000 --> 00:00:02,500", "Thank you.",
    ]  # fmt: skip


def test_json_has_the_translations_where_there_are_any() -> None:
    fields = json.loads(to_json(RESULT))
    lines = [json.loads(line) for line in to_jsonl(RESULT).splitlines()]

    assert fields["translations"] == RESULT.translations
    assert "translations" not in json.loads(to_json(RESULT.translated()))
    assert [line for line in lines if line["type"] == "translation"] == [
        {"type": "translation", **each} for each in RESULT.translations
    ]


def shown(display: PlainCaptions | LiveCaptions, *states: Sequence[TranslatedSegment]) -> None:
    for state in states:
        display.translate("text", list(state))


def test_the_terminal_shows_each_final_translation_once(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = RESULT.translations

    shown(PlainCaptions(), [], [one], [one, translated(1, 2, "Tha", completed=False)], [one, two])

    assert capsys.readouterr().out == "  [en] Good day.\n  [en] Thank you.\n"


def test_a_callback_report_prints_what_the_callback_gets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    CallbackReport().translate("Good day.", RESULT.translations[:1])

    assert capsys.readouterr().out == "Translated: Good day.\n"


def test_the_command_line_writes_both_languages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    english, german, recording = (tmp_path / name for name in ("en.srt", "de.txt", "a.wav"))
    soundfile.write(recording, noise(0.2), SAMPLE_RATE)

    with running(translating) as server:
        status = main(
            [
                *("--host", "127.0.0.1", "--port", str(server.port), "--language", "de"),
                *("--target-language", "en", "--output-translation", str(english)),
                *("--output-txt", str(german), "--audio-file", str(recording)),
            ]
        )

    assert status == 0
    assert german.read_text().splitlines() == ["Guten Tag.", "Danke."]
    assert english.read_text().splitlines()[2] == "Good day."
    assert capsys.readouterr().out.splitlines() == [
        "Guten Tag.", "  [en] Good day.", "Danke.", "  [en] Thank you.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--output-translation", "a.srt"], "needs a --target-language"),
        (
            ["--target-language", "en", "--output-translation", "a.pdf"],
            "must end in one of .srt, .vtt",
        ),
        (
            ["--target-language", "en", "--output-translation", "no/folder/a.srt"],
            "there is no such folder",
        ),
    ],
)
def test_a_wrong_flag_is_told_before_anything_is_heard(
    flags: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags) == 2
    assert reason in capsys.readouterr().err
