"""The operator's function in a process of its own, as the server sees it.

A hook may hang in a way that no thread gets out of: a search for a pattern that tries for ever
holds up all of Python. It may end its process, or crash. So it runs where that harms nobody.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from whisper_streaming.errors import ConfigurationError, TextHookError
from whisper_streaming.operator_code import look_in_this_folder
from whisper_streaming.text_hook.facts import TextFacts
from whisper_streaming.text_hook.finding import hook_error

START_TIMEOUT_S: Final = 30.0
"""The operator's module may load a lot."""

_PROGRAM: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from whisper_streaming.text_hook.hook_program import main; main(sys.argv[2])"
)
_MOST_ENDS: Final = 3  # in a row, then it is left alone for a while
_REST_S: Final = 10.0

logger = logging.getLogger("whisper_streaming.text_hook")


class HookProcess:
    """One process, started anew where it ended.

    All but :meth:`stop` is called in one thread at a time.

    Args:
        name: Of the hook, as the settings have it.
        start_timeout_s: A start that takes longer has failed.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        name: str,
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._start_timeout_s = start_timeout_s
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False  # by us, so that it need not have ended yet
        self._ends = 0  # since the last answer
        self._rests_until = 0.0

    def start(self) -> None:
        """Start it.

        Raises:
            ConfigurationError: If the hook cannot be had, or cannot be called with a text.
        """
        look_in_this_folder()
        command = [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path), self._name]
        self._is_stopped = False
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # out of reach of a terminal's Ctrl-C
            )
        except OSError as error:
            raise hook_error(self._name, f"has no process: {error.strerror}") from error
        timer = threading.Timer(self._start_timeout_s, self.stop)
        timer.start()
        try:
            answer = self._read()
        except TextHookError as error:
            what = f"did not end in {self._start_timeout_s:g} s" if self._is_stopped else str(error)
            raise hook_error(self._name, f"cannot be imported: it {what}") from error
        finally:
            timer.cancel()
        if "problem" in answer:
            self._end()
            raise ConfigurationError(str(answer["problem"]))

    def prepare(self) -> None:
        """Start it anew if it has ended; blocking.

        Raises:
            TextHookError: If it does not start, or has ended too often to be tried again at once.
        """
        if self._process is not None and not self._is_stopped and self._process.poll() is None:
            return
        self._end()
        if self._clock() < self._rests_until:
            raise TextHookError("rests after it ended several times")
        logger.info("the process of the text hook is started anew")
        try:
            self.start()
        except ConfigurationError as error:
            self._rests_until = self._clock() + _REST_S
            raise TextHookError(f"does not start again: {error}") from error

    def ask(self, text: str, facts: TextFacts) -> str:
        """What the hook makes of ``text``; blocking.

        Raises:
            TextHookError: If it fails, gives no text, or its process ends; in words for the log,
                without anything that was said.
        """
        process = self._process
        if process is None or process.stdin is None:
            raise TextHookError("does not run")
        question = json.dumps({"text": text, **asdict(facts)}).encode() + b"\n"
        try:
            process.stdin.write(question)
            process.stdin.flush()
        except OSError:
            pass  # it has ended, as reading tells
        answer = self._read()
        self._ends = 0
        if "failure" in answer:
            logger.debug("%s", answer["trace"])
            raise TextHookError(str(answer["failure"]))
        return str(answer["text"])

    def stop(self) -> None:
        """End it at once, whatever it does; from any thread. Idempotent."""
        process = self._process
        if process is not None:
            self._is_stopped = True
            _kill(process)

    def close(self) -> None:
        """End it for good. Idempotent."""
        self._end()

    def _read(self) -> dict[str, object]:
        process = self._process  # close() may take it away meanwhile
        assert process is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            status = process.wait()
            self._ends += 1
            if self._ends >= _MOST_ENDS:
                self._ends = 0
                self._rests_until = self._clock() + _REST_S
            self._end()
            raise TextHookError(f"ended its process with status {status}")
        try:
            answer: dict[str, object] = json.loads(line)
        except ValueError as error:
            self._end()
            raise TextHookError("wrote between the lines of its process") from error
        return answer

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # of what was still to be written
                pipe.close()
        process.wait()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End it with all that it started, which may hold its end of our pipes.

    Also one that has just ended by itself: its number is that of its group while one is left there,
    and nobody else's so soon.
    """
    if os.name != "posix":
        process.kill()
        return
    # The latter is what macOS says of a group in which all have ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
