"""Logging of the command-line programs; the library itself configures none."""

import logging
from typing import Final

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_PACKAGE_LOGGER: Final = "whisper_streaming"
_WEBSOCKET_LOGGER: Final = "whisper_streaming.websocket"


def setup_logging(level: str) -> None:
    """Log this package from ``level`` on to standard error, and other libraries' warnings."""
    logging.basicConfig(level=logging.WARNING, format=_FORMAT)
    logging.getLogger(_PACKAGE_LOGGER).setLevel(level)
    # Handshakes and frames of every peer: noise, and frames hold text of transcripts.
    logging.getLogger(_WEBSOCKET_LOGGER).setLevel(
        logging.DEBUG if level == "DEBUG" else logging.CRITICAL
    )
