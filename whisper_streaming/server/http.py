"""What the server's port answers before a WebSocket is opened: routes, health and status."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from whisper_streaming.config import SegmentSettings
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import UnsupportedAudio
from whisper_streaming.wire.base import ServerCodec
from whisper_streaming.wire.text_stream import TextStreamCodec
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec

HEALTH_PATH: Final = "/healthz"
STATUS_PATH: Final = "/status"
TEXT_STREAM_PATH: Final = "/stream"
ASR_PATH: Final = "/asr"

_PLAIN_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Routes:
    """Chooses the protocol by path and answers plain HTTP.

    Attributes:
        segment: When captions are completed.
        is_healthy: Whether new sessions would be served.
        get_status: What ``/status`` shows.
    """

    segment: SegmentSettings
    is_healthy: Callable[[], bool]
    get_status: Callable[[], Mapping[str, object]]

    def respond(self, request: Request) -> Response | None:
        """Answer a request that opens no WebSocket; None lets it open one."""
        # Not urlsplit, which takes "//x" for a host and fails at "//[".
        path = request.path.partition("?")[0]
        if not _wants_websocket(request):
            return self._respond_http(path)
        try:
            self.create_codec(request.path)
        except UnsupportedAudio as error:
            return _response(HTTPStatus.BAD_REQUEST, f"{error}\n")
        return None

    def create_codec(self, target: str) -> ServerCodec:
        """The codec of a connection to ``target``: a path with its query.

        Raises:
            UnsupportedAudio: If the query names an unknown audio format.
        """
        rules = SegmentRules(max_s=self.segment.segment_max_s, pause_s=self.segment.pause_s)
        path, _, query = target.partition("?")
        if path.rstrip("/") == TEXT_STREAM_PATH:
            fields = parse_qs(query, keep_blank_values=True)
            return TextStreamCodec(fields.get("format", ["f32"])[-1], rules)
        if path.rstrip("/") == ASR_PATH:
            return WhisperLiveKitCodec(query, rules)
        return WhisperLiveServerCodec(rules)

    def _respond_http(self, path: str) -> Response:
        match path:
            case "/healthz":
                if self.is_healthy():
                    return _response(HTTPStatus.OK, "ok\n")
                return _response(HTTPStatus.SERVICE_UNAVAILABLE, "unhealthy\n")
            case "/status":
                body = json.dumps(self.get_status(), indent=1) + "\n"
                return _response(HTTPStatus.OK, body, "application/json")
        response = _response(
            HTTPStatus.UPGRADE_REQUIRED,
            "This is a live transcription server. It speaks WebSocket: the WhisperLive protocol "
            f"on any path, WhisperLiveKit's on {ASR_PATH}, plain text on {TEXT_STREAM_PATH}. "
            f"For HTTP there are {HEALTH_PATH} and {STATUS_PATH}.\n",
        )
        response.headers["Upgrade"] = "websocket"
        return response


def _wants_websocket(request: Request) -> bool:
    return any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))


def _response(status: HTTPStatus, body: str, content_type: str = _PLAIN_TEXT) -> Response:
    encoded = body.encode()
    headers = Headers(
        {
            "Content-Type": content_type,
            "Content-Length": str(len(encoded)),
            "Connection": "close",
            "Cache-Control": "no-store",
        }
    )
    return Response(status.value, status.phrase, headers, encoded)
