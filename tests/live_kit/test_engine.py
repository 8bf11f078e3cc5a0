"""The engine: loaded once, shared by sessions, at home in one event loop at a time."""

import asyncio
import gc
import logging
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.encoded_audio import forged_wav
from tests.fakes import GatedBackend
from tests.live_kit.programs import TIMEOUT_S, read, run, said, scripted_engine, send, text_of
from tests.server.peers import WORDS, scripted_config
from whisper_streaming.backends import model_store
from whisper_streaming.backends.base import BackendInfo
from whisper_streaming.backends.scripted import ScriptedBackend
from whisper_streaming.config import ServerConfig, VadSettings
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.errors import ConfigurationError, ModelLoadError, SessionStateError
from whisper_streaming.live_kit import (
    AudioProcessor,
    DefaultModelMissing,
    OptionWithoutEffect,
    TranscriptionEngine,
)
from whisper_streaming.live_kit.engine import DEMO
from whisper_streaming.live_kit.runtime import Runtime

TEXT = " " + " ".join(WORDS)


class ClosableBackend(ScriptedBackend):
    """Knows how often it was closed, and may fail to warm up."""

    def __init__(self, failure: ModelLoadError | None = None) -> None:
        super().__init__()
        self.closed = 0
        self.warm_ups = 0
        self._failure = failure

    def warm_up(self) -> None:
        self.warm_ups += 1
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self.closed += 1


async def transcribe(engine: TranscriptionEngine, words: Sequence[str] = WORDS) -> str:
    states = await run(AudioProcessor(transcription_engine=engine), said(words))
    return text_of(states[-1])


def test_making_it_loads_and_warms_the_model_without_an_event_loop() -> None:
    backend = ClosableBackend()

    engine = scripted_engine(backend)

    assert backend.warm_ups == 1
    assert engine.backend is backend.info
    assert engine.config == scripted_config()


def test_a_model_that_does_not_work_is_closed_and_said() -> None:
    backend = ClosableBackend(ModelLoadError("it does not decode"))

    with pytest.raises(ModelLoadError, match="it does not decode"):
        scripted_engine(backend)
    assert backend.closed == 1


def test_a_language_that_the_model_does_not_know_is_refused() -> None:
    backend = ClosableBackend()

    with pytest.raises(ConfigurationError, match="does not know the language 'ja'"):
        scripted_engine(backend, lan="ja")
    assert backend.closed == 1


def test_options_without_effect_are_one_warning_at_the_line_that_gave_them() -> None:
    with pytest.warns(OptionWithoutEffect) as warnings:
        TranscriptionEngine(
            scripted_config(),
            backend_factory=lambda settings: ScriptedBackend(),
            frame_threshold=25,
            warmup_file="jfk.wav",
        )

    (warning,) = warnings
    assert str(warning.message) == (
        "without effect: frame_threshold (it belongs to an algorithm that this project does not "
        "use), warmup_file (the model is always warmed up)"
    )
    assert warning.filename == __file__


class DemoBackend(ScriptedBackend):
    """Says of itself what the embedded model says when the default one cannot be had."""

    @property
    def info(self) -> BackendInfo:
        info = super().info
        model = replace(
            info.model(None), name=DEMO, notice="not fetched (ConnectError: [Errno -2]); --model x"
        )
        return replace(info, models=(model,))


async def test_a_default_model_that_cannot_be_had_is_a_warning_and_clients_see_no_cause(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        caplog.at_level(logging.INFO, "whisper_streaming.backend"),
        pytest.warns(DefaultModelMissing) as warnings,
    ):
        engine = TranscriptionEngine(
            ServerConfig(vad=VadSettings(detector="energy")),
            backend_factory=lambda settings: DemoBackend(),
        )
    async with engine:
        states = await run(AudioProcessor(transcription_engine=engine), said(WORDS))

    (warning,) = warnings
    assert "the default model is not on this machine and could not be" in str(warning.message)
    assert "give model='FOLDER'" in str(warning.message)
    assert "Errno" not in str(warning.message)
    assert warning.filename == __file__
    assert caplog.messages[0] == "not fetched (ConnectError: [Errno -2]); --model x"
    assert states[0].warning == (
        "The embedded model 'demo' understands synthetic voices only, not people."
    )
    assert {state.warning for state in states[1:]} == {""}


@pytest.mark.filterwarnings("error")
def test_the_embedded_model_that_was_asked_for_is_no_warning() -> None:
    engine = scripted_engine(DemoBackend(), model="demo")

    assert (engine.backend.model(None).name, DEMO) == ("demo", model_store.DEMO)


