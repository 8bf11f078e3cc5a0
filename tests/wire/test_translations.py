"""Translations on their way to clients of both protocols."""

import json
from collections.abc import Sequence

import pytest

from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    SessionEnded,
    SessionNotice,
    TranscriptRevised,
    TranslationCommitted,
    TranslationUpdated,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.wire.base import Welcome
from whisper_streaming.wire.text_stream import TextStreamCodec
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec
from whisper_streaming.wire.whisper_live_messages import (
    Translations,
    WireTranslation,
    parse_server_message,
)

ENDED = SessionEnded(AudioAccount(received=16_000, decoded=16_000, silence=0, gap=0))


def opened(*, enable_translation: bool | None = True, **options: object) -> WhisperLiveServerCodec:
    """Of a client that asks for translations, unless None says nothing of it."""
    wish = {} if enable_translation is None else {"enable_translation": enable_translation}
    codec = WhisperLiveServerCodec()
    codec.receive(json.dumps({"uid": "u", **wish, **options}))
    return codec


def said(number: int, text: str = " Guten| Tag.") -> list[Event]:
    """An utterance of two words in the two seconds from ``2 * number`` on: one segment."""
    start = 2.0 * number
    words = [Word(piece, start + n, start + n + 1) for n, piece in enumerate(text.split("|"))]
    return [WordsCommitted(number, tuple(words)), UtteranceEnded(number, start + 2)]


def translated(number: int, text: str | None = "Good day.") -> TranslationCommitted:
    return TranslationCommitted(2.0 * number, 2.0 * number + 2, text, "en")


def translations(messages: Sequence[str]) -> list[list[tuple[str, bool]]]:
    """Texts of each ``translated_segments`` message, and whether they are final."""
    fields = [json.loads(message) for message in messages]
    return [
        [(segment["text"], segment["completed"]) for segment in each["translated_segments"]]
        for each in fields
        if "translated_segments" in each
    ]


# --- WhisperLive


@pytest.mark.parametrize(
    ("options", "target"),
    [
        pytest.param({"target_language": "fr"}, None, id="named but not wanted, as stock clients"),
        pytest.param({"enable_translation": True, "target_language": "de"}, "de", id="wanted"),
        pytest.param({"enable_translation": True}, "fr", id="wanted without a name"),
        pytest.param({"enable_translation": True, "target_language": None}, "fr", id="null"),
    ],
)
def test_whisper_live_clients_ask_by_two_options(
    options: dict[str, object], target: str | None
) -> None:
    (wishes,) = WhisperLiveServerCodec().receive(json.dumps({"uid": "u", **options}))

    assert getattr(wishes, "target_language", "no options") == target


def test_a_stock_client_gets_translated_segments_as_its_own_server_sends_them() -> None:
    codec = opened()

    messages = codec.encode([*said(0), translated(0)])

    assert json.loads(messages[-1]) == {
        "uid": "u",
        "translated_segments": [
            {
                "start": "0.000",
                "end": "2.000",
                "text": "Good day.",
                "completed": True,
                "target_language": "en",
            }
        ],
    }
    assert "segments" in json.loads(messages[-2])


def test_each_final_translation_is_a_message_that_lists_the_newest() -> None:
    codec = opened(send_last_n_segments=2)

    messages = codec.encode([translated(n, f"line {n}") for n in range(3)])

    assert translations(messages) == [
        [("line 0", True)],
        [("line 0", True), ("line 1", True)],
        [("line 1", True), ("line 2", True)],
    ]


@pytest.mark.parametrize(
    ("enable_translation", "summary", "is_shown"),
    [
        pytest.param(None, False, False, id="who may know of none"),
        pytest.param(False, True, False, id="who says no"),
        pytest.param(None, True, True, id="our clients"),
    ],
)
def test_who_did_not_ask_gets_none_unless_it_can_show_them(
    enable_translation: bool | None, summary: bool, is_shown: bool
) -> None:
    codec = opened(enable_translation=enable_translation, summary=summary)

    assert translations(codec.encode([translated(0)])) == is_shown * [[("Good day.", True)]]


def test_only_our_clients_get_what_is_still_open() -> None:
    history: list[Event] = [
        TranslationUpdated(0.0, 1.0, "Good", "en"),
        TranslationUpdated(0.0, 1.0, "Good", "en"),
        translated(0),
        TranslationUpdated(2.0, 2.5, "And", "en"),
        TranslationUpdated(2.0, 2.5, "", "en"),
    ]

    assert translations(opened().encode(history)) == [[("Good day.", True)]]
    assert translations(opened(summary=True).encode(history)) == [
        [("Good", False)],
        [("Good day.", True)],
        [("Good day.", True), ("And", False)],
        [("Good day.", True)],
    ]


