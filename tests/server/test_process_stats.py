"""What the process takes, as it finds out itself."""

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
    block = b"x" * (64 * 2**20)
    after = process_stats().memory_mb

    assert len(block) == 64 * 2**20
    assert before is not None
    assert after is not None
    assert after - before > 48  # some of it may have been free before
