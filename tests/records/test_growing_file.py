"""Files that can be read at every moment."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.event_histories import UNHURRIED
from tests.records.limits import full_disk
from whisper_streaming.records.growing_file import GrowingFile


@pytest.fixture
def file(tmp_path: Path) -> Iterator[GrowingFile]:
    grown = GrowingFile(tmp_path / "a.txt", b"\n")
    yield grown
    grown.close()


def content(file: GrowingFile) -> bytes:
    return file.path.read_bytes()


def test_only_the_owner_may_read_it(file: GrowingFile) -> None:
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_never_overwritten(file: GrowingFile) -> None:
    with pytest.raises(FileExistsError):
        GrowingFile(file.path)


def test_what_is_flushed_is_there(file: GrowingFile) -> None:
    file.append(b"one\n")
    assert content(file) == b""
    file.flush()
    file.append(b"two\n")
    file.flush()

    assert content(file) == b"one\ntwo\n"
    assert (file.size, file.waiting) == (8, 0)


def test_the_last_part_is_replaced_by_a_longer_or_a_shorter_one(file: GrowingFile) -> None:
    file.append(b"one\ntwo\n")
    file.flush()
    file.replace(4, b"twenty\n")
    file.flush()
    assert content(file) == b"one\ntwenty\n"
    file.replace(4, b"2\n")
    file.flush()

    assert content(file) == b"one\n2\n"


def test_the_last_part_can_be_taken_away(file: GrowingFile) -> None:
    file.append(b"one\ntwo\n")
    file.flush()
    file.replace(4, b"")
    file.flush()

    assert content(file) == b"one\n"


def test_a_full_disk_takes_whole_pieces_and_the_rest_waits(file: GrowingFile) -> None:
    file.append(b"one\n")
    file.flush()
    file.append(b"two\nthree\n")
    with full_disk(10), pytest.raises(OSError, match="too large"):
        file.flush()
    assert content(file) == b"one\ntwo\n"
    assert file.waiting == 10
    file.append(b"four\n")
    file.flush()

    assert content(file) == b"one\ntwo\nthree\nfour\n"


def test_of_parts_without_an_end_mark_none_is_written_in_half(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.flac")
    for part in (b"one\n\n", b"two\n\n", b"three"):
        file.append(part)
    with full_disk(12), pytest.raises(OSError, match="too large"):
        file.flush()
    assert content(file) == b"one\n\ntwo\n\n"
    file.append(b"four")
    with full_disk(16), pytest.raises(OSError, match="too large"):
        file.flush()
    assert content(file) == b"one\n\ntwo\n\nthree"
    file.flush()
    file.close()

    assert content(file) == b"one\n\ntwo\n\nthreefour"


def test_what_waits_can_be_replaced(file: GrowingFile) -> None:
    file.append(b"one\n")
    file.flush()
    file.append(b"two\n")
    with full_disk(4), pytest.raises(OSError, match="too large"):
        file.flush()
    file.replace(4, b"2\n")
    file.append(b"3\n")
    file.flush()

    assert content(file) == b"one\n2\n3\n"


def test_a_removed_file_is_noticed(file: GrowingFile) -> None:
    file.path.unlink()
    file.append(b"one\n")

    with pytest.raises(FileNotFoundError, match=r"a\.txt was removed"):
        file.flush()


def test_a_patch_changes_what_was_written_and_nothing_else(file: GrowingFile) -> None:
    file.append(b"one\n")
    file.patch(0, b"O")
    file.flush()
    assert content(file) == b"one\n"
    file.patch(0, b"O")

    assert content(file) == b"One\n"


def test_a_closed_file_keeps_nothing(file: GrowingFile) -> None:
    file.close()
    file.close()
    file.append(b"one\n")
    file.replace(0, b"two\n")
    file.patch(0, b"x")
    file.flush()

    assert (content(file), file.waiting) == (b"", 0)


STEPS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 40), st.binary(max_size=8), st.integers(0, 40)),
    max_size=8,
)


@UNHURRIED
@given(STEPS)
@example([(False, 0, b"ab", 1), (False, 0, b"", 0)])
@example([(False, 0, b"a", 1), (False, 0, b"", 0)])
def test_whatever_the_disk_refuses_the_file_is_whole_in_the_end(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int, bytes, int]]
) -> None:
    expected = b""
    file = GrowingFile(tmp_path_factory.mktemp("grown") / "a")
    for appends, place, added, limit in steps:
        begin = len(expected) if appends else min(place, len(expected))
        expected = expected[:begin] + added
        file.replace(begin, added)
        try:
            with full_disk(limit):
                file.flush()
        except OSError:
            assert expected.startswith(content(file))
    file.flush()
    file.close()

    assert content(file) == expected
