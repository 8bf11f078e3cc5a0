"""A server with a certificate, and clients that check it, over real sockets."""

import asyncio
import http.client
import json
import re
import shlex
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.client import connect

from tests.server.peers import TIMEOUT_S, WORDS, Peer, scripted_config, serving
from whisper_streaming.backends.base import Backend
from whisper_streaming.backends.scripted import spoken
from whisper_streaming.client import AsyncTranscriptionClient, TranscriptionClient
from whisper_streaming.config import BackendSettings, ServerConfig, TlsSettings
from whisper_streaming.errors import CertificateError, ConnectionLost
from whisper_streaming.local_server import local_server
from whisper_streaming.server import WhisperStreamingServer
from whisper_streaming.server.cli import main
from whisper_streaming.server.listen import network_addresses


@dataclass(frozen=True)
class Files:
    certificate: Path
    key: Path
    authority: Path

    def trust(self) -> ssl.SSLContext:
        """How a client checks it."""
        return ssl.create_default_context(cafile=str(self.authority))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A certificate for ``localhost``, and who vouches for it."""
    folder = tmp_path_factory.mktemp("tls")
    files = Files(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    files.certificate.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
    files.key.write_bytes(issued.private_key_pem.bytes())
    files.authority.write_bytes(authority.cert_pem.bytes())
    return files


def encrypted_config(files: Files) -> ServerConfig:
    tls = TlsSettings(certfile=str(files.certificate), keyfile=str(files.key))
    return scripted_config().model_copy(update={"tls": tls})


@asynccontextmanager
async def serving_encrypted(files: Files) -> AsyncIterator[WhisperStreamingServer]:
    async with serving(encrypted_config(files)) as server:
        yield server


def get(files: Files, server: WhisperStreamingServer, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection(
        "localhost", server.port, timeout=10, context=files.trust()
    )
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


async def test_the_blocking_client_transcribes_encrypted(files: Files) -> None:
    async with serving_encrypted(files) as server:
        client = TranscriptionClient(
            url=f"wss://localhost:{server.port}", ca_file=str(files.authority), realtime=False
        )
        result = await asyncio.to_thread(client, spoken(WORDS))

    assert result.text == " ".join(WORDS)


async def test_the_asyncio_client_transcribes_encrypted(files: Files) -> None:
    async with serving_encrypted(files) as server:
        client = AsyncTranscriptionClient(
            "localhost", server.port, ca_file=str(files.authority), realtime=False
        )
        result = await client.transcribe(spoken(WORDS))

    assert result.text == " ".join(WORDS)


async def test_the_other_protocols_are_encrypted_too(files: Files) -> None:
    async with serving_encrypted(files) as server:
        url = f"wss://localhost:{server.port}"
        async with (
            asyncio.timeout(TIMEOUT_S),
            connect(f"{url}/asr", ssl=files.trust()) as asr,
            connect(f"{url}/stream", ssl=files.trust()) as stream,
        ):
            config = json.loads(await asr.recv())
            await stream.send(spoken(WORDS).tobytes())
            await stream.send("END_OF_AUDIO")
            text = [str(message).strip() async for message in stream]

    assert config["type"] == "config"
    assert " ".join(text) == " ".join(WORDS)


async def test_pages_and_status_are_encrypted_too(files: Files) -> None:
    async with serving_encrypted(files) as server:
        page = await asyncio.to_thread(get, files, server, "/")
        status = await asyncio.to_thread(get, files, server, "/status")

    assert page[0] == 200
    assert page[1].startswith(b"<!doctype html>")
    assert json.loads(status[1])["is_healthy"] is True


async def test_a_client_without_encryption_is_not_served_and_harms_nobody(files: Files) -> None:
    async with serving_encrypted(files) as server:
        with pytest.raises(ConnectionLost, match="certificate is reached at wss://"):
            await asyncio.to_thread(TranscriptionClient(port=server.port), spoken(WORDS))
        with pytest.raises(ConnectionLost, match="certificate is reached at wss://"):
            await AsyncTranscriptionClient(port=server.port).transcribe(spoken(WORDS))
        status = await asyncio.to_thread(get, files, server, "/healthz")

    assert status == (200, b"ok\n")


async def test_an_encrypted_session_gets_its_last_words_when_the_server_stops(files: Files) -> None:
    async with (
        serving_encrypted(files) as server,
        connect(f"wss://localhost:{server.port}", ssl=files.trust()) as socket,
    ):
        peer = Peer(socket)
        await peer.send_options()
        await peer.send_audio(spoken(WORDS))
        await peer.read_until_shown("ten.")
        async with asyncio.TaskGroup() as tasks:
            closed = tasks.create_task(peer.read_to_close())
            tasks.create_task(server.stop())

    assert closed.result() == 1012
    assert peer.text == " ".join(WORDS)


async def test_a_bad_certificate_is_refused_before_model_and_port(files: Files) -> None:
    def load(settings: BackendSettings) -> Backend:
        raise AssertionError("the model was loaded")

    config = encrypted_config(files).model_copy(
        update={"tls": TlsSettings(certfile=str(files.certificate.with_name("none.pem")))}
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = WhisperStreamingServer(config, backend_factory=load)
        # Of two faults the certificate's is told: it was looked at before the port.
        with pytest.raises(CertificateError, match=r"none\.pem"):
            await server.start("127.0.0.1", taken.getsockname()[1])


def test_a_server_for_ones_own_use_needs_no_certificate(files: Files) -> None:
    with local_server(encrypted_config(files)) as port:
        client = TranscriptionClient("127.0.0.1", port, realtime=False)
        assert client(spoken(WORDS)).text == " ".join(WORDS)


@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (["--ssl-certfile", "none.pem"], 1, "cannot read none.pem (--ssl-certfile)"),
        (["--ssl-keyfile", "key.pem"], 2, "a key needs a certificate (--ssl-certfile)"),
    ],
)
def test_the_command_says_what_is_wrong(
    argv: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--backend", "scripted", *argv]) == status
    assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("is_encrypted", [True, False])
def test_the_command_prints_where_the_page_is(
    files: Files, repository: Path, is_encrypted: bool
) -> None:
    tls = [f"--ssl-certfile={files.certificate}", f"--ssl-keyfile={files.key}"]
    command = [
        *(sys.executable, "run_websocket_server.py", "--backend=scripted", "--port=0"),
        *("--set=vad.detector=energy", "--host=0.0.0.0", *(tls if is_encrypted else [])),
    ]
    with subprocess.Popen(
        command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = list(takewhile(lambda line: not line.startswith("engine "), process.stdout))
        finally:
            process.terminate()

    listening = re.fullmatch(r"listening on (\w+)://0\.0\.0\.0:(\d+)\n", lines[0])
    assert listening is not None, lines
    assert listening[1] == ("wss" if is_encrypted else "ws")
    scheme, port = "https" if is_encrypted else "http", listening[2]
    note = "" if is_encrypted else " (no microphone there without --ssl-certfile)"
    assert lines[1:] == [
        f"captions page {scheme}://localhost:{port}/\n",
        *(
            f"in the network {scheme}://{each}:{port}/{note}\n"
            for each in network_addresses("0.0.0.0")
        ),
    ]


@pytest.mark.requires_openssl
async def test_the_certificate_of_the_documentation_works(
    openssl: str, repository: Path, tmp_path: Path
) -> None:
    page = (repository / "docs" / "tls.md").read_text(encoding="utf-8")
    block = re.search(r"```bash\n(openssl req .*?)```", page, re.DOTALL)
    assert block is not None
    arguments = shlex.split(block[1].replace("\\\n", ""))[1:]

    subprocess.run([openssl, *arguments], cwd=tmp_path, check=True, capture_output=True)

    # Signed by itself: it is its own authority.
    files = Files(tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "cert.pem")
    strict = files.trust()
    strict.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python does from 3.13 on
    async with serving_encrypted(files) as server:
        async with connect(f"wss://localhost:{server.port}", ssl=strict) as socket:
            assert (await Peer(socket).send_options())["message"] == "SERVER_READY"
        # The address that the page shows, and that a reader replaces.
        strict.check_hostname = False
        async with connect(f"wss://localhost:{server.port}", ssl=strict) as socket:
            names = socket.transport.get_extra_info("peercert")["subjectAltName"]
    assert ("IP Address", "192.168.1.23") in names
