"""The files of one session. All of it runs in the recorder's thread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np

from whisper_streaming.captions import CaptionRules, CaptionStream, Cue, captions, passage_of
from whisper_streaming.captions.cues import Grown
from whisper_streaming.captions.formats import VTT_HEADER, srt_block, vtt_block
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.core.events import (
    Event,
    SessionEnded,
    SessionFailed,
    SpeakersRevised,
    TranscriptRevised,
)
from whisper_streaming.core.transcript import Segment, SegmentRules
from whisper_streaming.live.observers import SegmentFeed, SessionFacts
from whisper_streaming.records.audio_file import AudioFile
from whisper_streaming.records.growing_file import GrowingFile
from whisper_streaming.records.journal import (
    encode_line,
    ending_line,
    event_line,
    opening_line,
    revision_line,
    segment_line,
)
from whisper_streaming.records.revision import Revision

MAX_WAITING_BYTES: Final = 4 * 2**20
"""What a file may owe: more than an hour of text, or a minute of audio that cannot be packed."""

_SILENCE_SAMPLES: Final = 60 * SAMPLE_RATE
"""Lost audio is replaced piece by piece."""


@dataclass(frozen=True, slots=True)
class RecordRules:
    """What is recorded, and how.

    Attributes:
        folder: Where the files are.
        audio: Record the audio, too.
        segments: When a segment is completed.
        captions: How captions are cut.
    """

    folder: Path
    audio: bool = False
    segments: SegmentRules = field(default_factory=SegmentRules)
    captions: CaptionRules = field(default_factory=CaptionRules)


class SessionRecord:
    """Writes as the session goes; each file can be read at every moment.

    Nothing raises but :meth:`flush` and the constructor.

    Args:
        session: Whose record it is.
        rules: What to write where.
        give_up: Called with each file that is given up, and why.

    Raises:
        OSError: If the files cannot be created.
    """

    def __init__(
        self,
        session: SessionFacts,
        rules: RecordRules,
        give_up: Callable[[Path, str], None],
    ) -> None:
        self._rules = rules
        self._give_up = give_up
        self._files: list[GrowingFile] = []
        try:
            base = rules.folder / record_name(session)
            self._journal = self._create(base, "jsonl", b"\n")
            self._captions = (
                _CaptionFile(self._create(base, "srt", b"\n\n"), srt_block),
                _CaptionFile(self._create(base, "vtt", b"\n\n"), _vtt_block, VTT_HEADER),
            )
            self._audio = AudioFile(self._create(base, "flac")) if rules.audio else None
        except OSError:
            self._discard()
            raise
        self._stream = CaptionStream(rules.captions)
        self._feed = SegmentFeed(session.language, rules.segments, self._add, self._end)
        self._numbers = count(1)
        self._revision = Revision(rules.segments)
        self._last: Event | None = None
        self._journal.append(encode_line(opening_line(session)))

    @property
    def paths(self) -> list[Path]:
        """The files, but for those that were given up."""
        return [file.path for file in self._files]

    def receive(self, events: Sequence[Event]) -> None:
        """The next events, in order."""
        for event in events:
            self._feed.receive([event])
            if (line := event_line(event)) is not None:
                self._journal.append(encode_line(line))
            match event:
                case SpeakersRevised():
                    self._revision.relabel(event)
                case TranscriptRevised(language=language):
                    segments = self._revision.rewrite(event)
                    self._journal.append(encode_line(revision_line(segments, language)))
                case SessionEnded() | SessionFailed():
                    self._last = event

    def receive_audio(self, samples: FloatArray) -> None:
        """The next samples: float32, shape (n,), mono, 16 kHz, in [-1, 1]."""
        if self._audio is not None:
            self._audio.append(samples)

    def receive_silence(self, samples: int) -> None:
        """So many samples were lost on the way; silence keeps the times of the others right."""
        for done in range(0, samples, _SILENCE_SAMPLES):
            silence = np.zeros(min(_SILENCE_SAMPLES, samples - done), np.float32)
            self.receive_audio(silence)

    def flush(self) -> bool:
        """Write everything that waits; returns whether something did.

        Raises:
            OSError: If some of it cannot be written now; it waits on.
        """
        failure: OSError | None = None
        is_due = any(file.waiting for file in self._files)
        for file in tuple(self._files):
            try:
                file.flush()
            except FileNotFoundError:
                self._drop(file, "it was removed")
            except OSError as error:
                failure = error
                if file.waiting > MAX_WAITING_BYTES:
                    self._drop(file, f"{file.waiting} bytes wait ({error.strerror})")
        if failure is not None:
            raise failure
        return is_due

    def end(self) -> bool:
        """The session is over: write the rest and close the files. What cannot be written is lost.

        Returns whether something was to be written.

        Raises:
            OSError: If something could not be written.
        """
        self._feed.end()
        if (segments := self._revision.segments()) is not None:
            cues = captions(filter(None, map(passage_of, segments)), self._rules.captions)
            for captions_file in self._captions:
                captions_file.rewrite(cues)
        if self._audio is not None:
            self._audio.finish()
        try:
            has_written = self.flush()
            if self._audio is not None:
                self._audio.note_length()
            return has_written
        except OSError as error:
            for file in tuple(self._files):
                if file.waiting:
                    self._drop(file, f"the session ended ({error.strerror})")
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Close the files as they are. Idempotent."""
        for file in self._files:
            file.close()

    def _add(self, segment: Segment, language: str | None) -> None:
        self._journal.append(encode_line(segment_line(next(self._numbers), segment, language)))
        self._revision.add(segment)
        passage = passage_of(segment)
        if passage is not None:
            grown = self._stream.add(passage)
            for file in self._captions:
                file.grow(grown)

    def _end(self) -> None:
        self._journal.append(encode_line(ending_line(self._last)))

    def _create(self, base: Path, ending: str, piece_end: bytes = b"") -> GrowingFile:
        file = GrowingFile(base.with_name(f"{base.name}.{ending}"), piece_end)
        self._files.append(file)
        return file

    def _drop(self, file: GrowingFile, reason: str) -> None:
        self._give_up(file.path, reason)
        file.close()
        self._files.remove(file)

    def _discard(self) -> None:
        """Leave nothing behind of a record that could not be begun."""
        self.close()
        for file in self._files:
            file.path.unlink(missing_ok=True)