def test_a_translation_that_is_missing_takes_back_the_open_one_and_is_not_listed() -> None:
    stock, ours = opened(), opened(summary=True)
    opening = [TranslationUpdated(0.0, 1.0, "Good", "en")]
    ours.encode(opening)
    stock.encode(opening)

    assert translations(ours.encode([translated(0, None)])) == [[]]
    assert translations(stock.encode([translated(0, None)])) == []


def test_a_client_reads_what_the_server_wrote_and_what_a_stock_server_writes() -> None:
    ours = opened(numeric_times=True, summary=True).encode([translated(1)])
    stock = opened().encode([translated(1)])
    expected = Translations((WireTranslation(2.0, 4.0, "Good day.", True, "en"),))

    assert [parse_server_message(message) for message in ours] == [expected]
    assert [parse_server_message(message) for message in stock] == [expected]


def test_a_notice_is_a_warning_in_every_protocol() -> None:
    notice = SessionNotice("a translation is missing")
    live_kit = WhisperLiveKitCodec()
    live_kit.welcome(Welcome("scripted", "demo"))

    (warning,) = opened().encode([notice])
    (state,) = live_kit.encode([notice])

    assert json.loads(warning) == {"uid": "u", "status": "WARNING", "message": notice.text}
    assert json.loads(state)["warning"] == notice.text
    assert TextStreamCodec().encode([notice]) == [f"WARNING: {notice.text}"]


# --- WhisperLiveKit


def live_kit(query: str = "") -> tuple[WhisperLiveKitCodec, LiveKitClient]:
    codec, client = WhisperLiveKitCodec(query), LiveKitClient()
    for message in codec.welcome(Welcome("scripted", "demo")):
        client.on_message(json.loads(message))
    return codec, client


def tell(codec: WhisperLiveKitCodec, client: LiveKitClient, *events: Event) -> None:
    for message in codec.encode(events):
        client.on_message(json.loads(message))


def lines(client: LiveKitClient) -> list[tuple[str, str | None]]:
    return [(line["text"], line.get("translation")) for line in client.state["lines"]]


@pytest.mark.parametrize("query", ["", "mode=diff"])
def test_a_line_gets_its_translation_when_it_comes(query: str) -> None:
    codec, client = live_kit(query)

    tell(codec, client, *said(0), *said(1))
    assert lines(client) == [(" Guten Tag.", None), (" Guten Tag.", None)]

    tell(codec, client, translated(0, "Good day."))
    assert lines(client) == [(" Guten Tag.", "Good day."), (" Guten Tag.", None)]

    tell(codec, client, translated(1, "Hello."), ENDED)
    assert lines(client) == [(" Guten Tag.", "Good day."), (" Guten Tag.", "Hello.")]


def test_a_translation_of_several_lines_stands_at_the_last_of_them() -> None:
    codec, client = live_kit()

    tell(codec, client, *said(0, " Guten| Tag,"), *said(1), *said(2))
    tell(codec, client, TranslationCommitted(0.0, 4.0, "Good day, good day.", "en"))

    assert [translation for _, translation in lines(client)] == [None, "Good day, good day.", None]


def test_a_line_that_a_second_look_made_of_two_keeps_both_translations() -> None:
    codec, client = live_kit()
    tell(codec, client, *said(0), translated(0, "Good day."), *said(1), translated(1, "Hello."))
    assert [translation for _, translation in lines(client)] == ["Good day.", "Hello."]

    [again, _] = said(0, " Guten| Tag,| guten| Tag.")
    assert isinstance(again, WordsCommitted)
    tell(codec, client, TranscriptRevised((again.words,), "de"))

    assert lines(client) == [(" Guten Tag, guten Tag.", "Good day. Hello.")]


def test_a_translation_without_a_line_or_text_changes_no_line() -> None:
    codec, client = live_kit()
    tell(codec, client, *said(1))

    tell(codec, client, translated(0), translated(1, None), translated(2))

    assert lines(client) == [(" Guten Tag.", None)]


def test_the_open_translation_is_in_its_buffer_until_the_final_one_comes() -> None:
    codec, client = live_kit()

    tell(codec, client, TranslationUpdated(0.0, 1.0, "Good", "en"))
    assert client.state["buffer_translation"] == "Good"

    tell(codec, client, *said(0), translated(0))
    assert client.state["buffer_translation"] == ""


def test_the_url_of_asr_names_the_target() -> None:
    (wishes,) = WhisperLiveKitCodec("target_language=pt-BR").open()
    (none,) = WhisperLiveKitCodec("target_language=").open()

    assert getattr(wishes, "target_language", "no options") == "pt-BR"
    assert getattr(none, "target_language", "no options") is None
