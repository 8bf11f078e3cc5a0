"""What programs around the library do, and an engine that hears what is written in the audio."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np

from tests.server.peers import scripted_config
from whisper_streaming.backends.base import Backend
from whisper_streaming.backends.scripted import ScriptedBackend, spoken
from whisper_streaming.config import ServerConfig
from whisper_streaming.live_kit import AudioProcessor, FrontData, TranscriptionEngine

TIMEOUT_S = 20.0
PIECE_BYTES = 3201  # each second piece begins within a sample


def scripted_engine(
    backend: Backend | None = None, config: ServerConfig | None = None, **options: object
) -> TranscriptionEngine:
    """An engine without a model."""
    made = backend or ScriptedBackend()
    config = config or scripted_config()
    return TranscriptionEngine(config, backend_factory=lambda settings: made, **options)


def said(words: Sequence[str], language: str | None = None) -> bytes:
    """Raw samples in which the engine hears ``words``."""
    return raw(spoken(words, language=language))


def raw(samples: np.ndarray) -> bytes:  # type: ignore[type-arg]
    return np.round(samples * 32767).astype("<i2").tobytes()


async def send(processor: AudioProcessor, audio: bytes, piece_bytes: int = PIECE_BYTES) -> None:
    """Give the processor all of ``audio`` as fast as it takes it."""
    for begin in range(0, len(audio), piece_bytes):
        await processor.process_audio(audio[begin : begin + piece_bytes])


async def read(results: AsyncIterator[FrontData]) -> list[FrontData]:
    """All states to the end."""
    async with asyncio.timeout(TIMEOUT_S):
        return [state async for state in results]


async def run(processor: AudioProcessor, audio: bytes) -> list[FrontData]:
    """One session as a program has it: one task sends, another reads."""
    results = await processor.create_tasks()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(results))
        await send(processor, audio)
        await processor.process_audio(b"")
    await processor.cleanup()
    return reading.result()


def text_of(state: FrontData) -> str:
    """What a state shows, final or not."""
    return "".join(line.text or "" for line in state.lines) + state.buffer_transcription
