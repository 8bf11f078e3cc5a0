"""The examples of docs/forwarding.md do what the page says."""

import asyncio
import json
import re
import sys
import time
from pathlib import Path

from pydantic import SecretStr

from tests.contract.markdown import Block, read_page
from tests.contract.workshop import free_port
from tests.forward.builders import post
from tests.server.peers import scripted_config, serving, transcribe
from whisper_streaming.config import ForwardSettings
from whisper_streaming.forward.payload import render
from whisper_streaming.forward.sender import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    sign,
)

TIMEOUT_S = 30.0


def blocks(repository: Path, heading: str, language: str) -> list[Block]:
    page = read_page((repository / "docs" / "forwarding.md").read_text(encoding="utf-8"))
    return [b for b in page.blocks if b.heading == heading and b.language == language]


async def test_the_receiver_prints_what_is_said(repository: Path) -> None:
    (block,) = blocks(repository, "A receiver", "python")
    port = free_port()
    program = block.text.replace("8000", str(port))
    assert program != block.text
    receiver = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    forward = ForwardSettings(
        url=SecretStr(f"http://localhost:{port}/captions"), flush_timeout_s=30
    )
    try:
        # It may start after the server: posts are tried again.
        async with serving(scripted_config().model_copy(update={"forward": forward})) as server:
            await transcribe(server, ["hello", "there."])
        assert receiver.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            line = (await receiver.stdout.readline()).decode()
    finally:
        receiver.kill()
        await receiver.communicate()

    assert re.fullmatch(r"0\.\d+ hello there\.\n", line)


def test_the_printed_post_has_the_keys_of_a_real_one(repository: Path) -> None:
    (block,) = blocks(repository, "What is posted", "json")
    printed, real = json.loads(block.text), json.loads(render(post("a", "b", first=7), "json", 1))

    assert list(printed) == list(real)
    assert list(printed["session"]) == list(real["session"])
    assert [list(each) for each in printed["segments"]] == [list(e) for e in real["segments"]]
    assert printed["id"].removeprefix(printed["session"]["id"]) == ".7-8"
    assert real["id"] == "s1.7-8"


def test_the_printed_prompt_is_a_real_one(repository: Path) -> None:
    (block,) = blocks(repository, "A language model", "json")
    said = post("The budget is the same as last year.", "Are there any questions?")

    assert json.loads(block.text) == json.loads(render(said, "llama_completion", 128))


def test_the_printed_check_knows_genuine_posts(repository: Path) -> None:
    (block,) = blocks(repository, "Signatures", "python")
    names: dict[str, object] = {}
    exec(block.text, names)
    is_genuine = names["is_genuine"]
    assert callable(is_genuine)
    now, body = str(int(time.time())), b'{"id": 1}'
    headers = {TIMESTAMP_HEADER: now, SIGNATURE_HEADER: sign("key", now, body)}
    old = str(int(time.time()) - 3600)
    replayed = {TIMESTAMP_HEADER: old, SIGNATURE_HEADER: sign("key", old, body)}

    assert is_genuine(headers, body, "key") is True
    assert is_genuine(headers, body, "another") is False
    assert is_genuine(headers, body + b" ", "key") is False
    assert is_genuine({**headers, TIMESTAMP_HEADER: old}, body, "key") is False
    assert is_genuine(replayed, body, "key") is False


def test_the_page_names_the_headers_that_are_sent(repository: Path) -> None:
    page = (repository / "docs" / "forwarding.md").read_text(encoding="utf-8")

    assert [
        name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if name not in page
    ] == []
