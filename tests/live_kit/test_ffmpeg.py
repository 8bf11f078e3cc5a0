"""The ffmpeg program: what it decodes, and everything it may do instead."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.encoded_audio import encode, slices, tone
from tests.live_kit.programs import TIMEOUT_S
from whisper_streaming.errors import FFmpegError
from whisper_streaming.live_kit import FFmpegManager, FFmpegState

MISSING = "no-such-ffmpeg"


def stand_in(folder: Path, script: str) -> str:
    """A program in ffmpeg's place."""
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def read_all(manager: FFmpegManager) -> bytes:
    output = b""
    async with asyncio.timeout(TIMEOUT_S):
        while data := await manager.read_data(4096):
            output += data
    return output


# --- with any machine -----------------------------------------------------------------------


async def test_a_missing_program_is_an_error_that_says_what_to_do() -> None:
    manager = FFmpegManager(program=MISSING)

    with pytest.raises(FFmpegError, match=r"'no-such-ffmpeg' is missing: install it .*AudioProc"):
        await manager.start()
    assert await manager.get_state() is manager.state is FFmpegState.FAILED
    await manager.stop()
    assert manager.state is FFmpegState.STOPPED


async def test_the_callback_hears_of_an_error_before_it_is_raised() -> None:
    heard: list[str] = []

    async def note(name: str) -> None:
        heard.append(name)

    manager = FFmpegManager(program=MISSING)
    manager.on_error_callback = note
    with pytest.raises(FFmpegError):
        await manager.start()

    assert heard == ["ffmpeg_not_found"]


async def test_a_program_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    manager = FFmpegManager(program=str(tmp_path))

    with pytest.raises(FFmpegError, match="it cannot be started: Permission denied"):
        await manager.start()


@pytest.mark.parametrize("call", ["write", "read"])
async def test_before_its_start_it_takes_and_gives_nothing(call: str) -> None:
    manager = FFmpegManager()

    with pytest.raises(FFmpegError, match=r"does not run \(it is stopped\); start\(\) it first"):
        await (manager.write_data(b"a") if call == "write" else manager.read_data(1))
    await manager.close_stdin()
    await manager.stop()


async def test_what_is_written_comes_back_as_it_is_decoded(tmp_path: Path) -> None:
    manager = FFmpegManager(program=stand_in(tmp_path, "exec cat"))

    assert await manager.start()
    assert await manager.start()  # it runs already
    assert manager.state is FFmpegState.RUNNING
    assert await manager.write_data(b"abc")
    assert await manager.read_data(100) == b"abc"
    await manager.close_stdin()
    with pytest.raises(FFmpegError, match="its input was closed"):
        await manager.write_data(b"d")
    assert await manager.read_data(100) == b""
    await manager.stop()
    assert manager.state is FFmpegState.STOPPED


async def test_a_cancelled_read_loses_nothing(tmp_path: Path) -> None:
    manager = FFmpegManager(program=stand_in(tmp_path, "exec cat"))
    await manager.start()
    reading = asyncio.ensure_future(manager.read_data(100))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading})
    await manager.write_data(b"abc")

    assert await manager.read_data(100) == b"abc"
    await manager.stop()


async def test_an_end_with_an_error_tells_what_it_complained_about(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "echo 'Invalid data found' >&2; exit 183")
    manager = FFmpegManager(program=program)
    await manager.start()

    with pytest.raises(FFmpegError, match=r"it ended with status 183 \(Invalid data found\)"):
        await manager.read_data(100)
    assert manager.state is FFmpegState.FAILED
    await manager.stop()


async def test_a_program_that_ended_takes_no_more(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "exec <&-; echo out; sleep 60")
    manager = FFmpegManager(program=program, stop_timeout_s=0.05)
    await manager.start()
    await manager.read_data(100)

    with pytest.raises(FFmpegError, match="ffmpeg: it takes no more input"):
        for _ in range(100):  # the first go into the pipe's buffer
            await manager.write_data(bytes(2**16))
    await manager.stop()


async def test_input_that_is_not_taken_in_time_is_an_error(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "sleep 60")
    manager = FFmpegManager(program=program, write_timeout_s=0.05, stop_timeout_s=0.05)
    await manager.start()

    with pytest.raises(FFmpegError, match=r"it took no input for 0\.05 s"):
        await manager.write_data(bytes(2**20))
    await manager.stop()


