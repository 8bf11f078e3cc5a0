"""The recorder's thread: what it does when the disk is full, slow or gone."""

import json
import logging
import os
import queue
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import FakeClock
from tests.forward.builders import facts
from tests.records.limits import full_disk
from tests.records.test_session_record import decoded, said
from whisper_streaming.config import CaptionSettings, RecordSettings
from whisper_streaming.core.events import AudioAccount, SessionEnded
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import RecordError
from whisper_streaming.live.input_end import Ending
from whisper_streaming.records import Recorder, create_recorder, disk_sync, recorder
from whisper_streaming.records.retention import Removal
from whisper_streaming.records.session_record import RecordRules

ENDED = SessionEnded(AudioAccount(1, 1, 0, 0))
TIMEOUT_S = 30.0


@contextmanager
def recording(folder: Path, *, audio: bool = False) -> Iterator[Recorder]:
    """A recorder; closing it waits for what it has to write."""
    it = Recorder(RecordRules(folder, audio))
    it.open()
    yield it
    it.close(TIMEOUT_S)


def lines(folder: Path, session: str) -> list[dict[str, object]]:
    (path,) = folder.glob(f"*-{session}.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_sessions_are_recorded_and_counted(tmp_path: Path) -> None:
    with recording(tmp_path, audio=True) as it:
        first, second = it.observe(facts("s1")), it.observe(facts("s2"))
        first.receive_audio(np.full(1600, 0.5, np.float32))
        first.receive([*said("one", 0.0), ENDED])
        second.receive(said("two", 0.0))
        first.end(Ending.COMPLETE)
        assert it.stats().open in (1, 2)  # the thread may not be there yet
        second.end(Ending.COMPLETE)

    assert [line["type"] for line in lines(tmp_path, "s1")] == ["session", "segment", "end"]
    assert [line.get("text") for line in lines(tmp_path, "s2")] == [None, "two", None]
    (audio,) = tmp_path.glob("*-s1.flac")
    assert decoded(audio).tolist() == [0.5] * 1600
    stats = it.stats()
    assert (stats.open, stats.finished, stats.incomplete) == (0, 2, 0)
    assert (stats.waiting_bytes, stats.failed_writes, stats.is_failing) == (0, 0, False)


def test_a_full_disk_is_told_once_and_made_up_for_as_soon_as_it_has_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "whisper_streaming.records")
    with recording(tmp_path) as it:
        observer = it.observe(facts("s1"))
        with full_disk(80), told("cannot be written"):
            observer.receive(said("one", 0.0))
            observer.receive(said("two", 2.0, utterance_id=2))
        with told("are written"):  # though nothing more is said
            assert it.stats().is_failing
        observer.receive(said("three", 4.0, utterance_id=3))
        observer.end(Ending.COMPLETE)

    assert [line.get("text") for line in lines(tmp_path, "s1")][1:-1] == ["one", "two", "three"]
    assert [record.getMessage() for record in caplog.records] == [
        f"records cannot be written to {tmp_path}, trying again: File too large",
        f"records are written to {tmp_path} again",
    ]
    assert (it.stats().finished, it.stats().is_failing) == (1, False)
    assert it.stats().failed_writes >= 1


def test_a_disk_that_stays_full_costs_the_record_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with recording(tmp_path) as it:
        observer = it.observe(facts("s1"))
        with full_disk(80), told("is given up"):
            observer.receive(said("one", 0.0))
            observer.end(Ending.COMPLETE)

    assert (it.stats().finished, it.stats().incomplete) == (0, 1)
    assert (
        "20261101T120000Z-s1.jsonl is given up: the session ended (File too large)" in caplog.text
    )


