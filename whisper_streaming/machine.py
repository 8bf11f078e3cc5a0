"""What the machine has for this process."""

import contextlib
import os
import sys
from typing import Final

_FILES: Final = (65_536, 10_240)  # macOS takes no more than the latter


def usable_cores() -> int:
    """Cores that this process may use; only Linux says so, elsewhere they are all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def allow_many_files() -> None:
    """Let this process open as many files as it may; each client is one, with records several.

    Systems allow 1024 at first, for the sake of programs that know no more; what a process may
    raise it to is far above.
    """
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in _FILES:
        if most != resource.RLIM_INFINITY:
            wanted = min(wanted, most)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(allowed, wanted), most))
            return
