"""Records sessions in a thread of its own, so that a slow or full disk never slows a session."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from whisper_streaming.core.audio import FloatArray, seconds
from whisper_streaming.core.events import Event
from whisper_streaming.live.input_end import Ending
from whisper_streaming.live.observers import SessionFacts, SessionObserver
from whisper_streaming.records.disk_sync import DiskSync
from whisper_streaming.records.retention import remove_old_records
from whisper_streaming.records.session_record import RecordRules, SessionRecord

MAX_WAITING_BYTES: Final = 64 * 2**20
"""What may wait for the disk, of all sessions together: 17 minutes of audio."""
CLOSE_TIMEOUT_S: Final = 5.0

_EVENT_BYTES: Final = 1024
"""About what an event with a few words takes in memory."""
_RETRY_S: Final = 1.0
_LOOK_S: Final = 3600.0
"""So often old records are looked for."""

logger = logging.getLogger("whisper_streaming.records")


@dataclass(slots=True)
class RecordStats:
    """What was recorded so far.

    Attributes:
        is_failing: The newest write failed.
        open: Sessions that are being recorded.
        finished: Sessions whose record is whole, but for lost audio.
        incomplete: Sessions with a file that was given up, or without any record.
        failed_writes: Writes that failed; most are made up for later.
        lost_audio_s: Seconds of audio that silence stands for, because too much waited.
        waiting_bytes: What waits for the disk.
        removed: Files that were removed because of their age.
    """

    is_failing: bool = False
    open: int = 0
    finished: int = 0
    incomplete: int = 0
    failed_writes: int = 0
    lost_audio_s: float = 0.0
    waiting_bytes: int = 0
    removed: int = 0


class Recorder:
    """Records until :meth:`close`. Sessions only put work into its queue, and never wait.

    Args:
        rules: What is recorded where.
        keep_days: Older records are removed; None keeps them.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        rules: RecordRules,
        *,
        keep_days: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self._keep_days = keep_days
        self._clock = clock
        self._look_at = clock()
        self._sync = DiskSync(rules.folder)
        # Bounded by bytes: see has_room.
        self._queue = queue.SimpleQueue[_Work | None]()
        # Each is changed by one thread only, so none needs a lock.
        self._put_bytes = self._done_bytes = 0
        self._opened = self._closed = 0
        self._lost_samples = 0
        self._stats = RecordStats()
        self._open: set[_Record] = set()
        # A daemon, so that a disk that hangs does not keep the process.
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)

    def open(self) -> None:
        """Begin to write."""
        self._thread.start()

    def observe(self, session: SessionFacts) -> SessionObserver:
        """What records ``session``."""
        self._opened += 1
        return _Observer(self, _Record(session))

    def stats(self) -> RecordStats:
        """What was done so far."""
        return replace(
            self._stats,
            open=self._opened - self._closed,
            lost_audio_s=round(seconds(self._lost_samples), 3),
            waiting_bytes=self._put_bytes - self._done_bytes,
        )

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Write what waits, for so long at the most. Blocking. No session runs any more."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.warning("the disk did not take all records before the server stopped")

    # -- for observers, in the event loop

    def has_room(self, size: int, *, share: float = 1.0) -> bool:
        """Whether ``size`` more bytes may wait, if only a share of the room is to be used."""
        return self._put_bytes - self._done_bytes + size <= share * MAX_WAITING_BYTES

    def put(self, record: "_Record", size: int, act: Callable[[], None]) -> None:
        """Let the thread do something for ``record`` that holds about ``size`` bytes."""
        self._put_bytes += size
        self._queue.put(_Work(record, size, act))

    def lose_audio(self, samples: int) -> None:
        """Count audio that silence will stand for."""
        if not self._lost_samples:
            logger.warning("the disk is too slow for the audio, silence takes its place")
        self._lost_samples += samples

    # -- in the thread

    def begin(self, record: "_Record") -> None:
        """Create the files."""
        self._open.add(record)
        try:
            record.files = SessionRecord(record.session, self.rules, partial(self._drop, record))
        except OSError as error:
            record.is_incomplete = True
            logger.warning(
                "session %s is not recorded: no file in %s (%s)",
                record.session.id, self.rules.folder, error.strerror,
            )  # fmt: skip
        else:
            logger.debug("session %s is recorded", record.session.id)

    def flush(self, record: "_Record") -> None:
        """Write what waits of a record."""
        if record.files is not None:
            self._count(record, record.files.flush)

    def end(self, record: "_Record", ending: Ending, *, is_cut: bool) -> None:
        """Close the files.

        Args:
            record: Of the session.
            ending: Why the session took no more audio.
            is_cut: There was no room for its last events.
        """
        if record.files is not None:
            self._count(record, partial(record.files.end, ending))
        self._forget(record, is_incomplete=record.is_incomplete or is_cut)

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work.act()
                self.flush(work.record)
            except Exception:  # the boundary: one record never ends all others
                logger.exception("! a record broke, which is a fault of this program")
                self._forget(work.record, is_incomplete=True)
            self._done_bytes += work.size
        self._sync_files()

    def _next(self) -> "_Work | None":
        """What is to be done next; meanwhile, what has to be done from time to time."""
        while True:
            self._remove_old()
            if self._sync.wait_s == 0:
                self._sync_files()
            with suppress(queue.Empty):
                return self._queue.get(timeout=self._patience_s())
            for record in tuple(self._open):
                self.flush(record)

    def _patience_s(self) -> float:
        """How long to wait for work before something else is due."""
        longest = _RETRY_S if self._stats.is_failing else _LOOK_S
        wait_s = self._sync.wait_s
        return longest if wait_s is None else min(longest, wait_s)

    def _count(self, record: "_Record", write: Callable[[], bool]) -> None:
        """Write, and tell once that it fails, and once that it works again."""
        assert record.files is not None
        paths = record.files.paths
        try:
            has_written = write()
        except OSError as error:
            self._count_failure(error)
            return
        if has_written:
            self._sync.note(paths)
        if has_written and self._stats.is_failing:
            self._stats.is_failing = False
            logger.info("records are written to %s again", self.rules.folder)

    def _count_failure(self, error: OSError) -> None:
        self._stats.failed_writes += 1
        level = logging.DEBUG if self._stats.is_failing else logging.WARNING
        self._stats.is_failing = True
        logger.log(
            level, "records cannot be written to %s, trying again: %s",
            self.rules.folder, error.strerror,
        )  # fmt: skip

    def _sync_files(self) -> None:
        try:
            self._sync.sync()
        except OSError as error:
            self._count_failure(error)

    def _drop(self, record: "_Record", path: Path, reason: str) -> None:
        record.is_incomplete = True
        logger.warning("the record %s is given up: %s", path.name, reason)

    def _forget(self, record: "_Record", *, is_incomplete: bool) -> None:
        if record not in self._open:
            return
        self._open.remove(record)
        if record.files is not None:
            record.files.close()
            record.files = None
        self._closed += 1
        if is_incomplete:
            self._stats.incomplete += 1
        else:
            self._stats.finished += 1

    def _remove_old(self) -> None:
        now = self._clock()
        # A clock that was set back by more than the interval must not put it off.
        if self._keep_days is None or self._look_at - _LOOK_S <= now < self._look_at:
            return
        self._look_at = now + _LOOK_S
        removal = remove_old_records(self.rules.folder, self._keep_days, now)
        self._stats.removed += removal.removed
        if removal.removed:
            logger.info(
                "%d files older than %g days were removed", removal.removed, self._keep_days
            )
        if removal.failure is not None:
            logger.warning("old records cannot be removed: %s", removal.failure)


