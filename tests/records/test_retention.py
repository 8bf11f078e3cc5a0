"""Which records are removed, and that nothing else is."""

import errno
import os
from pathlib import Path

import pytest

from whisper_streaming.records.retention import Removal, remove_old_records

NOW = 1_800_000_000.0
DAY = 24 * 3600.0
NAME = "20261121T093000Z-" + "0123456789abcdef" * 2


def put(path: Path, age_days: float) -> Path:
    path.write_text("x")
    os.utime(path, (NOW, NOW - age_days * DAY))
    return path


def test_records_that_are_too_old_are_removed(tmp_path: Path) -> None:
    endings = ("srt", "vtt", "jsonl", "flac", "en.srt", "fra_Latn.vtt", "translation.srt")
    old = [put(tmp_path / f"{NAME}.{ending}", 7.1) for ending in endings]
    young = put(tmp_path / f"{NAME[:-1]}0.jsonl", 6.9)

    assert remove_old_records(tmp_path, 7.0, NOW) == Removal(7, None)
    assert not any(path.exists() for path in old)
    assert young.exists()


def test_files_of_others_stay(tmp_path: Path) -> None:
    target = put(tmp_path / "important.txt", 100.0)
    (tmp_path / f"{NAME}.srt").symlink_to(target)
    (tmp_path / f"{NAME}.vtt").mkdir()
    os.utime(tmp_path / f"{NAME}.vtt", (NOW - 100 * DAY, NOW - 100 * DAY))
    for name in ("notes.srt", f"{NAME}.wav", f"x{NAME}.srt", f"{NAME}.my notes.srt"):
        put(tmp_path / name, 100.0)
    before = sorted(tmp_path.iterdir())

    assert remove_old_records(tmp_path, 7.0, NOW) == Removal(0, None)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_cannot_be_removed_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn, other = (put(tmp_path / f"{NAME}.{ending}", 8.0) for ending in ("flac", "vtt"))
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == stubborn:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)

    removal = remove_old_records(tmp_path, 7.0, NOW)

    assert removal == Removal(1, f"{NAME}.flac: Operation not permitted")
    assert not other.exists()


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "gone"

    assert remove_old_records(folder, 7.0, NOW) == Removal(0, f"{folder}: {os.strerror(2)}")
