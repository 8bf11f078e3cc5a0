"""Both clients behind one function, so that one test states what both do."""

import asyncio
from typing import Protocol

import numpy as np
import pytest

from tests.client.scripted_server import ScriptedServer
from whisper_streaming.client import (
    AsyncTranscriptionClient,
    TranscriptionClient,
    TranscriptionResult,
)
from whisper_streaming.client.base import ClientBase
from whisper_streaming.client.source import AudioInput
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray


class Transcribe(Protocol):
    """Runs one session against a server; ``settings`` are the constructor's."""

    def __call__(
        self, server: ScriptedServer, source: AudioInput, **settings: object
    ) -> TranscriptionResult: ...


class Push(Protocol):
    """Sends arrays one by one, then finishes."""

    def __call__(
        self, server: ScriptedServer, *arrays: FloatArray, sample_rate: int = SAMPLE_RATE
    ) -> TranscriptionResult: ...


@pytest.fixture(params=["blocking", "asyncio"])
def client_type(request: pytest.FixtureRequest) -> type[ClientBase]:
    return TranscriptionClient if request.param == "blocking" else AsyncTranscriptionClient


@pytest.fixture
def transcribe(client_type: type[ClientBase]) -> Transcribe:
    def run(server: ScriptedServer, source: AudioInput, **settings: object) -> TranscriptionResult:
        reading = {
            name: settings.pop(name)
            for name in ("sample_rate", "channels", "raw_format")
            if name in settings
        }
        client = client_type("127.0.0.1", server.port, **settings)  # type: ignore[arg-type]
        if isinstance(client, TranscriptionClient):
            return client(source, **reading)  # type: ignore[arg-type]
        assert isinstance(client, AsyncTranscriptionClient)
        return asyncio.run(client.transcribe(source, **reading))  # type: ignore[arg-type]

    return run


@pytest.fixture
def push(client_type: type[ClientBase]) -> Push:
    def run(
        server: ScriptedServer, *arrays: FloatArray, sample_rate: int = SAMPLE_RATE
    ) -> TranscriptionResult:
        client = client_type("127.0.0.1", server.port)
        if isinstance(client, TranscriptionClient):
            for array in arrays:
                client.send(array, sample_rate)
            return client.finish()

        async def main(client: AsyncTranscriptionClient) -> TranscriptionResult:
            async with client:
                for array in arrays:
                    await client.send(array, sample_rate)
                return await client.finish()

        assert isinstance(client, AsyncTranscriptionClient)
        return asyncio.run(main(client))

    return run


def noise(duration_s: float, seed: int = 0) -> FloatArray:
    """Samples that no two positions share: float32, mono, 16 kHz, in [-0.5, 0.5]."""
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(duration_s * SAMPLE_RATE))
    return samples.astype(np.float32)
