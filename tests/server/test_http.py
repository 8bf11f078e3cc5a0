"""Routes, without a network."""

import json
from collections.abc import Mapping

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.config import AsrSettings, SegmentSettings
from whisper_streaming.core.events import UtteranceEnded, WordsCommitted
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.server.http import Routes
from whisper_streaming.server.pages import WebFile
from whisper_streaming.wire.base import Configure, Welcome
from whisper_streaming.wire.text_stream import TextStreamCodec
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec

PAGES = {
    path: WebFile("text/html; charset=utf-8", f"page {path}".encode(), '"1"')
    for path in ("/", "/status", "/web/style.css")
}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def routes(*, healthy: bool = True, pages: Mapping[str, WebFile] = PAGES) -> Routes:
    return Routes(
        SegmentSettings(), lambda: healthy, lambda: {"current_clients": 3}, {"model": "demo"}, pages
    )


def ask(path: str, *, upgrade: bool = False, healthy: bool = True) -> Response | None:
    headers = Headers({"Upgrade": "WebSocket"} if upgrade else {})
    return routes(healthy=healthy).respond(Request(path, headers))


def answer(
    path: str,
    *,
    method: str = "GET",
    accept: str | None = None,
    pages: Mapping[str, WebFile] = PAGES,
) -> Response:
    headers = Headers({} if accept is None else {"Accept": accept})
    response = routes(pages=pages).respond(Request(path, headers, method))
    assert response is not None
    return response


@pytest.mark.parametrize(("mode", "kept"), [("full", 7), ("diff", 4), ("full&language=en", 7)])
def test_the_settings_of_asr_hold_for_its_clients(mode: str, kept: int) -> None:
    asr = AsrSettings(pcm_input=False, retention_s=60.0, diff_retention_s=30.0, max_lines=7)
    codec = Routes(SegmentSettings(), lambda: True, dict, asr=asr).create_codec(f"/asr?mode={mode}")
    config, first = codec.welcome(Welcome("scripted", "demo"))
    client = LiveKitClient()
    client.on_message(json.loads(first))

    for number in range(20):
        at = 10.0 * number
        events = [WordsCommitted(number, (Word(" so", at, at + 5),)), UtteranceEnded(number, at)]
        for message in codec.encode(events):
            client.on_message(json.loads(message))

    assert json.loads(config)["useAudioWorklet"] is False
    assert len(client.state["lines"]) == kept


@pytest.mark.parametrize(("healthy", "status"), [(True, 200), (False, 503)])
def test_health_is_a_status_code(healthy: bool, status: int) -> None:
    response = ask("/healthz", healthy=healthy)

    assert response is not None
    assert response.status_code == status


def test_the_status_is_json() -> None:
    response = ask("/status?pretty")

    assert response is not None
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(response.body) == {"current_clients": 3}


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        pytest.param(None, False, id="none"),
        pytest.param("*/*", False, id="curl"),
        pytest.param("application/json", False, id="program"),
        pytest.param("text/*", False, id="any text"),
        pytest.param("text/html;q=0", False, id="not wanted"),
        pytest.param("text/html;q=x", False, id="no number"),
        pytest.param("application/json, text/html;q=0.9", False, id="JSON before HTML"),
        pytest.param("TEXT/HTML; Q=0.5", True, id="upper case"),
        pytest.param(BROWSER, True, id="browser"),
    ],
)
def test_the_status_is_a_page_for_those_who_ask_for_html(accept: str | None, is_page: bool) -> None:
    response = answer("/status", accept=accept)

    assert (response.body == b"page /status") is is_page
    assert (response.headers["Content-Type"] == "application/json") is not is_page
    assert response.headers["Vary"] == "Accept"


def test_the_info_is_json() -> None:
    response = answer("/info")

    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(response.body) == {"model": "demo"}
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/", "/?language=de", "/web/style.css"])
def test_pages_and_their_files_are_served(path: str) -> None:
    response = answer(path)

    assert response.status_code == 200
    assert response.body == f"page {path.partition('?')[0]}".encode()


@pytest.mark.parametrize(
    "path", ["/web/", "/web/secret.py", "/web/../pages.py", "/web/%2e%2e/pages.py", "/web//etc"]
)
def test_what_is_not_in_the_table_is_not_found(path: str) -> None:
    assert answer(path).status_code == 404


def test_without_pages_a_browser_gets_a_hint_and_the_status_as_json() -> None:
    assert answer("/", accept=BROWSER, pages={}).status_code == 426
    assert answer("/web/style.css", accept=BROWSER, pages={}).status_code == 426
    status = answer("/status", accept=BROWSER, pages={})
    assert json.loads(status.body) == {"current_clients": 3}


@pytest.mark.parametrize("path", ["/", "/status", "/info", "/healthz", "/elsewhere"])
def test_head_gives_the_headers_without_the_body(path: str) -> None:
    full, head = answer(path), answer(path, method="HEAD")

    assert head.status_code == full.status_code
    assert list(head.headers.raw_items()) == list(full.headers.raw_items())
    assert int(head.headers["Content-Length"]) == len(full.body) > 0
    assert head.body == b""


@pytest.mark.parametrize("path", ["/", "/status", "/elsewhere"])
def test_other_methods_are_refused(path: str) -> None:
    response = answer(path, method="DELETE")

    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/healthz", "/status", "/info", "/elsewhere"])
def test_no_browser_guesses_or_keeps_what_is_not_a_page(path: str) -> None:
    headers = answer(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/elsewhere", "//["])
def test_other_paths_tell_what_this_is(path: str) -> None:
    response = ask(path)

    assert response is not None
    assert response.status_code == 426
    assert response.headers["Upgrade"] == "websocket"
    assert b"WebSocket" in response.body


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/healthz",
        "/status",
        "/web/style.css",
        "/any/path?token=x",
        "/stream?format=s16",
        "/asr?target_language=-",
        "//[x",
    ],
)
def test_websockets_are_let_through(path: str) -> None:
    assert ask(path, upgrade=True) is None


def test_an_unknown_audio_format_is_refused() -> None:
    response = ask("/stream?format=mp3", upgrade=True)

    assert response is not None
    assert response.status_code == 400
    assert response.body == b"format 'mp3' is unknown: use f32 or s16\n"


@pytest.mark.parametrize(
    ("target", "codec"),
    [
        ("/stream", TextStreamCodec),
        ("/stream/?format=f32", TextStreamCodec),
        ("/", WhisperLiveServerCodec),
        ("/streams", WhisperLiveServerCodec),
        ("/asr", WhisperLiveKitCodec),
        ("/asr/?mode=diff", WhisperLiveKitCodec),
        ("/asr/x", WhisperLiveServerCodec),
    ],
)
def test_the_path_chooses_the_protocol(target: str, codec: type) -> None:
    assert type(routes().create_codec(target)) is codec


@pytest.mark.parametrize("path", ["/stream", "/asr"])
def test_the_query_says_what_the_session_is_like(path: str) -> None:
    codec = routes().create_codec(f"{path}?language=de%2Ctr&prompt=Dear+Ada&hotwords=Ma%C3%A7ka")
    (wishes,) = codec.open()

    assert isinstance(wishes, Configure)
    assert (wishes.language, wishes.detect_language) == ("de,tr", False)
    assert (wishes.prompt, wishes.hotwords) == ("Dear Ada", "Maçka")


def test_plain_text_is_not_translated() -> None:
    (wishes,) = routes().create_codec("/stream?language=auto&target_language=de;").open()

    assert isinstance(wishes, Configure)
    assert wishes.detect_language
    assert wishes.target_language is None
