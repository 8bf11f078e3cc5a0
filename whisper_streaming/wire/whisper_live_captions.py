"""The segments messages of one WhisperLive connection: which are sent, and in what form.

A stock client never clears the last partial it was shown, and adds it to its subtitles unless
its text equals that of the last completed segment. So for stock clients

- a segment that completes with nothing open after it is first sent as an open one with the
  text it will complete with, unless that is what they were shown last;
- where a partial is withdrawn and nothing else is open, the last completed segment is sent once
  more as an open one, which replaces the withdrawn text and adds nothing. Where nothing was
  completed yet, an open segment without text is the least harm: an empty list crashes them.

Clients that ask for a ``summary`` replace what is open by each message, so they need neither
and may get an empty list.
"""

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from whisper_streaming.core.transcript import Segment
from whisper_streaming.wire.whisper_live_messages import Options

MAX_LISTED: Final = 10_000
"""Most completed segments in one message, also where a client asks for all of them."""


@dataclass(frozen=True, slots=True)
class _Caption:
    """A segment as it is printed in a message."""

    segment: Segment
    text: str
    json: str


class CaptionWriter:
    """Prints completed and open segments for one client.

    Every completed segment is sent at least once, always with the same text and times, however
    few of them the client wants listed.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._listed: deque[_Caption] = deque(maxlen=options.send_last_n_segments or MAX_LISTED)
        self._unsent = 0  # of the newest listed ones
        self._shown_open: _Caption | None = None  # what a stock client holds for the open segment
        # Without this a client would learn at the start that nothing was said.
        self._last_message = self._printed((), None)
        self._has_written = False

    @property
    def has_written(self) -> bool:
        """Whether there was a segments message."""
        return self._has_written

    def write(self, completed: Sequence[Segment], open_segment: Segment | None) -> list[str]:
        """Messages that tell what changed; none if nothing visible did.

        Args:
            completed: What completed since the last call, oldest first.
            open_segment: What is open now.
        """
        messages: list[str] = []
        for segment in completed:
            if self._unsent == self._listed.maxlen:
                # With what follows as open: its words may have been shown as final before.
                follower = self._caption(replace(segment, completed=False))
                messages.append(self._message(self._listed, follower))
            if segment is completed[-1] and open_segment is None:
                messages += self._announced(segment)
            self._listed.append(self._caption(segment))
            self._unsent += 1
        if not completed and open_segment is None:
            messages += self._withdrawal()
        if self._listed or open_segment is not None or self._options.summary:
            opened = None if open_segment is None else self._caption(open_segment)
            if self._printed(self._listed, opened) != self._last_message:
                messages.append(self._message(self._listed, opened))
        return messages

    def _announced(self, segment: Segment) -> list[str]:
        """The segment that is about to complete as an open one."""
        caption = self._caption(replace(segment, completed=False))
        return [self._message(self._listed, caption)] if self._is_outdated(caption.text) else []

    def _withdrawal(self) -> list[str]:
        """What makes a stock client forget the open segment it was shown."""
        if self._shown_open is None:
            return []
        if not self._listed:
            blank = replace(self._shown_open.segment, words=(), committed_text="")
            return [self._message((), self._caption(blank))] if self._is_outdated("") else []
        last = self._listed[-1]
        if not self._is_outdated(last.text):
            return []
        # Its text is not committed a second time.
        again = replace(last.segment, completed=False, committed_text="")
        earlier = islice(self._listed, len(self._listed) - 1)
        return [self._message(earlier, self._print(again, last.text))]

    def _is_outdated(self, text: str) -> bool:
        if self._options.summary or self._shown_open is None:
            return False
        return self._shown_open.text != text

    def _message(self, listed: Iterable[_Caption], opened: _Caption | None) -> str:
        self._last_message = self._printed(listed, opened)
        self._unsent = 0
        self._shown_open = opened or self._shown_open
        self._has_written = True
        return self._last_message

    def _printed(self, listed: Iterable[_Caption], opened: _Caption | None) -> str:
        segments = [caption.json for caption in listed]
        if opened is not None:
            segments.append(opened.json)
        return f'{{"uid": {json.dumps(self._options.uid)}, "segments": [{", ".join(segments)}]}}'

    def _caption(self, segment: Segment) -> _Caption:
        """``segment`` as the successor of the listed ones."""
        # A stock client takes a text for a repetition that equals the one before it without its
        # leading space. Where a language has none, an extra space keeps "はい。" "はい。" apart.
        before = self._listed[-1].text.strip() if self._listed else ""
        is_alike = before != "" and segment.text[:1] == before[0]
        return self._print(segment, f" {segment.text}" if is_alike else segment.text)

    def describe(self, segments: Iterable[Segment]) -> list[dict[str, object]]:
        """Completed segments of a transcript of their own, in the form of all others."""
        return [self._fields(segment, segment.text) for segment in segments]

    def _print(self, segment: Segment, text: str) -> _Caption:
        return _Caption(segment, text, json.dumps(self._fields(segment, text)))

    def _fields(self, segment: Segment, text: str) -> dict[str, object]:
        fields: dict[str, object] = {
            "start": self._time(segment.start),
            "end": self._time(segment.end),
            "text": text,
            "completed": segment.completed,
        }
        lead = text[: len(text) - len(segment.text)]
        if not segment.completed:
            fields["committed_text"] = segment.committed_text and lead + segment.committed_text
        if segment.speaker is not None:
            fields["speaker"] = segment.speaker
        if self._options.word_timestamps:
            fields["words"] = [
                {
                    "word": word.text if index else lead + word.text,
                    "start": self._time(word.start),
                    "end": self._time(word.end),
                    "probability": round(word.probability, 4),
                    **({"aligned": True} if word.is_aligned else {}),
                }
                for index, word in enumerate(segment.words)
            ]
        return fields

    def _time(self, time_s: float) -> str | float:
        return round(time_s, 3) if self._options.numeric_times else f"{time_s:.3f}"
