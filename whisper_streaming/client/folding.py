"""Folding of a server's messages into one transcript.

A WhisperLive server sends its last N completed segments again and again, with at most one
open segment behind them. What is new has to be found by the receiver.
"""

from collections.abc import Sequence
from dataclasses import replace

from whisper_streaming.client.result import (
    TranscriptSegment,
    TranscriptUpdate,
    TranslatedSegment,
    append_text,
    segment_fields,
    translation_fields,
)
from whisper_streaming.core.events import SpeakersRevised
from whisper_streaming.wire.whisper_live_messages import WireSegment, WireTranslation


class TranscriptFold:
    """All completed segments of a session, once each and in order, and the open one."""

    def __init__(self) -> None:
        self._completed: list[WireSegment] = []
        self._open: WireSegment | None = None
        # Kept beside the segments, so that an update of a long session stays cheap.
        self._completed_fields: list[TranscriptSegment] = []
        self._completed_text = ""

    @property
    def has_open_segment(self) -> bool:
        return self._open is not None

    def receive(self, window: Sequence[WireSegment]) -> bool:
        """Take one message: the newest completed segments, and the open one or none.

        Returns:
            Whether anything changed.
        """
        completed = [segment for segment in window if segment.completed]
        still_open = [segment for segment in window if not segment.completed]
        new = find_new(self._completed, completed)
        open_before = self._open
        for segment in new:
            self._append(segment)
        self._open = still_open[-1] if still_open else None
        return bool(new) or self._open != open_before

    def revise(self, revision: SpeakersRevised) -> bool:
        """Rename the speakers of completed segments.

        Returns:
            Whether anything changed.
        """
        changed = False
        for index, segment in enumerate(self._completed):
            speaker = revision.speaker_of(segment.start, segment.end)
            if speaker is not None and speaker != segment.speaker:
                self._completed[index] = replace(segment, speaker=speaker)
                # Anew: the caller of an earlier update has the old one.
                self._completed_fields[index] = segment_fields(self._completed[index])
                changed = True
        return changed

    def complete_open_segment(self) -> None:
        """Take the open segment as final: the server ended without completing it."""
        if self._open is not None:
            self._append(replace(self._open, completed=True, committed_text=None))
            self._open = None

    def update(self) -> TranscriptUpdate:
        """The transcript so far. The list is the caller's own."""
        segments = list(self._completed_fields)
        text = self._completed_text
        if self._open is not None:
            segments.append(segment_fields(self._open))
            text = append_text(text, self._open.text)
        return TranscriptUpdate(text.strip(), segments)

    def _append(self, segment: WireSegment) -> None:
        self._completed.append(segment)
        self._completed_fields.append(segment_fields(segment))
        self._completed_text = append_text(self._completed_text, segment.text)


class TranslationFold:
    """All final translations of a session, once each and in order, and the open one."""

    def __init__(self) -> None:
        self._completed: list[TranslatedSegment] = []
        self._open: TranslatedSegment | None = None

    @property
    def translations(self) -> list[TranslatedSegment]:
        """The open one is last. The list is the caller's own."""
        return [*self._completed] if self._open is None else [*self._completed, self._open]

    def receive(self, window: Sequence[WireTranslation]) -> bool:
        """Take one message: the newest final ones, and the open one or none.

        Returns:
            Whether anything changed.
        """
        # They follow one another and never change, so those that end later are new.
        end = self._completed[-1]["end"] if self._completed else float("-inf")
        listed = [translation_fields(each) for each in window]
        new = [each for each in listed if each["completed"] and each["end"] > end]
        still_open = [each for each in listed if not each["completed"]]
        open_before, self._open = self._open, still_open[-1] if still_open else None
        self._completed += new
        return bool(new) or self._open != open_before


def find_new(known: Sequence[WireSegment], window: Sequence[WireSegment]) -> list[WireSegment]:
    """The segments of ``window`` that follow all ``known`` ones.

    ``window`` is the end of the server's list, so it begins with the end of ``known``, unless
    more than a window was completed since. Equal texts are no reason to drop one: people
    repeat themselves.
    """
    for count in range(min(len(known), len(window)), 0, -1):
        if all(
            _is_same(ours, theirs)
            for ours, theirs in zip(known[-count:], window[:count], strict=True)
        ):
            return list(window[count:])
    # Nothing overlaps. Completed segments never change, but if a server breaks that rule,
    # text that was shown must not be shown twice.
    end = known[-1].end if known else float("-inf")
    return [segment for segment in window if segment.end > end]


def _is_same(ours: WireSegment, theirs: WireSegment) -> bool:
    return (ours.start, ours.end, ours.text) == (theirs.start, theirs.end, theirs.text)
