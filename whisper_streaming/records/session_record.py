"""The files of one session. All of it runs in the recorder's thread."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np

from whisper_streaming.captions import CaptionRules, Passage, passage_of, passage_of_text
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.core.events import (
    Event,
    SessionEnded,
    SessionFailed,
    SpeakersRevised,
    TranscriptRevised,
    TranslationCommitted,
)
from whisper_streaming.core.transcript import Segment, SegmentRules
from whisper_streaming.live.input_end import Ending
from whisper_streaming.live.observers import SegmentFeed, SessionFacts
from whisper_streaming.records.audio_file import AudioFile
from whisper_streaming.records.caption_files import CaptionFiles
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

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:_[A-Z][a-z]{3})?")
"""Codes of Whisper and NLLB: what a translator of somebody's own calls a language is no name."""


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
        self._name = record_name(session)
        self._files: list[GrowingFile] = []
        self._translations: CaptionFiles | None = None
        self._may_translate = True
        try:
            self._journal = self._create("jsonl", b"\n")
            self._captions = CaptionFiles(self._create, rules.captions)
            self._audio = AudioFile(self._create("flac")) if rules.audio else None
        except OSError:
            self._discard()
            raise
        self._feed = SegmentFeed(session.language, rules.segments, self._add)
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
                case TranslationCommitted(text=str(text), language=language):
                    passage = passage_of_text(text, event.start, event.end, None)
                    if passage is not None:
                        self._add_translation(passage, language)
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

    def end(self, ending: Ending) -> bool:
        """The session is over: write the rest and close the files. What cannot be written is lost.

        Returns whether something was to be written.

        Args:
            ending: Why the session took no more audio.

        Raises:
            OSError: If something could not be written.
        """
        self._feed.end(ending)
        self._journal.append(encode_line(ending_line(self._last, ending)))
        if (segments := self._revision.segments()) is not None:
            self._captions.rewrite(map(passage_of, segments))
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
        self._captions.add(passage_of(segment))

    def _add_translation(self, passage: Passage, language: str) -> None:
        if self._translations is None and self._may_translate:
            # Not before there is one: nobody may speak another language than that.
            self._may_translate = False
            name = language if _LANGUAGE.fullmatch(language) else "translation"
            try:
                self._translations = CaptionFiles(
                    lambda ending, piece_end: self._create(f"{name}.{ending}", piece_end),
                    self._rules.captions,
                )
            except OSError as error:
                self._give_up(self._path(name), str(error.strerror))
        if self._translations is not None:
            self._translations.add(passage)

    def _create(self, ending: str, piece_end: bytes = b"") -> GrowingFile:
        file = GrowingFile(self._path(ending), piece_end)
        self._files.append(file)
        return file

    def _path(self, ending: str) -> Path:
        return self._rules.folder / f"{self._name}.{ending}"

    def _drop(self, file: GrowingFile, reason: str) -> None:
        self._give_up(file.path, reason)
        file.close()
        self._files.remove(file)

    def _discard(self) -> None:
        """Leave nothing behind of a record that could not be begun."""
        self.close()
        for file in self._files:
            file.path.unlink(missing_ok=True)


def record_name(session: SessionFacts) -> str:
    """What the files of a session are called, without their ending.

    Nothing in it is the client's choice.
    """
    return f"{session.began.astimezone(UTC):%Y%m%dT%H%M%SZ}-{session.id}"
