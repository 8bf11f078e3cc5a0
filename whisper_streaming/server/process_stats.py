"""What the server's own process takes of the machine."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from whisper_streaming.machine import usable_cores

_MEMORY_FILE: Final = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class ProcessStats:
    """A snapshot; the processes that decode containers are not in it.

    Attributes:
        cpu_s: Processor seconds of all threads since the process began.
        cores: Processor cores that it may use.
        memory_mb: Resident memory in 2^20 bytes; None where the system does not tell.
    """

    cpu_s: float
    cores: int
    memory_mb: float | None


def process_stats() -> ProcessStats:
    """What this process takes now."""
    return ProcessStats(round(time.process_time(), 2), usable_cores(), _memory_mb())


def _memory_mb() -> float | None:
    try:
        resident_pages = int(_MEMORY_FILE.read_text().split()[1])
    except OSError:  # Linux only
        return None
    return round(resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