def test_a_config_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match=r"config must be a ServerConfig, not dict; .* by name: Tr"):
        TranscriptionEngine({"model": "demo"})  # type: ignore[arg-type]


async def test_it_may_be_made_in_a_thread_while_the_loop_runs() -> None:
    engine = await asyncio.to_thread(scripted_engine)

    async with engine:
        assert await transcribe(engine) == TEXT


def test_one_loop_after_another_may_use_it() -> None:
    engine = scripted_engine()

    assert [asyncio.run(transcribe(engine)) for _ in range(2)] == [TEXT, TEXT]


def test_the_event_loop_that_uvicorn_prefers_does_as_well() -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is missing: pip install uvloop")

    async def program() -> str:
        async with scripted_engine() as engine:
            wav = forged_wav(said(WORDS), rate=SAMPLE_RATE)
            states = await run(AudioProcessor(transcription_engine=engine), wav)
            return text_of(states[-1])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(program()) == TEXT


async def test_two_engines_do_not_disturb_each_other() -> None:
    async with scripted_engine() as one, scripted_engine() as other:
        texts = await asyncio.gather(transcribe(one), transcribe(other))

    assert texts == [TEXT, TEXT]


async def test_a_second_loop_that_runs_is_refused() -> None:
    async with scripted_engine() as engine:
        assert await transcribe(engine) == TEXT
        with pytest.raises(SessionStateError, match="another event loop uses the engine"):
            await asyncio.to_thread(asyncio.run, transcribe(engine))
        with pytest.raises(SessionStateError, match="close it there"):
            await asyncio.to_thread(asyncio.run, engine.close())
        assert await transcribe(engine) == TEXT


async def test_closing_gives_sessions_their_last_words_and_frees_the_model() -> None:
    backend = ClosableBackend()
    engine = scripted_engine(backend)
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()
    reading = asyncio.ensure_future(read(results))
    await send(processor, said(WORDS))
    await processor.process_audio(bytes(2))  # taken only after what was sent before

    await engine.close()
    await engine.close()

    assert text_of((await reading)[-1]) == TEXT
    assert backend.closed == 1


async def test_closing_waits_no_longer_than_it_may() -> None:
    backend = GatedBackend()
    config = scripted_config(drain_timeout_s=0.01)
    engine = scripted_engine(backend, config)
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()
    await send(processor, said(WORDS))
    await backend.begun()

    closing = asyncio.ensure_future(engine.close())
    states = await read(results)
    backend.open()
    await closing

    assert "was lost" in states[-1].warning


async def test_a_closed_engine_begins_nothing() -> None:
    engine = scripted_engine()
    await engine.close()

    with pytest.raises(SessionStateError, match="the engine is closed"):
        await AudioProcessor(transcription_engine=engine).create_tasks()


def test_a_loop_that_ends_ends_sessions_threads_and_decoder_processes() -> None:
    """As with a program that closes nothing."""
    engine = scripted_engine()

    async def program() -> tuple[AudioProcessor, Runtime]:
        processor = AudioProcessor(transcription_engine=engine)
        results = await processor.create_tasks()
        await processor.process_audio(forged_wav(said(WORDS), rate=SAMPLE_RATE))
        while not text_of(await anext(results)):
            pass
        return processor, engine.runtime()

    processor, runtime = asyncio.run(program())
    decoding = [each for each in threading.enumerate() if each.name.startswith("decode-")]
    for thread in decoding:
        thread.join(TIMEOUT_S)

    assert runtime.is_over
    assert (runtime.media.stats().started, runtime.media.stats().processes) == (1, 0)
    assert not any(thread.is_alive() for thread in decoding)
    assert processor.error is None


async def test_an_engine_that_is_forgotten_frees_its_threads() -> None:
    text = await transcribe(scripted_engine())
    keepers = [task for task in asyncio.all_tasks() if task.get_name() == "engine"]
    gc.collect()
    await asyncio.wait(keepers, timeout=TIMEOUT_S)

    assert text == TEXT
    assert [keeper.done() for keeper in keepers] == [True]


def test_the_settings_of_a_server_are_taken_and_do_not_matter() -> None:
    config = scripted_config(max_clients=1, max_connection_time_s=0.001)

    async def two() -> list[str]:
        async with scripted_engine(config=config) as engine:
            return await asyncio.gather(transcribe(engine), transcribe(engine))

    assert asyncio.run(two()) == [TEXT, TEXT]


def test_the_default_model_is_that_of_the_server() -> None:
    asked: list[object] = []

    def load(settings: object) -> ScriptedBackend:
        asked.append(settings)
        return ScriptedBackend()

    TranscriptionEngine(backend_factory=load, vad=False)

    assert asked == [ServerConfig().backend]
