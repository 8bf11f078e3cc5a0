"""Logging of the command-line programs; the library itself configures none."""

import logging
import time
from collections.abc import Callable
from typing import Final

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_PACKAGE_LOGGER: Final = "whisper_streaming"
_WEBSOCKET_LOGGER: Final = "whisper_streaming.websocket"
_ASYNCIO_LOGGER: Final = "asyncio"
_NO_FILE_LEFT: Final = "socket.accept() out of system resource"
_SILENCE_S: Final = 10.0


def setup_logging(level: str) -> None:
    """Log this package from ``level`` on to standard error, and other libraries' warnings."""
    logging.basicConfig(level=logging.WARNING, format=_FORMAT)
    logging.getLogger(_PACKAGE_LOGGER).setLevel(level)
    # Handshakes and frames of every peer: noise, and frames hold text of transcripts.
    logging.getLogger(_WEBSOCKET_LOGGER).setLevel(
        logging.DEBUG if level == "DEBUG" else logging.CRITICAL
    )
    asyncio_logger = logging.getLogger(_ASYNCIO_LOGGER)
    if not any(isinstance(each, NoFileLeft) for each in asyncio_logger.filters):
        asyncio_logger.addFilter(NoFileLeft())


class NoFileLeft(logging.Filter):
    """Makes one line of what asyncio says a hundred times in a second, each time with a traceback.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._silent_until = clock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` is logged; it is changed to say what an operator can do."""
        if not record.getMessage().startswith(_NO_FILE_LEFT):
            return True
        if self._clock() < self._silent_until:
            return False
        self._silent_until = self._clock() + _SILENCE_S
        record.msg = "no more files can be opened (ulimit -n): clients that come now wait"
        record.args, record.exc_info = None, None
        return True
