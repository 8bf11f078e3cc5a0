"""When files are put on the disk."""

import errno
import os
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from whisper_streaming.records.disk_sync import SYNC_S, DiskSync


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_text("x")
    return paths


def test_it_is_due_some_seconds_after_the_first_write(files: list[Path], tmp_path: Path) -> None:
    clock = FakeClock(100.0)
    sync = DiskSync(tmp_path, clock=clock)
    assert sync.wait_s is None
    sync.note(files[:1])
    clock.advance(2.0)
    sync.note(files)

    assert sync.wait_s == SYNC_S - 2.0
    clock.advance(SYNC_S)
    assert sync.wait_s == 0
    sync.sync()
    assert sync.wait_s is None


def test_a_slow_disk_has_most_of_the_time_for_new_records(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock(100.0)
    monkeypatch.setattr(os, "fsync", lambda _: clock.advance(1.0))
    sync = DiskSync(tmp_path, clock=clock)
    sync.note(files)
    sync.sync()  # three files and the folder
    sync.note(files)

    assert sync.wait_s == 36.0


def test_one_file_that_fails_does_not_keep_the_others_and_a_removed_one_is_no_failure(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fail_at_the_second(file: int) -> None:
        inode = os.fstat(file).st_ino
        if inode == files[1].stat().st_ino:
            raise OSError(errno.EIO, "Input/output error")
        synced.append(inode)

    monkeypatch.setattr(os, "fsync", fail_at_the_second)
    sync = DiskSync(tmp_path, clock=FakeClock(0.0))
    sync.note([*files, tmp_path / "removed"])

    with pytest.raises(OSError, match="Input/output error"):
        sync.sync()

    assert synced == [files[0].stat().st_ino, files[2].stat().st_ino, tmp_path.stat().st_ino]
    assert sync.wait_s is None