async def test_a_wait_for_samples_may_have_an_end_and_is_no_failure(tmp_path: Path) -> None:
    manager = FFmpegManager(program=stand_in(tmp_path, "exec cat"), read_timeout_s=0.01)
    await manager.start()

    with pytest.raises(FFmpegError, match=r"ffmpeg gave nothing for 0\.01 s"):
        await manager.read_data(100)
    assert manager.state is FFmpegState.RUNNING
    await manager.stop()


async def test_complaints_of_any_length_do_not_stop_it(tmp_path: Path) -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1"
    manager = FFmpegManager(program=stand_in(tmp_path, script))
    await manager.start()

    with pytest.raises(FFmpegError, match=r"status 1 \(x+end\)$"):
        await manager.read_data(100)
    await manager.stop()


async def test_one_that_does_not_end_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = stand_in(tmp_path, "exec sleep 60")
    manager = FFmpegManager(program=program, stop_timeout_s=0.05)
    await manager.start()

    await manager.stop()
    await manager.stop()

    assert manager.state is FFmpegState.STOPPED
    assert "did not end within 0.05 s and is killed" in caplog.text


async def test_stopping_takes_what_nobody_reads_and_ends_who_reads(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "exec cat")
    manager = FFmpegManager(program=program)
    await manager.start()
    reading = asyncio.ensure_future(read_all(manager))
    await asyncio.sleep(0)

    await manager.stop()

    assert await reading == b""
    assert await manager.read_data(1) == b""


async def test_it_can_begin_anew(tmp_path: Path) -> None:
    manager = FFmpegManager(program=stand_in(tmp_path, "exec cat"))
    await manager.start()
    await manager.write_data(b"old")

    assert await manager.restart()
    await manager.write_data(b"new")
    await manager.close_stdin()

    assert await read_all(manager) == b"new"
    await manager.stop()


async def test_after_a_failure_it_can_be_started_again(tmp_path: Path) -> None:
    manager = FFmpegManager(program=stand_in(tmp_path, "exit 1"))
    await manager.start()
    with pytest.raises(FFmpegError):
        await manager.read_data(1)
    stand_in(tmp_path, "exec cat")

    await manager.start()
    await manager.write_data(b"abc")

    assert await manager.read_data(3) == b"abc"
    await manager.stop()


# --- with the real one ----------------------------------------------------------------------


@pytest.fixture
async def real(ffmpeg: str) -> AsyncIterator[FFmpegManager]:
    manager = FFmpegManager(program=ffmpeg)
    await manager.start()
    yield manager
    await manager.stop()


async def write_all(manager: FFmpegManager, messages: list[bytes]) -> None:
    for message in messages:
        await manager.write_data(message)
    await manager.close_stdin()


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("name", ["webm", "ogg", "mp4", "mp3", "wav", "flac"])
async def test_the_real_one_gives_samples_of_a_stream(real: FFmpegManager, name: str) -> None:
    stream = encode(name, tone(2.0))

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read_all(real))
        tasks.create_task(write_all(real, slices(stream, 20)))
    samples = np.frombuffer(reading.result(), "<i2")

    assert len(samples) == pytest.approx(32_000, abs=1600)  # codecs pad
    peak = np.argmax(np.abs(np.fft.rfft(samples[8000:24_000])))
    assert peak == 440


@pytest.mark.requires_ffmpeg
async def test_the_real_one_gives_samples_while_the_stream_comes(real: FFmpegManager) -> None:
    begin, rest = slices(encode("webm", tone(4.0)), 2)

    await real.write_data(begin)
    async with asyncio.timeout(TIMEOUT_S):
        assert await real.read_data(4096)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read_all(real))
        tasks.create_task(write_all(real, [rest]))


@pytest.mark.requires_ffmpeg
async def test_the_real_one_says_what_is_no_audio(real: FFmpegManager) -> None:
    await write_all(real, [bytes(range(256)) * 40])

    with pytest.raises(FFmpegError, match=r"it ended with status \d+ \(.*Invalid data found"):
        await read_all(real)
