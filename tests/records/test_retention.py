"""Which records are removed, and that nothing else is."""

import os
from pathlib import Path

from whisper_streaming.records.retention import remove_old_records

NOW = 1_800_000_000.0
DAY = 24 * 3600.0
NAME = "20261121T093000Z-" + "0123456789abcdef" * 2


def put(path: Path, age_days: float) -> Path:
    path.write_text("x")
    os.utime(path, (NOW, NOW - age_days * DAY))
    return path


def test_records_that_are_too_old_are_removed(tmp_path: Path) -> None:
    old = [put(tmp_path / f"{NAME}.{ending}", 7.1) for ending in ("srt", "vtt", "jsonl", "flac")]
    young = put(tmp_path / f"{NAME[:-1]}0.jsonl", 6.9)

    assert remove_old_records(tmp_path, 7.0, NOW) == 4
    assert not any(path.exists() for path in old)
    assert young.exists()


def test_files_of_others_stay(tmp_path: Path) -> None:
    target = put(tmp_path / "important.txt", 100.0)
    (tmp_path / f"{NAME}.srt").symlink_to(target)
    (tmp_path / f"{NAME}.vtt").mkdir()
    os.utime(tmp_path / f"{NAME}.vtt", (NOW - 100 * DAY, NOW - 100 * DAY))
    for name in ("notes.srt", f"{NAME}.wav", f"x{NAME}.srt"):
        put(tmp_path / name, 100.0)
    before = sorted(tmp_path.iterdir())

    assert remove_old_records(tmp_path, 7.0, NOW) == 0
    assert sorted(tmp_path.iterdir()) == before
