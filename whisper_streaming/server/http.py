"""What the server's port answers before a WebSocket is opened: routes, health, status, pages."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from whisper_streaming.config import AsrSettings, SegmentSettings
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import UnsupportedAudio
from whisper_streaming.live.session_setup import retention, segment_rules
from whisper_streaming.server.pages import WebFile
from whisper_streaming.wire.base import ServerCodec
from whisper_streaming.wire.text_stream import TextStreamCodec
from whisper_streaming.wire.whisper_live import WhisperLiveServerCodec
from whisper_streaming.wire.whisper_live_kit import WhisperLiveKitCodec
from whisper_streaming.wire.whisper_live_kit_messages import parse_query

HEALTH_PATH: Final = "/healthz"
STATUS_PATH: Final = "/status"
INFO_PATH: Final = "/info"
TEXT_STREAM_PATH: Final = "/stream"
ASR_PATH: Final = "/asr"

_FILES_PATH: Final = "/web/"
_METHODS: Final = ("GET", "HEAD")
_PLAIN_TEXT: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Routes:
    """Chooses the protocol by path and answers plain HTTP.

    Attributes:
        segment: When captions are completed.
        is_healthy: Whether new sessions would be served.
        get_status: What ``/status`` shows.
        info: What ``/info`` shows.
        pages: Files for browsers by path; empty if there are none for them.
        asr: What is special to WhisperLiveKit's protocol.
    """

    segment: SegmentSettings
    is_healthy: Callable[[], bool]
    get_status: Callable[[], Mapping[str, object]]
    info: Mapping[str, object] = field(default_factory=dict)
    pages: Mapping[str, WebFile] = field(default_factory=dict)
    asr: AsrSettings = field(default_factory=AsrSettings)

    def respond(self, request: Request) -> Response | None:
        """Answer a request that opens no WebSocket; None lets it open one."""
        # Not urlsplit, which takes "//x" for a host and fails at "//[".
        path = request.path.partition("?")[0]
        if not _wants_websocket(request):
            return self._respond_http(path, request)
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
        rules = segment_rules(self.segment)
        path, _, query = target.partition("?")
        if path.rstrip("/") == TEXT_STREAM_PATH:
            fields = parse_qs(query, keep_blank_values=True)
            # Plain text has no place for a translation, nor for a second look.
            wishes = replace(parse_query(query), target_language=None).wishes()
            wishes = replace(wishes, takes_translation=False, takes_revision=False)
            return TextStreamCodec(fields.get("format", ["f32"])[-1], rules, wishes=wishes)
        if path.rstrip("/") == ASR_PATH:
            return self._create_asr_codec(query, rules)
        return WhisperLiveServerCodec(rules)

    def _create_asr_codec(self, query: str, rules: SegmentRules) -> WhisperLiveKitCodec:
        return WhisperLiveKitCodec(
            query,
            rules,
            retention=retention(self.asr, for_diffs=parse_query(query).wants_diffs),
            pcm_input=self.asr.pcm_input,
        )

    def _respond_http(self, path: str, request: Request) -> Response:
        if request.method not in _METHODS:
            response = _response(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are known.\n")
            response.headers["Allow"] = ", ".join(_METHODS)
            return response
        response = self._get(path, request)
        if request.method == "HEAD":
            response.body = b""  # the headers stay as they are: RFC 9110, section 9.3.2
        return response

    def _get(self, path: str, request: Request) -> Response:
        match path:
            case "/healthz":
                if self.is_healthy():
                    return _response(HTTPStatus.OK, "ok\n")
                return _response(HTTPStatus.SERVICE_UNAVAILABLE, "unhealthy\n")
            case "/status":
                return self._get_status(request)
            case "/info":
                response = _json_response(self.info)
                # Pages of others and the browser extension may open sessions, so they may know
                # which languages to offer.
                response.headers["Access-Control-Allow-Origin"] = "*"
                return response
        file = self.pages.get(path)
        if file is not None:
            return file.respond(request)
        if self.pages and path.startswith(_FILES_PATH):
            return _response(HTTPStatus.NOT_FOUND, "There is no such file.\n")
        return _hint()

    def _get_status(self, request: Request) -> Response:
        page = self.pages.get(STATUS_PATH)
        if page is not None and _prefers_html(request):
            response = page.respond(request)
        else:
            response = _json_response(self.get_status())
        response.headers["Vary"] = "Accept"
        return response


def _wants_websocket(request: Request) -> bool:
    return any("websocket" in value.lower() for value in request.headers.get_all("Upgrade"))


def _prefers_html(request: Request) -> bool:
    """Whether a browser shows the answer to a person: such requests name HTML before JSON."""
    accepted = ",".join(request.headers.get_all("Accept"))
    qualities = dict(_quality(part) for part in accepted.split(","))
    html = qualities.get("text/html", 0.0)
    return html > 0 and html >= qualities.get(_JSON, 0.0)


def _quality(media_range: str) -> tuple[str, float]:
    """A media range and how welcome it is, 0 to 1: RFC 9110, section 12.5.1."""
    name, *parameters = (part.strip() for part in media_range.lower().split(";"))
    weights = (value for key, _, value in (p.partition("=") for p in parameters) if key == "q")
    try:
        return name, float(next(weights, "1"))
    except ValueError:
        return name, 0.0


def _hint() -> Response:
    response = _response(
        HTTPStatus.UPGRADE_REQUIRED,
        "This is a live transcription server. It speaks WebSocket: the WhisperLive protocol "
        f"on any path, WhisperLiveKit's on {ASR_PATH}, plain text on {TEXT_STREAM_PATH}. "
        f"For HTTP there are {HEALTH_PATH}, {STATUS_PATH} and {INFO_PATH}.\n",
    )
    response.headers["Upgrade"] = "websocket"
    return response


def _json_response(content: Mapping[str, object]) -> Response:
    return _response(HTTPStatus.OK, json.dumps(content, indent=1) + "\n", _JSON)


def _response(status: HTTPStatus, body: str, content_type: str = _PLAIN_TEXT) -> Response:
    encoded = body.encode()
    headers = Headers(
        {
            "Content-Type": content_type,
            "Content-Length": str(len(encoded)),
            "Connection": "close",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    return Response(status.value, status.phrase, headers, encoded)