def test_in_a_removed_folder_sessions_go_on_without_a_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    with recording(folder) as it:
        with told("session s1 is recorded"):
            first = it.observe(facts("s1"))
        with told("is given up"):
            shutil.rmtree(folder)
            first.receive(said("two", 2.0, utterance_id=2))
        first.end(Ending.COMPLETE)
        second = it.observe(facts("s2"))
        with told("session s2 is not recorded"):
            second.receive(said("one", 0.0))
            second.end(Ending.COMPLETE)
        folder.mkdir()
        third = it.observe(facts("s3"))
        third.end(Ending.COMPLETE)

    assert (it.stats().finished, it.stats().incomplete) == (1, 2)
    assert "s1.srt is given up: it was removed" in caplog.text
    assert f"session s2 is not recorded: no file in {folder}" in caplog.text
    assert {path.suffix for path in folder.iterdir()} == {".jsonl", ".srt", ".vtt"}


def test_audio_that_a_slow_disk_has_no_room_for_becomes_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder, "MAX_WAITING_BYTES", 4 * 16_000)
    loud = np.full(4_000, 0.5, np.float32)  # a quarter of the room
    it = Recorder(RecordRules(tmp_path, audio=True))
    observer = it.observe(facts("s1"))
    for _ in range(4):
        observer.receive_audio(loud)
    observer.receive(said("one", 0.0))
    assert it.stats().lost_audio_s == 0.5
    observer.end(Ending.COMPLETE)
    it.open()
    it.close(TIMEOUT_S)

    (path,) = tmp_path.glob("*.flac")
    assert decoded(path).tolist() == [0.5] * 8_000 + [0.0] * 8_000
    assert lines(tmp_path, "s1")[1]["text"] == "one"
    assert caplog.text.count("silence takes its place") == 1
    assert it.stats().finished == 1


def test_words_that_a_hanging_disk_has_no_room_for_end_the_record_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder, "MAX_WAITING_BYTES", 4096)
    it = Recorder(RecordRules(tmp_path))
    observer = it.observe(facts("s1"))
    for index in range(100):
        observer.receive(said(f"word{index}", 2.0 * index, utterance_id=index + 1))
    observer.end(Ending.COMPLETE)
    assert it.stats().waiting_bytes == 4096
    it.open()
    it.close(TIMEOUT_S)

    assert [line.get("text") for line in lines(tmp_path, "s1")][1:-1] == ["word0", "word1"]
    assert lines(tmp_path, "s1")[-1]["reason"] == "cut off"
    assert caplog.text.count("session s1 is not recorded any further") == 1
    assert it.stats().incomplete == 1


def test_old_records_are_removed_at_the_start(tmp_path: Path) -> None:
    old = tmp_path / f"20251121T093000Z-{'0' * 32}.srt"
    old.touch()
    clock = FakeClock(old.stat().st_mtime + 31 * 24 * 3600)
    it = Recorder(RecordRules(tmp_path), keep_days=30.0, clock=clock)
    it.open()
    it.close(TIMEOUT_S)

    assert not old.exists()
    assert it.stats().removed == 1


def test_old_records_are_looked_for_once_an_hour(tmp_path: Path) -> None:
    clock = FakeClock(1_800_000_000.0)
    it = Recorder(RecordRules(tmp_path), keep_days=30.0, clock=clock)
    it.open()
    with told("session s1 is recorded"):
        it.observe(facts("s1"))
    old = tmp_path / f"20251121T093000Z-{'0' * 32}.srt"
    old.touch()
    os.utime(old, (0.0, 0.0))
    clock.advance(3599.0)
    with told("session s2 is recorded"):
        it.observe(facts("s2"))
    assert old.exists()
    with told("1 files older than 30 days were removed"):
        clock.advance(1.0)
        it.observe(facts("s3"))
    it.close(TIMEOUT_S)

    assert not old.exists()


def test_old_records_are_looked_for_after_the_clock_was_set_back(tmp_path: Path) -> None:
    clock = FakeClock(1_800_000_000.0)
    it = Recorder(RecordRules(tmp_path), keep_days=30.0, clock=clock)
    it.open()
    with told("session s1 is recorded"):
        it.observe(facts("s1"))
    old = tmp_path / f"20251121T093000Z-{'0' * 32}.srt"
    old.touch()
    os.utime(old, (0.0, 0.0))
    with told("1 files older than 30 days were removed"):
        clock.advance(-100 * 24 * 3600.0)
        it.observe(facts("s2"))
    it.close(TIMEOUT_S)


