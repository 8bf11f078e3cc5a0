"""Which session a line of the log is about."""

import logging
from typing import Any

Log = logging.LoggerAdapter[logging.Logger]
"""What a session writes its lines to."""


class SessionLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the session's number, protocol and peer before each line.

    Args:
        logger: Where the lines go.
        label: Whose they are. It may hold whatever a client wrote as its path.
    """

    def __init__(self, logger: logging.Logger, label: str) -> None:
        super().__init__(logger)
        self._label = label

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        # An argument and no part of the format: paths may hold "%".
        super().log(level, f"[%s] {msg}", self._label, *args, **kwargs)