@dataclass(slots=True, eq=False)
class _Record:
    """One session, for the thread.

    Attributes:
        session: Whose record it is.
        files: None before they are created, and when nothing can be recorded.
        is_incomplete: A file is missing or was given up.
    """

    session: SessionFacts
    files: SessionRecord | None = None
    is_incomplete: bool = False

    def receive(self, events: Sequence[Event]) -> None:
        if self.files is not None:
            self.files.receive(events)

    def receive_audio(self, samples: FloatArray) -> None:
        if self.files is not None:
            self.files.receive_audio(samples)

    def receive_silence(self, samples: int) -> None:
        if self.files is not None:
            self.files.receive_silence(samples)


@dataclass(frozen=True, slots=True)
class _Work:
    """What the thread is to do, and how many bytes it lets go with it."""

    record: _Record
    size: int
    act: Callable[[], None]


class _Observer:
    """Hears a session in the event loop, and only queues."""

    def __init__(self, recorder: Recorder, record: _Record) -> None:
        self._recorder = recorder
        self._record = record
        self._lost_samples = 0  # that silence has yet to stand for
        self._is_cut = False
        self._recorder.put(record, 0, partial(recorder.begin, record))

    def receive_audio(self, samples: FloatArray) -> None:
        if not self._recorder.rules.audio:
            return
        # The other half is for words, which nothing can stand for.
        if not self._recorder.has_room(samples.nbytes, share=0.5):
            self._lost_samples += len(samples)
            self._recorder.lose_audio(len(samples))
            return
        self._make_up()
        self._recorder.put(
            self._record, samples.nbytes, partial(self._record.receive_audio, samples)
        )

    def receive(self, events: Sequence[Event]) -> None:
        size = _EVENT_BYTES * len(events)
        if self._is_cut:
            return
        if not self._recorder.has_room(size):
            self._is_cut = True
            logger.warning(
                "the disk does not answer: session %s is not recorded any further",
                self._record.session.id,
            )
            return
        self._recorder.put(self._record, size, partial(self._record.receive, tuple(events)))

    def end(self, ending: Ending) -> None:
        self._make_up()
        end = partial(self._recorder.end, self._record, ending, is_cut=self._is_cut)
        self._recorder.put(self._record, 0, end)

    def _make_up(self) -> None:
        if self._lost_samples:
            make_up = partial(self._record.receive_silence, self._lost_samples)
            self._recorder.put(self._record, 0, make_up)
            self._lost_samples = 0
