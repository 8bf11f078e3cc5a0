"""A server on a free port, and plain WebSocket clients that talk to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from whisper_streaming.backends.base import Backend
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig, VadSettings
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.server import WhisperStreamingServer

TIMEOUT_S = 20.0
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten."]


def scripted_config(**limits: float) -> ServerConfig:
    """Settings for the scripted backend, whose audio only the energy detector takes for speech."""
    return ServerConfig(
        host="127.0.0.1",
        port=0,
        backend=BackendSettings(kind="scripted"),
        vad=VadSettings(detector="energy"),
        limits=LimitSettings.model_validate({"calibration_s": 0, **limits}),
    )


@asynccontextmanager
async def serving(
    config: ServerConfig | None = None, backend: Backend | None = None
) -> AsyncIterator[WhisperStreamingServer]:
    """A running server with the scripted backend, in asyncio's debug mode."""
    asyncio.get_running_loop().set_debug(True)
    backend = backend or ScriptedBackend()
    server = WhisperStreamingServer(
        config or scripted_config(), backend_factory=lambda settings: backend
    )
    async with server.serving():
        yield server


class Peer:
    """One client. Every message it reads is kept in ``messages``."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.messages: list[dict[str, object]] = []

    async def read(self) -> dict[str, object]:
        """The next message."""
        async with asyncio.timeout(TIMEOUT_S):
            raw = await self.socket.recv()
        assert isinstance(raw, str)
        message: dict[str, object] = json.loads(raw)
        self.messages.append(message)
        return message

    async def send_options(self, **options: object) -> dict[str, object]:
        """Send the options and give the server's answer."""
        await self.socket.send(json.dumps({"uid": "peer", **options}))
        return await self.read()

    async def send_audio(self, samples: FloatArray, chunk_samples: int = 1600) -> None:
        for start in range(0, len(samples), chunk_samples):
            await self.socket.send(samples[start : start + chunk_samples].astype("<f4").tobytes())

    async def read_until_shown(self, word: str) -> None:
        """Read until ``word`` is in the transcript, final or not."""
        while word not in json.dumps((await self.read()).get("segments")):
            pass

    async def read_to_close(self) -> int:
        """Read all messages until the server closes; gives the close code."""
        try:
            while True:
                await self.read()
        except ConnectionClosed as closed:
            return 1006 if closed.rcvd is None else closed.rcvd.code

    async def finish(self) -> str:
        """Send END_OF_AUDIO and give the whole text; the server must close with 1000."""
        await self.socket.send(b"END_OF_AUDIO")
        assert await self.read_to_close() == 1000
        return self.text

    @property
    def text(self) -> str:
        """The completed segments, each once."""
        completed = {
            segment["start"]: segment["text"]
            for message in self.messages
            for segment in message.get("segments", ())  # type: ignore[attr-defined]
            if segment["completed"]
        }
        return "".join(completed[start] for start in sorted(completed, key=float)).strip()

    def statuses(self, status: str) -> list[dict[str, object]]:
        """The messages with this ``status``."""
        return [message for message in self.messages if message.get("status") == status]


@asynccontextmanager
async def connected(server: WhisperStreamingServer, path: str = "/") -> AsyncIterator[Peer]:
    """A client that is connected and has sent nothing."""
    async with connect(f"ws://127.0.0.1:{server.port}{path}", max_size=None) as socket:
        yield Peer(socket)


@asynccontextmanager
async def session(server: WhisperStreamingServer, **options: object) -> AsyncIterator[Peer]:
    """A client whose session was taken."""
    async with connected(server) as peer:
        answer = await peer.send_options(**options)
        assert answer.get("message") == "SERVER_READY", answer
        yield peer


@asynccontextmanager
async def undisturbed_neighbour(server: WhisperStreamingServer) -> AsyncIterator[None]:
    """A session that starts before and ends after the context, and must lose nothing."""
    async with session(server, uid="neighbour") as peer:
        await peer.send_audio(spoken(WORDS[:5]))
        yield
        await peer.send_audio(spoken(WORDS[5:]))
        assert await peer.finish() == " ".join(WORDS)


async def transcribe(
    server: WhisperStreamingServer, words: Sequence[str] = WORDS, **options: object
) -> str:
    """The text of a session in which ``words`` are spoken."""
    async with session(server, **options) as peer:
        await peer.send_audio(spoken(words))
        return await peer.finish()


def noise(duration_s: float, seed: int = 0) -> FloatArray:
    """Audio without words."""
    samples = np.random.default_rng(seed).normal(0, 0.05, round(duration_s * 16_000))
    return samples.astype(np.float32)
