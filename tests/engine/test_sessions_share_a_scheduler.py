"""Many sessions over one scheduler hear what each would hear alone, which is all that was said."""

import asyncio

import numpy as np
import pytest

from whisper_streaming.backends.scripted import ScriptedBackend, hear, spoken
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import SessionEnded, WordsCommitted
from whisper_streaming.core.hypothesis import DecodeOptions
from whisper_streaming.core.session import Session, SessionConfig
from whisper_streaming.engine.base import Decoder
from whisper_streaming.engine.scheduler import Scheduler
from whisper_streaming.vad.energy import EnergyVad

CHUNK_SAMPLES = 1_600


def speech_of(number: int) -> FloatArray:
    """Two utterances of words that no other session says."""
    pause = np.zeros(16_000 + 700 * number, dtype=np.float32)
    first = spoken([f"s{number}w{index}" for index in range(12)], gap_s=0.03 * (number % 3))
    second = spoken([f"s{number}x{index}." for index in range(5)], language="de")
    return np.concatenate((pause, first, pause, second, pause))


async def transcribe(decoder: Decoder, samples: FloatArray) -> list[str]:
    """Stream ``samples`` and give the committed words."""
    session = Session(SessionConfig(options=DecodeOptions(language=None)))
    vad = EnergyVad().open_stream()
    said: list[str] = []
    for start in range(0, len(samples), CHUNK_SAMPLES):
        chunk = samples[start : start + CHUNK_SAMPLES]
        session.receive_audio(chunk, vad.process(chunk))
        if (request := session.decode_to_run()) is not None:
            session.receive_hypothesis(await decoder.decode(request))
        await asyncio.sleep(0)
    session.receive_eof()
    while (request := session.decode_to_run()) is not None:
        session.receive_hypothesis(await decoder.decode(request))
    events = session.events_to_send()
    assert isinstance(events[-1], SessionEnded)
    assert events[-1].account.gap == 0
    for event in events:
        if isinstance(event, WordsCommitted):
            said += [word.text.strip() for word in event.words]
    return said


@pytest.mark.parametrize(("sessions", "workers"), [(1, 1), (4, 1), (4, 2), (12, 2)])
async def test_every_session_gets_exactly_its_own_words(sessions: int, workers: int) -> None:
    speeches = [speech_of(number) for number in range(sessions)]
    async with (
        Scheduler(ScriptedBackend(workers=workers)) as scheduler,
        asyncio.TaskGroup() as group,
    ):
        tasks = [group.create_task(transcribe(scheduler, speech)) for speech in speeches]

    for task, speech in zip(tasks, speeches, strict=True):
        assert task.result() == [word.text for word in hear(speech)]
    if sessions > workers:
        assert scheduler.stats().largest_batch > 1
