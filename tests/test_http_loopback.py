"""Plain HTTP beside WebSocket on the real server's port, over real sockets."""

import asyncio
import http.client
import json
from dataclasses import dataclass, field
from importlib import resources

import pytest

from tests.server.peers import WORDS, scripted_config, serving, session, transcribe
from whisper_streaming.server import WhisperStreamingServer
from whisper_streaming.version import __version__


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


async def ask(
    server: WhisperStreamingServer, path: str, method: str = "GET", **headers: str
) -> Answer:
    def exchange() -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()

    return await asyncio.to_thread(exchange)


async def test_the_page_and_its_files_come_from_the_port_that_transcribes() -> None:
    web = resources.files("whisper_streaming").joinpath("web")
    async with serving() as server:
        page = await ask(server, "/")
        icon = await ask(server, "/web/icon.svg")
        text = await transcribe(server)

    assert text == " ".join(WORDS)
    assert (page.status, page.body) == (200, web.joinpath("index.html").read_bytes())
    assert (icon.status, icon.body) == (200, web.joinpath("icon.svg").read_bytes())
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Server" not in page.headers


async def test_a_page_that_the_browser_has_is_not_sent_again() -> None:
    async with serving() as server:
        page = await ask(server, "/")
        again = await ask(server, "/", **{"If-None-Match": page.headers["ETag"]})
        head = await ask(server, "/", "HEAD")

    assert (again.status, again.body) == (304, b"")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(page.body))


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/web/../__init__.py", "GET", 404),
        ("/web/%2e%2e/__init__.py", "GET", 404),
        ("/web/pages.py", "GET", 404),
        ("/", "OPTIONS", 405),
        ("/somewhere", "GET", 426),
    ],
)
async def test_nothing_else_is_given(path: str, method: str, status: int) -> None:
    async with serving() as server:
        answer = await ask(server, path, method)

    assert answer.status == status
    assert b"import" not in answer.body


async def test_the_info_tells_of_the_default_model() -> None:
    async with serving() as server:
        answer = await ask(server, "/info")

    info = json.loads(answer.body)
    assert (info["version"], info["model"]) == (__version__, "scripted")


async def test_pages_can_be_switched_off() -> None:
    async with serving(scripted_config().model_copy(update={"pages": False})) as server:
        page = await ask(server, "/")
        text = await transcribe(server)

    assert page.status == 426
    assert text == " ".join(WORDS)


async def test_the_status_has_the_numbers_of_the_page() -> None:
    async with serving() as server:
        before = json.loads((await ask(server, "/status")).body)
        await transcribe(server)
        after = json.loads((await ask(server, "/status")).body)

    assert before["final_words"] == {"words": 0, "p50_s": None, "p95_s": None}
    assert after["final_words"]["words"] == len(WORDS)
    assert 0 < after["final_words"]["p50_s"] <= after["final_words"]["p95_s"]
    assert after["workers"] == 1
    assert after["busy_clients"] == 0
    assert after["scheduler"]["started"] > before["scheduler"]["started"]
    assert after["scheduler"]["queue_wait_s"] >= before["scheduler"]["queue_wait_s"]
    assert after["process"]["cpu_s"] > 0
    assert after["event_loop"]["stall_recent_s"] <= after["event_loop"]["stall_max_s"]


async def test_the_status_is_a_page_for_browsers_and_json_for_programs() -> None:
    async with serving() as server:
        page = await ask(server, "/status", Accept="text/html,*/*;q=0.8")
        status = await ask(server, "/status", Accept="*/*")

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<title>Server status</title>" in page.body
    assert json.loads(status.body)["current_clients"] == 0


async def test_the_status_does_not_tell_what_a_client_calls_itself() -> None:
    async with serving() as server, session(server, uid="somebodys-name"):
        status = await ask(server, "/status")

    assert json.loads(status.body)["current_clients"] == 1
    assert b"somebodys-name" not in status.body
