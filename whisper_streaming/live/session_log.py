"""Which session a line of the log is about."""

import logging
from collections.abc import MutableMapping
from typing import Any

Log = logging.LoggerAdapter[logging.Logger]
"""What a session writes its lines to."""


class SessionLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts the session's number, protocol and peer before each line."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[str, MutableMapping[str, Any]]:
        return f"[{self.extra['session']}] {msg}" if self.extra else str(msg), kwargs