def test_what_is_recorded_is_put_on_the_disk_while_the_session_runs_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = queue.SimpleQueue[str]()
    fsync = os.fsync

    def listen(file: int) -> None:
        fsync(file)
        synced.put(next(p.suffix for p in paths() if p.stat().st_ino == os.fstat(file).st_ino))

    def paths() -> list[Path]:
        return [tmp_path, *tmp_path.iterdir()]

    monkeypatch.setattr(os, "fsync", listen)
    monkeypatch.setattr(disk_sync, "SYNC_S", 0.0)
    with recording(tmp_path, audio=True) as it:
        observer = it.observe(facts("s1"))
        running = [synced.get(timeout=TIMEOUT_S) for _ in range(5)]
        monkeypatch.setattr(disk_sync, "SYNC_S", 3600.0)
        observer.receive(said("one", 0.0))
        observer.end(Ending.COMPLETE)

    ended = []
    while not synced.empty():
        ended.append(synced.get())
    assert running == [".flac", ".jsonl", ".srt", ".vtt", ""]  # "" is the folder
    assert ended[-5:] == running


def test_a_disk_that_hangs_does_not_keep_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hang(*_: object) -> Removal:
        release.wait(TIMEOUT_S)
        return Removal(0, None)

    monkeypatch.setattr(recorder, "remove_old_records", hang)
    it = Recorder(RecordRules(tmp_path), keep_days=1.0)
    it.open()
    it.observe(facts("s1")).end(Ending.COMPLETE)
    it.close(timeout_s=0.01)
    release.set()
    it.close(TIMEOUT_S)

    assert caplog.text.count("did not take all records") == 1


# --- by the settings ------------------------------------------------------------------------


def test_without_a_folder_nothing_is_recorded() -> None:
    assert create_recorder(RecordSettings(), CaptionSettings(), SegmentRules()) is None


def test_the_folder_is_created_for_its_owner_alone(tmp_path: Path) -> None:
    settings = RecordSettings(dir=str(tmp_path / "records"), audio=True)

    it = create_recorder(settings, CaptionSettings(line_length=32), SegmentRules())

    assert it is not None
    assert stat.S_IMODE((tmp_path / "records").stat().st_mode) == 0o700
    assert (it.rules.audio, it.rules.captions.line_length) == (True, 32)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        pytest.param("none/records", "there is no folder", id="without a parent"),
        pytest.param("a file", "this is no folder", id="a file"),
        pytest.param("a link", "this is no folder", id="a link to nowhere"),
        pytest.param("/proc", "no file there", id="nobody may write there, not even root"),
    ],
)
def test_a_folder_that_cannot_be_had_is_an_error(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "a link").symlink_to(tmp_path / "nowhere")

    with pytest.raises(RecordError, match=reason):
        create_recorder(
            RecordSettings(dir=str(tmp_path / place)), CaptionSettings(), SegmentRules()
        )


@pytest.mark.parametrize("settings", [{"audio": True}, {"keep_days": 3}])
def test_records_without_a_folder_are_a_wrong_setting(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="--record-dir"):
        RecordSettings.model_validate(settings)


def test_an_empty_name_of_a_folder_is_a_wrong_setting_and_not_the_current_one() -> None:
    with pytest.raises(ValueError, match="at least 1 character"):
        RecordSettings(dir="")


@contextmanager
def told(text: str) -> Iterator[None]:
    """Wait at the end of the block until the recorder has logged ``text``."""
    heard = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage():
                heard.set()

    listener, logger = Listener(), logging.getLogger("whisper_streaming.records")
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    try:
        yield
        assert heard.wait(TIMEOUT_S), f"nobody said {text!r}"
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
