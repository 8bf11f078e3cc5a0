"""A server in a process of its own, which can be killed and come back."""

import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

from tests.contract.workshop import free_port, wait_until_healthy

_STOP_TIMEOUT_S = 30.0


class Server:
    """Serves while the context is open, except between ``stop`` and ``start``.

    Args:
        flags: Of its command; the embedded model without them.

    Attributes:
        port: Where it serves; each time the same.
    """

    def __init__(self, *flags: str) -> None:
        self._flags = flags or ("--model", "demo")
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Of the page, by a name that browsers trust without encryption."""
        return f"http://localhost:{self.port}/"

    def start(self) -> None:
        """Start, and return once it serves."""
        command = [sys.executable, "-m", "whisper_streaming", "serve", *self._flags]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port), "--log-level", "ERROR"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert wait_until_healthy(self._process, self.port)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop in order, or by SIGKILL like a machine that loses its power."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(_STOP_TIMEOUT_S)
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop(signal.SIGKILL)
