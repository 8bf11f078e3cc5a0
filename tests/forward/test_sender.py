"""One attempt over a real connection, and what its answer means."""

import asyncio
import ssl

import pytest
import trustme
from pydantic import SecretStr

from tests.forward.builders import post
from tests.forward.receiver import (
    Behaviour,
    Receiver,
    break_off_after_the_status,
    hang_up,
    is_signed,
    receiving,
    status,
    when,
)
from whisper_streaming.config import ForwardSettings
from whisper_streaming.forward.payload import render
from whisper_streaming.forward.sender import Answer, HttpSender, Result
from whisper_streaming.forward.target import read_target


async def send(url: str, times: int = 1, **settings: object) -> list[Answer]:
    """The answers to one post, sent ``times`` times."""
    chosen = ForwardSettings.model_validate({"url": url, **settings})
    target = read_target(chosen)
    assert target is not None
    sender = HttpSender(target, chosen, wall_clock=lambda: 1_790_000_000.9)
    try:
        return [await sender.send(post("Hello.")) for _ in range(times)]
    finally:
        await sender.close()


async def test_a_post_carries_its_body_and_its_id() -> None:
    async with receiving() as receiver:
        (answer,) = await send(f"{receiver.url}?room=7")

    (request,) = receiver.requests
    assert answer == Answer(Result.ACCEPTED)
    assert request.path == "/captions?room=7"
    assert request.body == render(post("Hello."), "json", 128)
    assert request.headers["content-type"] == "application/json"
    assert request.id == "s1.1-1"
    assert not [name for name in request.headers if name.startswith("x-whisper")]


async def test_a_signature_can_be_checked_and_covers_time_and_body() -> None:
    async with receiving() as receiver:
        await send(receiver.url, secret="key")

    (request,) = receiver.requests
    assert request.headers["x-whisper-streaming-timestamp"] == "1790000000"
    assert is_signed(request, "key")
    assert not is_signed(request, "another key")
    request.headers["x-whisper-streaming-timestamp"] = "1790000001"
    assert not is_signed(request, "key")


async def test_name_and_password_of_the_url_are_sent() -> None:
    async with receiving() as receiver:
        await send(receiver.url.replace("http://", "http://caption:p%40ss@"))

    assert receiver.requests[0].headers["authorization"] == "Basic Y2FwdGlvbjpwQHNz"


@pytest.mark.parametrize(
    ("behaviour", "answer"),
    [
        (status(204, body=b""), Answer(Result.ACCEPTED)),
        (break_off_after_the_status, Answer(Result.ACCEPTED)),
        (status(500), Answer(Result.FAILED, "status 500")),
        (status(503, "Retry-After: 7\r\n"), Answer(Result.FAILED, "status 503", 7.0)),
        (status(429, "Retry-After: soon\r\n"), Answer(Result.FAILED, "status 429")),
        (status(404), Answer(Result.REFUSED, "status 404")),
        (
            status(307, "Location: /elsewhere\r\n"),
            Answer(Result.REFUSED, "status 307, and redirects are not followed"),
        ),
    ],
)
async def test_what_a_status_means(behaviour: Behaviour, answer: Answer) -> None:
    async with receiving(behaviour) as receiver:
        assert await send(receiver.url) == [answer]

    assert len(receiver.requests) == 1


async def test_a_connection_is_used_again_after_short_answers_only() -> None:
    peers = []

    class Noting(Receiver):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peers.append(writer.get_extra_info("peername"))
            await super()._serve(reader, writer)

    receiver = Noting(status(200), status(500), status(200, body=b"x" * 1_000_000))
    await receiver.start()
    await send(receiver.url, times=4)
    await receiver.stop()

    assert len(receiver.requests) == 4
    assert len(peers) == 2


async def test_a_service_that_hangs_fails_after_the_time_out() -> None:
    async with receiving(when(asyncio.Event())) as receiver:
        assert await send(receiver.url, timeout_s=0.2) == [
            Answer(Result.FAILED, "no answer in 0.2 s")
        ]


async def test_a_service_that_dribbles_fails_after_the_time_out() -> None:
    async def dribble(writer: asyncio.StreamWriter) -> bool:
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with receiving(dribble) as receiver:
        (answer,) = await send(receiver.url, timeout_s=0.3)

    assert answer.result is Result.FAILED


async def test_a_service_that_hangs_up_or_is_not_there_fails() -> None:
    async with receiving(hang_up) as receiver:
        (hung_up,) = await send(receiver.url)
    (refused,) = await send(receiver.url)

    assert hung_up.result is refused.result is Result.FAILED
    assert "Error" in hung_up.detail
    assert "Error" in refused.detail


async def test_https_is_for_services_whose_certificate_is_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    path = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    receiver = Receiver()
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/captions"

    (unknown,) = await send(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    (known,) = await send(url, secret=SecretStr("key"))
    server.close()
    await server.wait_closed()

    assert unknown.result is Result.FAILED
    assert "certificate" in unknown.detail.lower()
    assert known == Answer(Result.ACCEPTED)
    assert is_signed(receiver.accepted[0], "key")
