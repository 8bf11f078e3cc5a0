"""The ``ffmpeg`` program as a decoder, for programs that want that one.

:class:`~whisper_streaming.live_kit.AudioProcessor` decodes containers without it.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, NoReturn

from whisper_streaming.errors import FFmpegError

ErrorCallback = Callable[[str], Awaitable[None]]

_MISSING: Final = "ffmpeg_not_found"
_NO_START: Final = "start_failed"
_NO_WRITE: Final = "write_error"
_NO_READ: Final = "read_error"

_KEPT_CHARACTERS: Final = 1000  # of what ffmpeg complains about, the newest
_HOW_TO_INSTALL: Final = (
    "the program {program!r} is missing: install it (apt install ffmpeg, brew install ffmpeg), "
    "or give the audio to an AudioProcessor as it is, which needs none"
)

logger = logging.getLogger("whisper_streaming.media")


class FFmpegState(StrEnum):
    """What the program is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    FAILED = "failed"


class FFmpegManager:
    """One ``ffmpeg`` that turns a stream of bytes in any format into raw samples (s16le).

    Write and read in two tasks: ffmpeg takes no more while nobody reads. Every wait has an end,
    except that for samples of audio which nobody wrote, unless it is given one.

    Args:
        sample_rate: Of the samples that come out, in Hz.
        channels: Of the samples that come out.
        program: The program's name or path.
        write_timeout_s: ffmpeg must take what is written within so long.
        read_timeout_s: Longest wait for samples; None for no limit, because a stream may pause.
        stop_timeout_s: It must end so soon after its input, or is killed.

    Attributes:
        on_error_callback: Awaited with ``"ffmpeg_not_found"``, ``"start_failed"``,
            ``"write_error"`` or ``"read_error"`` before the error is raised, if set.
    """

    def __init__(
        self,
        sample_rate: int = 16_000,
        channels: int = 1,
        *,
        program: str = "ffmpeg",
        write_timeout_s: float = 30.0,
        read_timeout_s: float | None = None,
        stop_timeout_s: float = 5.0,
    ) -> None:
        self.on_error_callback: ErrorCallback | None = None
        self._command = [program, *_arguments(sample_rate, channels)]
        self._write_timeout_s = write_timeout_s
        self._read_timeout_s = read_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._state = FFmpegState.STOPPED
        self._process: asyncio.subprocess.Process | None = None
        self._complaints = ""
        self._listener: asyncio.Task[None] | None = None
        self._input_ended = False
        self._reading = asyncio.Lock()  # stop() reads what nobody else does

    @property
    def state(self) -> FFmpegState:
        """What the program is doing."""
        return self._state

    async def get_state(self) -> FFmpegState:
        """:attr:`state`, for programs of WhisperLiveKit, which await it."""
        return self._state

    async def start(self) -> bool:
        """Start the program. True, always: a failure is raised. Does nothing if it runs.

        Raises:
            FFmpegError: If it is missing or cannot be started.
        """
        if self._state is not FFmpegState.RUNNING:
            await self._start()
        return True

    async def write_data(self, data: bytes) -> bool:
        """Give it the next bytes. True, always: a failure is raised.

        Raises:
            FFmpegError: If it does not run, has ended, or takes nothing within the time.
        """
        stdin = self._running().stdin
        assert stdin is not None
        if self._input_ended:
            raise FFmpegError("ffmpeg: its input was closed, it takes no more")
        try:
            async with asyncio.timeout(self._write_timeout_s):
                if stdin.is_closing():
                    raise ConnectionResetError("ffmpeg closed its input")
                stdin.write(data)
                await stdin.drain()
        except TimeoutError as exc:
            await self._fail(_NO_WRITE, f"it took no input for {self._write_timeout_s:g} s", exc)
        except ConnectionError as exc:
            await self._fail(_NO_WRITE, "it takes no more input", exc)
        return True

    async def read_data(self, size: int) -> bytes:
        """The next samples, at most ``size`` bytes, as soon as there are any; empty at the end.

        Cancelling is safe: the next call returns them. :meth:`stop` is an end, too.

        Raises:
            FFmpegError: If it does not run, or ended with an error, or gives nothing within the
                time. After the latter it runs on, and nothing is lost.
        """
        if self._process is not None and self._state is FFmpegState.STOPPED:
            return b""
        process = self._running()
        try:
            async with asyncio.timeout(self._read_timeout_s), self._reading:
                data = await _read(process, size)
        except TimeoutError as exc:
            raise FFmpegError(f"ffmpeg gave nothing for {self._read_timeout_s:g} s") from exc
        if not data and self._state is FFmpegState.RUNNING:
            await self._check_end(process)
        return data

    async def close_stdin(self) -> None:
        """Say that no input follows; what is left can still be read. Idempotent."""
        self._input_ended = True
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def stop(self) -> None:
        """End it: by the end of its input, or by force when that takes too long. Idempotent."""
        self._state = FFmpegState.STOPPED
        if self._process is not None and self._process.returncode is None:
            await self._end(self._process)
        if self._listener is not None:
            # It ends with the program, and what asyncio holds of that is freed then.
            await asyncio.wait({self._listener}, timeout=self._stop_timeout_s)
            self._listener.cancel()
            self._listener = None

    async def restart(self) -> bool:
        """Stop it, then start it for a new stream. True, always: a failure is raised.

        Raises:
            FFmpegError: As :meth:`start`.
        """
        await self.stop()
        self._state = FFmpegState.RESTARTING
        await self._start()
        return True

    async def _start(self) -> None:
        if self._state is FFmpegState.FAILED:
            await self.stop()
        if self._state is not FFmpegState.RESTARTING:
            self._state = FFmpegState.STARTING
        self._complaints = ""
        self._input_ended = False
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C is the program's affair, which then stops it
            )
        except FileNotFoundError as exc:
            await self._fail(_MISSING, _HOW_TO_INSTALL.format(program=self._command[0]), exc)
        except OSError as exc:
            await self._fail(_NO_START, f"it cannot be started: {exc.strerror}", exc)
        self._listener = asyncio.create_task(self._listen(self._process), name="ffmpeg errors")
        self._state = FFmpegState.RUNNING

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Read what it complains about: a full pipe would stop it."""
        assert process.stderr is not None
        while data := await process.stderr.read(4096):  # not lines, which may have any length
            complaints = self._complaints + data.decode(errors="replace")
            self._complaints = complaints[-_KEPT_CHARACTERS:]

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        await self.close_stdin()
        try:
            async with asyncio.timeout(self._stop_timeout_s), self._reading:
                while await _read(process, 2**16):  # it ends when its output is taken
                    pass
                await process.wait()
        except TimeoutError:
            logger.warning("ffmpeg did not end within %g s and is killed", self._stop_timeout_s)
        finally:
            if process.returncode is None:
                _kill(process)
            await process.wait()

    async def _check_end(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(self._stop_timeout_s):
                status = await process.wait()
        except TimeoutError as exc:
            await self._fail(_NO_READ, "it closed its output and does not end", exc)
        if status != 0:
            await self._fail(_NO_READ, f"it ended with status {status}")

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._state is not FFmpegState.RUNNING:
            raise FFmpegError(f"ffmpeg does not run (it is {self._state}); start() it first")
        return self._process

    async def _fail(self, name: str, reason: str, cause: Exception | None = None) -> NoReturn:
        self._state = FFmpegState.FAILED
        if self._listener is not None and name in (_NO_READ, _NO_WRITE):
            await asyncio.wait({self._listener}, timeout=self._stop_timeout_s)
        if self.on_error_callback is not None:
            await self.on_error_callback(name)
        complaints = "; ".join(self._complaints.split("\n")).strip("; ")
        text = reason if name == _MISSING else f"ffmpeg: {reason}"
        raise FFmpegError(f"{text} ({complaints})" if complaints else text) from cause


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill it, with what it has started: a wrapper in ffmpeg's place would leave its child."""
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


async def _read(process: asyncio.subprocess.Process, size: int) -> bytes:
    assert process.stdout is not None
    return await process.stdout.read(size)


def _arguments(sample_rate: int, channels: int) -> list[str]:
    # Without the two limits it looks at seconds of a stream before it decodes anything. No
    # "-fflags nobuffer", which throws away what it has looked at.
    return [
        *("-hide_banner", "-loglevel", "error", "-nostats"),
        *("-probesize", "32768", "-analyzeduration", "0", "-i", "pipe:0", "-vn", "-f", "s16le"),
        *("-ar", str(sample_rate), "-ac", str(channels), "-flush_packets", "1", "pipe:1"),
    ]
