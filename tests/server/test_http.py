"""Routes, without a network."""

import json

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from whisper_streaming.config import SegmentSettings
from whisper_streaming.server.http import Routes
from whisper_streaming.wire.text_stream import TextStreamCodec
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec


def routes(*, healthy: bool = True) -> Routes:
    return Routes(SegmentSettings(), lambda: healthy, lambda: {"current_clients": 3})


def ask(path: str, *, upgrade: bool = False, healthy: bool = True) -> Response | None:
    headers = Headers({"Upgrade": "WebSocket"} if upgrade else {})
    return routes(healthy=healthy).respond(Request(path, headers))


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


@pytest.mark.parametrize("path", ["/", "//["])
def test_a_browser_is_told_what_this_is(path: str) -> None:
    response = ask(path)

    assert response is not None
    assert response.status_code == 426
    assert response.headers["Upgrade"] == "websocket"
    assert b"WebSocket" in response.body


@pytest.mark.parametrize(
    "path",
    ["/", "/healthz", "/any/path?token=x", "/stream?format=s16", "/asr?target_language=-", "//[x"],
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
