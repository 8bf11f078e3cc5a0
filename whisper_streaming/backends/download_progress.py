"""Progress of a download as log lines, for services that have no terminal."""

import io
import logging
import time
from typing import ClassVar, Final

from tqdm.auto import tqdm

logger = logging.getLogger("whisper_streaming.backend")

# A 500 MB model on a slow line takes minutes: some sign of life, and no flood of them.
INTERVAL_S: Final = 5.0
_MEGABYTE: Final = 1e6


class LoggedProgress(tqdm):  # type: ignore[misc]  # tqdm has no type hints
    """A progress bar that logs how many bytes there are, every ``INTERVAL_S``.

    The hub's client makes one bar each for files, transferred and written bytes. The newest
    line of any byte bar is worth a line, so they share one interval.
    """

    _logged_at: ClassVar[float] = float("-inf")

    def __init__(self, *args: object, **kwargs: object) -> None:
        # Enabled with no terminal, and whatever tqdm still writes by itself goes nowhere.
        options = {**kwargs, "disable": False, "file": io.StringIO(), "mininterval": 0.5}
        super().__init__(*args, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Called by tqdm whenever a bar would be drawn."""
        now = time.monotonic()
        due = now - LoggedProgress._logged_at >= INTERVAL_S
        # Not for the small files that come first: "0 of 0 MB" helps nobody.
        if due and self.unit == "B" and self.n >= _MEGABYTE and self.total:
            LoggedProgress._logged_at = now
            logger.info("fetched %.0f of %.0f MB", self.n / _MEGABYTE, self.total / _MEGABYTE)
        return True
