"""The files for browsers, and how they are answered."""

import hashlib
from importlib import resources

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from whisper_streaming.server.pages import WebFile, read_pages

FILE = WebFile("text/css; charset=utf-8", b"body {}", '"abc"')


def ask(file: WebFile = FILE, *known: str) -> Response:
    headers = Headers()
    for tags in known:
        headers["If-None-Match"] = tags
    return file.respond(Request("/", headers))


def test_the_table_holds_every_file_for_browsers_as_it_is_in_the_package() -> None:
    folder = resources.files("whisper_streaming").joinpath("web")
    bodies = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

    pages = read_pages()

    assert pages["/"].body == bodies.pop("index.html")
    if "status.html" in bodies:
        assert pages["/status"].body == bodies.pop("status.html")
    assert {f"/web/{name}": body for name, body in bodies.items()} == {
        path: file.body for path, file in pages.items() if path.startswith("/web/")
    }
    assert pages["/"].etag == f'"{hashlib.sha256(pages["/"].body).hexdigest()[:32]}"'


def test_types_are_told() -> None:
    pages = read_pages()

    assert pages["/"].content_type == "text/html; charset=utf-8"
    assert pages["/web/icon.svg"].content_type == "image/svg+xml; charset=utf-8"
    assert {
        file.content_type for path, file in pages.items() if path.endswith((".js", ".css"))
    } <= {"text/javascript; charset=utf-8", "text/css; charset=utf-8"}


def test_a_file_is_answered_whole() -> None:
    response = ask()

    assert response.status_code == 200
    assert response.body == b"body {}"
    assert response.headers["Content-Type"] == "text/css; charset=utf-8"
    assert response.headers["Content-Length"] == "7"
    assert response.headers["ETag"] == '"abc"'
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "known", [('"abc"',), ('W/"abc"',), ('"x", "abc"',), ('"x"', '"abc"'), ("*",)]
)
def test_a_browser_that_has_the_file_is_told_so(known: tuple[str, ...]) -> None:
    response = ask(FILE, *known)

    assert response.status_code == 304
    assert response.body == b""
    assert response.headers["ETag"] == '"abc"'
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize("known", ['"x"', "abc", '"abcd"', ""])
def test_a_browser_that_has_another_version_gets_this_one(known: str) -> None:
    assert ask(FILE, known).status_code == 200


@pytest.mark.parametrize("known", [(), ('"abc"',)])
def test_browsers_are_told_what_a_page_may_do(known: tuple[str, ...]) -> None:
    headers = ask(FILE, *known).headers

    policy = headers["Content-Security-Policy"].split("; ")
    assert policy[0] == "default-src 'self'"
    assert {"object-src 'none'", "base-uri 'none'", "frame-ancestors 'self'"} < set(policy)
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Permissions-Policy"].startswith("microphone=(self), display-capture=(self)")
