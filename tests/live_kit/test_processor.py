"""Sessions inside a program: their states, their ends, and everything that can go wrong."""

import asyncio
import gc
import json
import logging
import os
import signal
import threading
import weakref
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from tests.encoded_audio import encode, forged_wav
from tests.fakes import GatedBackend
from tests.live import decoder_log
from tests.live_kit.programs import raw, read, run, said, scripted_engine, send, text_of
from tests.server.peers import WORDS, connected, scripted_config, serving
from tests.wire.live_kit_client import LiveKitClient
from whisper_streaming.backends.scripted import ScriptedBackend, ScriptedBehaviour, hears, spoken
from whisper_streaming.config import AsrSettings
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis
from whisper_streaming.core.session import Session
from whisper_streaming.errors import (
    AudioDecoderError,
    BackendError,
    InvalidMessage,
    SessionStateError,
    SlowConsumer,
    UnsupportedAudio,
)
from whisper_streaming.live_kit import (
    AudioProcessor,
    DiffTracker,
    FrontData,
    TranscriptionEngine,
)

TEXT = " " + " ".join(WORDS)
SAMPLES = np.round(spoken(WORDS) * 32767).astype("<i2")
MANY = [f"w{index}" for index in range(40)]


@pytest.fixture
async def engine() -> AsyncIterator[TranscriptionEngine]:
    async with scripted_engine() as engine:
        yield engine


