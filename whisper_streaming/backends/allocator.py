"""Keeps the memory of one decode for the next, instead of giving it back to the system."""

import ctypes
import logging
import os
import sys
from typing import Final

logger = logging.getLogger("whisper_streaming.backend")

# From malloc.h of the GNU C library.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

# The largest that the library would choose by itself; larger blocks are rare.
_MMAP_THRESHOLD: Final = 32 * 2**20
# For each thread that allocates; more than a batch of 8 short windows needs at once.
_TRIM_THRESHOLD: Final = 256 * 2**20
_OPERATORS_OWN: Final = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees; returns whether that could be arranged.

    A decode allocates tens of megabytes and frees them again. The GNU C library gives so much back
    to the system each time, and the system clears every page when it is asked for again: a third
    of the processor time of a batch of 8. Applies to the whole process, and not where the
    operator has set limits, or the C library is another one.
    """
    if not sys.platform.startswith("linux") or any(map(os.environ.get, _OPERATORS_OWN)):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    mallopt.argtypes = [ctypes.c_int, ctypes.c_int]
    mallopt.restype = ctypes.c_int  # 1: done
    done = mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD), mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)
    logger.debug("keeping freed memory: %s", done == (1, 1))
    return done == (1, 1)
