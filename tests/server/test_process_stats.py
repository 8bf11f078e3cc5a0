"""What the process takes, as it finds out itself."""

import mmap
import os
import sys
import time

import pytest

from whisper_streaming.server.process_stats import process_stats


def test_processor_time_and_cores_are_those_of_this_process() -> None:
    before = time.process_time()
    stats = process_stats()
    after = time.process_time()

    assert before - 0.01 <= stats.cpu_s <= after + 0.01  # rounded
    assert 1 <= stats.cores <= (os.cpu_count() or 1)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_memory_that_is_used_counts() -> None:
    before = process_stats().memory_mb
    # Straight from the system: the heap may have as much to spare.
    with mmap.mmap(-1, 64 * 2**20, flags=mmap.MAP_PRIVATE) as block:
        for start in range(0, len(block), 2**20):
            block[start : start + 2**20] = b"x" * 2**20
        after = process_stats().memory_mb

    assert before is not None
    assert after is not None
    assert after - before > 48