class _CaptionFile:
    """Cues in a file, the open ones last."""

    def __init__(
        self, file: GrowingFile, write_cue: Callable[[int, Cue], str], header: str = ""
    ) -> None:
        self._file = file
        self._write_cue = write_cue
        self._settled = 0  # cues
        self._settled_end = len(header.encode())
        self._header = header
        file.append(header.encode())

    def grow(self, grown: Grown) -> None:
        settled = self._render(grown.settled, self._settled)
        count = self._settled + len(grown.settled)
        self._file.replace(self._settled_end, settled + self._render(grown.open, count))
        self._settled = count
        self._settled_end += len(settled)

    def rewrite(self, cues: Sequence[Cue]) -> None:
        """These are all."""
        self._file.replace(len(self._header.encode()), self._render(cues, 0))

    def _render(self, cues: Sequence[Cue], before: int) -> bytes:
        """The text of cues after so many others."""
        blocks = []
        for number, cue in enumerate(cues, start=before + 1):
            is_first = number == 1 and not self._header
            blocks.append(("" if is_first else "\n") + self._write_cue(number, cue))
        return "".join(blocks).encode("utf-8", "replace")


def record_name(session: SessionFacts) -> str:
    """What the files of a session are called, without their ending.

    Nothing in it is the client's choice.
    """
    return f"{session.began.astimezone(UTC):%Y%m%dT%H%M%SZ}-{session.id}"


def _vtt_block(_number: int, cue: Cue) -> str:
    return vtt_block(cue)
