"""What the machine has for this process."""

import os


def usable_cores() -> int:
    """Cores that this process may use; only Linux says so, elsewhere they are all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