class HeldBackend(ScriptedBackend):
    """Stands still inside its first decode until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        self.begun.set()
        self.go_on.wait()
        return super().decode_batch(requests)


# --- what a session gives -------------------------------------------------------------------


async def test_a_session_begins_empty_grows_and_ends_with_all_words(
    engine: TranscriptionEngine,
) -> None:
    processor = AudioProcessor(transcription_engine=engine)

    states = await run(processor, said(WORDS))

    assert (states[0].status, text_of(states[0])) == ("no_audio_detected", "")
    assert (states[-1].status, text_of(states[-1])) == ("active_transcription", TEXT)
    assert states[-1].buffer_transcription == ""
    assert any(state.buffer_transcription for state in states)
    assert processor.error is None


@pytest.mark.parametrize("mode", ["full", "diff"])
async def test_a_program_ends_with_what_a_client_of_the_server_shows(
    engine: TranscriptionEngine, mode: str
) -> None:
    audio = said(WORDS) + bytes(2 * 6 * SAMPLE_RATE) + said(["eleven", "twelve."])
    client = LiveKitClient()
    async with serving() as server, connected(server, f"/asr?mode={mode}") as peer:
        await peer.socket.send(audio)
        await peer.socket.send(b"")
        await peer.read_to_close()
    for message in peer.messages[1:-1]:
        client.on_message(message)

    states = await run(AudioProcessor(transcription_engine=engine, mode=mode), audio)

    assert states[-1].to_dict() == client.state
    assert [line.is_silence() for line in states[-1].lines] == [False, True, False]


async def test_diffs_of_a_session_add_up_and_send_each_line_once(
    engine: TranscriptionEngine,
) -> None:
    tracker, client, sent = DiffTracker(), LiveKitClient(), 0
    audio = b"".join(said([word]) + bytes(2 * SAMPLE_RATE) for word in WORDS)

    for state in await run(AudioProcessor(transcription_engine=engine, mode="diff"), audio):
        message = json.loads(json.dumps(tracker.to_message(state)))
        sent += len(message.get("new_lines", ()))
        client.on_message(message)
        assert client.state == state.to_dict()

    assert sent == len(client.state["lines"]) == len(WORDS)


@pytest.mark.parametrize(
    ("pcm_input", "stream"),
    [
        pytest.param(None, SAMPLES.tobytes(), id="samples, told by the first bytes"),
        pytest.param(None, encode("flac", SAMPLES, rate=SAMPLE_RATE), id="a container, told"),
        pytest.param(True, SAMPLES.tobytes(), id="samples"),
        pytest.param(False, encode("flac", SAMPLES, rate=SAMPLE_RATE), id="flac"),
        pytest.param(False, forged_wav(SAMPLES.tobytes(), rate=SAMPLE_RATE), id="wav"),
    ],
)
async def test_the_words_are_the_same_however_they_come(
    engine: TranscriptionEngine, pcm_input: bool | None, stream: bytes
) -> None:
    processor = AudioProcessor(transcription_engine=engine, pcm_input=pcm_input)

    states = await run(processor, stream)

    assert text_of(states[-1]) == TEXT


async def test_the_processor_decides_over_the_engine_what_the_bytes_are() -> None:
    async with scripted_engine(pcm_input=True) as engine:
        samples = await run(AudioProcessor(transcription_engine=engine), said(WORDS))
        container = await run(
            AudioProcessor(transcription_engine=engine, pcm_input=False), said(WORDS)
        )

    assert text_of(samples[-1]) == TEXT
    assert (container[-1].status, container[-1].lines) == ("error", [])


async def test_sessions_at_the_same_time_have_each_their_own_words_and_language(
    engine: TranscriptionEngine,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = {
            language: tasks.create_task(
                run(
                    AudioProcessor(transcription_engine=engine, language=wish),
                    said([f"{language}{index}" for index in range(10)], language=language),
                )
            )
            for language, wish in (("de", "auto"), ("fr", "auto"), ("es", "es"))
        }

    for language, task in running.items():
        last = task.result()[-1]
        assert text_of(last).split() == [f"{language}{index}" for index in range(10)]
        assert last.lines[0].detected_language == (None if language == "es" else language)


async def test_one_message_may_be_longer_than_any_that_the_server_takes(
    engine: TranscriptionEngine,
) -> None:
    audio = said(WORDS) + bytes(2 * 40 * SAMPLE_RATE)
    assert len(audio) > engine.config.limits.max_message_bytes
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(results))
        await processor.process_audio(audio)
        await processor.process_audio(None)

    assert text_of(reading.result()[-1]) == TEXT


async def test_a_program_may_change_the_states_that_it_gets(engine: TranscriptionEngine) -> None:
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()
    shown = ""

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send(processor, said(WORDS) + bytes(32_000)))
        async for state in results:
            shown = text_of(state)
            state.lines.clear()
            state.buffer_transcription = ""
            if shown == TEXT:
                await processor.process_audio(b"")

    assert shown == TEXT


async def test_lines_have_the_translation_that_was_asked_for(engine: TranscriptionEngine) -> None:
    processor = AudioProcessor(transcription_engine=engine, language="de", target_language="en")

    *_, last = await run(processor, said(WORDS))

    # The engine hears a sentence a second time, and translates to capitals.
    assert [line.translation for line in last.lines] == [" ".join(WORDS).upper()]


async def test_the_engines_target_is_for_sessions_that_name_none() -> None:
    async with scripted_engine(target_language="en") as engine:
        german = AudioProcessor(transcription_engine=engine, language="de")
        english = AudioProcessor(transcription_engine=engine, language="en")

        *_, translated = await run(german, said(WORDS))
        *_, plain = await run(english, said(WORDS))

    assert [line.translation for line in translated.lines] == [" ".join(WORDS).upper()]
    assert [line.translation for line in plain.lines] == [None]


async def test_the_engines_prompt_precedes_each_session() -> None:
    backend = GatedBackend()  # hears what it is prompted with
    backend.open()
    async with scripted_engine(backend, init_prompt="Dramatis personae:") as engine:
        await run(AudioProcessor(transcription_engine=engine), said(WORDS))

    assert backend.batches[0] == ["Dramatis personae:"]


async def test_a_session_may_have_a_prompt_of_its_own() -> None:
    backend = GatedBackend()  # hears what it is prompted with
    backend.open()
    async with scripted_engine(backend, init_prompt="Dramatis personae:") as engine:
        processor = AudioProcessor(transcription_engine=engine, prompt="Dear Ada,")
        await run(processor, said(WORDS))

    assert backend.batches[0] == ["Dear Ada,"]


async def test_old_lines_are_dropped_after_the_engines_retention() -> None:
    audio = b"".join(said([f"{word}."]) + bytes(2 * SAMPLE_RATE) for word in WORDS)
    async with scripted_engine(retention_seconds=4) as engine:
        short = await run(AudioProcessor(transcription_engine=engine), audio)
    async with scripted_engine(retention_seconds=0) as engine:
        endless = await run(AudioProcessor(transcription_engine=engine), audio)

    assert len(endless[-1].lines) == len(WORDS)
    assert len(short[-1].lines) < 6
    assert short[-1].lines == endless[-1].lines[-len(short[-1].lines) :]


@pytest.mark.parametrize(("mode", "lines"), [("full", 2), ("diff", 1)])
async def test_the_settings_of_asr_say_which_lines_are_kept(mode: str, lines: int) -> None:
    audio = b"".join(said([f"{word}."]) + bytes(2 * SAMPLE_RATE) for word in WORDS)
    asr = AsrSettings(retention_s=2.5, diff_retention_s=0.5)
    config = scripted_config().model_copy(update={"asr": asr})
    async with scripted_engine(config=config) as engine:
        states = await run(AudioProcessor(transcription_engine=engine, mode=mode), audio)

    spoken_lines = [line for line in states[-1].lines if line.text]
    assert len(spoken_lines) == lines


# --- what cannot begin ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"language": "klingon"}, "does not know the language 'klingon'; it knows en, de"),
        ({"target_language": "klingon"}, "target_language 'klingon' is no language code"),
        ({"target_language": "fr"}, "'fr': this server does not translate"),
        ({"mode": "dif"}, "mode 'dif' is neither 'full' nor 'diff'"),
        ({"mode": None}, "mode 'None' is neither 'full' nor 'diff'"),
    ],
)
async def test_wrong_wishes_are_refused_in_words_for_the_client(
    engine: TranscriptionEngine, arguments: dict[str, str | None], reason: str
) -> None:
    with pytest.raises(InvalidMessage, match=reason) as refusal:
        AudioProcessor(transcription_engine=engine, **arguments)  # type: ignore[arg-type]

    assert refusal.value.public_reason == str(refusal.value)


def test_without_an_engine_a_processor_says_what_to_make() -> None:
    with pytest.raises(TypeError, match=r"not NoneType; make one .*engine = TranscriptionEngine"):
        AudioProcessor(transcription_engine=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"language": 5}, "language must be text such as 'en', or None, not 5"),
        ({"target_language": 5}, "target_language must be text such as 'en', or None, not 5"),
        ({"prompt": 5}, "prompt must be text or None, not 5"),
        ({"hotwords": ["Ada"]}, r"hotwords must be text or None, not \['Ada'\]"),
        ({"pcm_input": "no"}, "pcm_input must be True, False or None, not 'no'"),
    ],
)
async def test_arguments_of_another_type_are_refused_in_words(
    engine: TranscriptionEngine, arguments: dict[str, object], reason: str
) -> None:
    with pytest.raises(TypeError, match=reason):
        AudioProcessor(transcription_engine=engine, **arguments)  # type: ignore[arg-type]


async def test_an_empty_wish_asks_for_nothing(engine: TranscriptionEngine) -> None:
    processor = AudioProcessor(transcription_engine=engine, language="", target_language="")

    states = await run(processor, said(WORDS))

    assert (states[0].warning, text_of(states[-1])) == ("", TEXT)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("text", id="text"),
        pytest.param(np.zeros(160, np.float32), id="array of floats"),
        pytest.param(np.zeros(160, np.int16), id="array of integers"),
    ],
)
async def test_what_is_no_bytes_is_refused_in_words(
    engine: TranscriptionEngine, message: bytes
) -> None:
    processor = AudioProcessor(transcription_engine=engine)
    await processor.create_tasks()

    with pytest.raises(TypeError, match=rf"not {type(message).__name__}; .*astype\('<i2'\)"):
        await processor.process_audio(message)
    await processor.cleanup()


@pytest.mark.parametrize("kind", [bytearray, memoryview])
async def test_any_kind_of_bytes_is_audio(
    engine: TranscriptionEngine, kind: type[bytearray] | type[memoryview]
) -> None:
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()
    await processor.process_audio(kind(said(WORDS)))
    await processor.process_audio(kind(b""))

    assert text_of((await read(results))[-1]) == TEXT


async def test_audio_before_create_tasks_is_a_fault_of_the_program(
    engine: TranscriptionEngine,
) -> None:
    processor = AudioProcessor(transcription_engine=engine)

    with pytest.raises(SessionStateError, match=r"call create_tasks\(\) before"):
        await processor.process_audio(b"ab")


async def test_a_processor_is_for_one_session(engine: TranscriptionEngine) -> None:
    processor = AudioProcessor(transcription_engine=engine)
    await run(processor, said(WORDS))

    with pytest.raises(SessionStateError, match="make another one"):
        await processor.create_tasks()


async def test_after_cleanup_nothing_begins(engine: TranscriptionEngine) -> None:
    processor = AudioProcessor(transcription_engine=engine)
    await processor.cleanup()

    with pytest.raises(SessionStateError, match="make another one"):
        await processor.create_tasks()
    await processor.process_audio(b"ab")  # as a task may that has not heard of the end


# --- what goes wrong ------------------------------------------------------------------------


async def test_a_broken_container_is_an_error_state_after_its_words(
    engine: TranscriptionEngine,
) -> None:
    wav = forged_wav(SAMPLES.tobytes(), rate=SAMPLE_RATE)
    broken = forged_wav(bytes(1000), rate=1)
    processor = AudioProcessor(transcription_engine=engine, pcm_input=False)
    results = await processor.create_tasks()

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(results))
        await send(processor, wav)
        await processor.process_audio(broken)
    last = reading.result()[-1]
    await processor.process_audio(wav)  # dropped: the session is over

    assert (last.status, last.error) == ("error", "audio with 1 samples a second is not taken")
    assert text_of(last) == TEXT
    assert isinstance(processor.error, UnsupportedAudio)


async def test_bytes_in_no_known_container_are_an_error_state(engine: TranscriptionEngine) -> None:
    processor = AudioProcessor(transcription_engine=engine, pcm_input=False)

    states = await run(processor, said(WORDS))

    assert states[-1].error == (
        "the audio is in none of the known formats: FLAC, MP3, MP4, Ogg, WAV, WebM"
    )


async def test_a_decoder_process_that_ends_is_an_error_state_and_the_next_session_gets_another(
    engine: TranscriptionEngine, caplog: pytest.LogCaptureFixture
) -> None:
    decoder_log.listen(caplog)
    wav = forged_wav(SAMPLES.tobytes(), rate=SAMPLE_RATE)
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()
    await send(processor, wav)
    while not text_of(await anext(results)):
        pass
    os.kill(decoder_log.first_process(caplog), signal.SIGKILL)
    await processor.process_audio(b"")

    last = (await read(results))[-1]
    others = await run(AudioProcessor(transcription_engine=engine), wav)

    assert (last.status, last.error) == ("error", "the decoder of the audio failed; connect again")
    assert isinstance(processor.error, AudioDecoderError)
    assert text_of(others[-1]) == TEXT


async def test_a_model_that_fails_for_good_is_an_error_state() -> None:
    backend = ScriptedBackend(ScriptedBehaviour(fails=hears("two")))
    async with scripted_engine(backend) as engine:
        processor = AudioProcessor(transcription_engine=engine)
        states = await run(processor, said(["one", "two", "three"] * 10))

    assert (states[-1].status, states[-1].error) == ("error", "decoding failed 3 times in a row")
    assert isinstance(processor.error, BackendError)


async def test_a_fault_of_this_package_ends_the_session_and_is_logged(
    engine: TranscriptionEngine,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Session, "receive_hypothesis", lambda session, hypothesis: 1 / 0)

    states = await run(AudioProcessor(transcription_engine=engine), said(WORDS))

    assert (states[-1].status, states[-1].error) == ("error", "internal error")
    (fault,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "the session broke, which is a fault of this program" in fault.message
    assert fault.exc_info is not None


async def test_the_log_has_one_line_at_the_begin_and_one_at_the_end_and_no_words(
    engine: TranscriptionEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await run(AudioProcessor(transcription_engine=engine), said(WORDS))
    left = AudioProcessor(transcription_engine=engine, language="de")
    await left.create_tasks()
    await left.cleanup()

    lines = [each.message for each in caplog.records if each.name == "whisper_streaming.session"]
    assert lines[0] == "[library 1] opened model=scripted language=en task=transcribe vad=on"
    assert lines[1].startswith("[library 1] ended complete audio=4.0s speech=4.0s")
    assert lines[2] == "[library 2] opened model=scripted language=de task=transcribe vad=on"
    assert lines[3].startswith("[library 2] ended gone audio=0.0s")
    assert len(lines) == 4


async def test_audio_after_the_end_is_dropped_with_one_warning(
    engine: TranscriptionEngine, caplog: pytest.LogCaptureFixture
) -> None:
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(results))
        await send(processor, said(WORDS))
        await processor.process_audio(b"")
        for _ in range(3):
            await processor.process_audio(said(["more"]))
        await processor.process_audio(b"")

    warnings = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert text_of(reading.result()[-1]) == TEXT
    assert warnings == ["audio after the end of a session is dropped"]


# --- who is slow, and who leaves ------------------------------------------------------------


async def test_a_program_that_sends_faster_than_the_model_decodes_waits() -> None:
    backend = HeldBackend()
    config = scripted_config(max_backlog_s=2.0)
    async with scripted_engine(backend, config) as engine:
        processor = AudioProcessor(transcription_engine=engine)
        results = await processor.create_tasks()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read(results))
            sending = tasks.create_task(send(processor, said(MANY)))
            await asyncio.to_thread(backend.begun.wait)
            for _ in range(1000):  # more turns than it has pieces
                await asyncio.sleep(0)
            assert not sending.done()
            backend.go_on.set()
            await sending
            await processor.process_audio(b"")

    assert text_of(reading.result()[-1]).split() == MANY


async def test_states_that_are_not_read_wait_and_nothing_is_lost(
    engine: TranscriptionEngine,
) -> None:
    processor = AudioProcessor(transcription_engine=engine, mode="diff")
    results = await processor.create_tasks()

    await send(processor, said(MANY))
    await processor.process_audio(b"")
    states = await read(results)

    assert text_of(states[-1]).split() == MANY


async def test_a_program_that_never_reads_fails_its_session() -> None:
    async with scripted_engine(config=scripted_config(max_pending_messages=10)) as engine:
        processor = AudioProcessor(transcription_engine=engine)
        results = await processor.create_tasks()
        while processor.error is None:
            await processor.process_audio(said(["word."]) + bytes(2 * SAMPLE_RATE))
        states = await read(results)

    assert isinstance(processor.error, SlowConsumer)
    assert states[-1].status == "error"
    assert "none is being read" in states[-1].error


async def test_a_cancelled_wait_for_a_state_loses_nothing(engine: TranscriptionEngine) -> None:
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()
    await anext(results)  # the first one
    waiting = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(results))
        await send(processor, said(WORDS))
        await processor.process_audio(b"")

    assert waiting.cancelled()
    assert text_of(reading.result()[-1]) == TEXT


async def test_cleanup_ends_a_session_in_the_middle() -> None:
    backend = HeldBackend()
    async with scripted_engine(backend) as engine:
        processor = AudioProcessor(transcription_engine=engine)
        results = await processor.create_tasks()
        reading = asyncio.ensure_future(read(results))
        await send(processor, said(WORDS))
        await asyncio.to_thread(backend.begun.wait)

        await processor.cleanup()
        await processor.cleanup()
        states = await reading
        backend.go_on.set()
        others = await run(AudioProcessor(transcription_engine=engine), said(WORDS))

    assert {text_of(state) for state in states} == {""}
    assert processor.error is None
    assert text_of(others[-1]) == TEXT


async def test_closing_the_results_ends_the_session(engine: TranscriptionEngine) -> None:
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()

    await results.aclose()
    await read(results)
    await send(processor, said(MANY))  # dropped, and does not wait

    assert processor.error is None


async def test_a_forgotten_processor_ends_its_audio(engine: TranscriptionEngine) -> None:
    async def begin() -> AsyncIterator[FrontData]:
        processor = AudioProcessor(transcription_engine=engine)
        results = await processor.create_tasks()
        await processor.process_audio(said(WORDS))
        return results

    results = await begin()
    gc.collect()

    assert text_of((await read(results))[-1]) == TEXT


async def test_forgotten_results_end_the_session(engine: TranscriptionEngine) -> None:
    processor = AudioProcessor(transcription_engine=engine)
    results = await processor.create_tasks()
    gone = weakref.ref(results)
    del results
    gc.collect()

    assert gone() is None
    await send(processor, said(MANY))  # would wait for ever behind states that nobody reads
    assert processor.error is None


def test_raw_is_what_a_recorder_gives() -> None:
    assert raw(np.array([0.0, 1.0, -1.0])) == b"\0\0\xff\x7f\x01\x80"
