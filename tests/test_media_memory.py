"""Who holds how much memory of a decoder process."""

import mmap
import os
import sys
import threading

import pytest

from whisper_streaming.media_memory import MemoryAccount, Turns, used_memory


class Process:
    """A process whose memory tests set."""

    def __init__(self) -> None:
        self.used = 1000

    def measure(self) -> int:
        return self.used


def accounts(process: Process, patience_s: float = 30.0) -> tuple[MemoryAccount, MemoryAccount]:
    turns = Turns(patience_s, process.measure)
    return MemoryAccount(turns), MemoryAccount(turns)


def test_what_grows_in_a_turn_belongs_to_its_stream() -> None:
    process = Process()
    one, other = accounts(process)

    one.begin_turn()
    process.used += 50
    assert one.held == 50
    one.end_turn()
    process.used += 7  # nobody's turn
    other.begin_turn()
    process.used += 3
    other.end_turn()
    one.begin_turn()
    process.used -= 20
    one.end_turn()

    assert (one.held, other.held) == (30, 3)


def test_what_was_anothers_does_not_count_when_it_is_freed() -> None:
    process = Process()
    one, _ = accounts(process)

    one.begin_turn()
    process.used -= 500
    one.end_turn()
    one.begin_turn()
    process.used += 40

    assert one.held == 40
    one.end_turn()


def test_what_belongs_to_no_stream_waits_for_the_turn_of_one() -> None:
    process = Process()
    turns = Turns(30.0, process.measure)
    stream = MemoryAccount(turns)

    def start_a_thread() -> None:
        with turns.for_nobody():
            process.used += 1000

    stream.begin_turn()
    thread = threading.Thread(target=start_a_thread)
    thread.start()
    process.used += 5
    stream.end_turn()
    thread.join()

    assert (stream.held, process.used) == (5, 2005)


def test_one_stream_runs_at_a_time() -> None:
    one, other = accounts(Process())
    events: list[str] = []

    def run_other() -> None:
        other.begin_turn()
        events.append("other runs")
        other.end_turn()

    one.begin_turn()
    thread = threading.Thread(target=run_other)
    thread.start()
    events.append("one ends")
    one.end_turn()
    thread.join()

    assert events == ["one ends", "other runs"]


def test_a_turn_may_end_twice() -> None:
    one, other = accounts(Process())
    one.begin_turn()
    one.end_turn()
    one.end_turn()

    other.begin_turn()
    other.end_turn()


def test_where_one_hangs_the_others_go_on_uncounted() -> None:
    process = Process()
    hanging, other = accounts(process, patience_s=0.0)
    hanging.begin_turn()

    for _ in range(2):
        other.begin_turn()
        process.used += 100
        other.end_turn()

    assert other.held == 0
    hanging.end_turn()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say")
def test_memory_is_measured() -> None:
    before = used_memory()
    # Straight from the system: the heap may have as much to spare.
    with mmap.mmap(-1, 2**24, flags=mmap.MAP_PRIVATE):
        assert 2**24 <= used_memory() - before < 2**24 + 2**22
        assert used_memory(os.getpid()) >= 2**24


def test_nobody_knows_the_memory_of_a_process_that_is_gone() -> None:
    assert used_memory(2**22 + 1) == 0
