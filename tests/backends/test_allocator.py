"""Memory that a decode freed is there for the next, without asking the system again."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told"
)

# What a batch does: allocate more than the C library keeps by itself, and free it again.
PROGRAM = """
import resource, sys
import numpy as np
from whisper_streaming.backends.allocator import keep_freed_memory

def work():
    arrays = [np.ones(2**20, np.float64) for _ in range(6)]

if "keep" in sys.argv:
    print(keep_freed_memory())
for _ in range(3):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def output_of(*arguments: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_freed_memory_is_kept() -> None:
    (faults,) = output_of()
    told, faults_when_kept = output_of("keep")

    assert told == "True"
    assert int(faults) > 10
    assert int(faults_when_kept) <= 2


def test_what_the_operator_has_set_stays() -> None:
    told, _ = output_of("keep", MALLOC_TRIM_THRESHOLD_="1000000")

    assert told == "False"
