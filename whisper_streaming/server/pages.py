"""The pages that browsers get, and their files: a fixed table, read from the package."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources
from pathlib import PurePath
from typing import Final

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

_PAGES: Final = {"index.html": "/", "status.html": "/status"}
"""Where pages are; all other files are at ``/web/NAME``."""

_CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".png": "image/png",
    ".json": "application/json",
}

_CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        # This port and nothing else. In browsers of today 'self' means its WebSockets, too.
        "default-src 'self'",
        # A chosen recording is played from the page's own memory.
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)

_HEADERS: Final = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), display-capture=(self), geolocation=()",
    # Kept, but asked for each time: a page of an earlier version must not meet a newer server.
    "Cache-Control": "no-cache",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file for browsers.

    Attributes:
        content_type: With the character set of text.
        body: Its bytes.
        etag: Changes with them; quoted, as in the header.
    """

    content_type: str
    body: bytes
    etag: str

    def respond(self, request: Request) -> Response:
        """The file, or 304 if the browser has it."""
        headers = Headers({**_HEADERS, "ETag": self.etag})
        if _has_version(request, self.etag):
            status = HTTPStatus.NOT_MODIFIED
            return Response(status.value, status.phrase, headers)
        headers["Content-Type"] = self.content_type
        headers["Content-Length"] = str(len(self.body))
        return Response(HTTPStatus.OK.value, HTTPStatus.OK.phrase, headers, self.body)


def read_pages() -> Mapping[str, WebFile]:
    """All files of the package that are for browsers, by path: ``/``, ``/web/style.css``, ..."""
    return dict(_read_files())


def _read_files() -> Iterator[tuple[str, WebFile]]:
    for file in resources.files("whisper_streaming").joinpath("web").iterdir():
        content_type = _CONTENT_TYPES.get(PurePath(file.name).suffix)
        if content_type is not None and file.is_file():
            body = file.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            yield _PAGES.get(file.name, f"/web/{file.name}"), WebFile(content_type, body, etag)


def _has_version(request: Request, etag: str) -> bool:
    """Whether the browser says that it has the file as it is: RFC 9110, section 13.1.2."""
    known = ",".join(request.headers.get_all("If-None-Match"))
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in known.split(","))
