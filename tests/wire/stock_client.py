"""What WhisperLive's own Python client (0.10.0) makes of messages, after its source.

Its quirks are the point: it crashes on an empty list, ignores a text equal to the one before it,
stores a completed segment only if it starts after the last one's end, and never clears its last
partial, which it adds to the subtitles it writes.
"""

import json
from dataclasses import dataclass, field


@dataclass
class StockClient:
    """The state of one client between its socket and its subtitle file."""

    uid: str
    backend: str | None = None
    language: str | None = None
    transcript: list[dict[str, object]] = field(default_factory=list)
    last_segment: dict[str, object] | None = None
    shown: str = ""

    def on_message(self, message: str) -> None:
        fields = json.loads(message)
        assert fields.get("uid") == self.uid
        if "status" in fields:
            return
        if fields.get("message") == "SERVER_READY":
            self.backend = fields["backend"]
            return
        if "language" in fields:
            self.language = fields["language"]
            return
        if "segments" in fields:
            self._process_segments(fields["segments"])

    def subtitles(self) -> list[str]:
        """The cues that it would write now."""
        texts = [str(segment["text"]) for segment in self.transcript]
        if self.last_segment and texts[-1:] != [self.last_segment["text"]]:
            texts.append(str(self.last_segment["text"]))
        return texts

    def _process_segments(self, segments: list[dict[str, object]]) -> None:
        texts: list[str] = []
        for index, segment in enumerate(segments):
            if texts and texts[-1] == segment["text"]:
                continue
            texts.append(str(segment["text"]).strip())
            if index == len(segments) - 1 and not segment.get("completed", False):
                self.last_segment = segment
            elif self.backend == "faster_whisper" and segment.get("completed", False):
                self._store(segment)
        segments[-1]["text"]  # an empty list is an IndexError there as well
        self.shown = " ".join(texts)

    def _store(self, segment: dict[str, object]) -> None:
        if self.transcript and float(str(segment["start"])) < float(
            str(self.transcript[-1]["end"])
        ):
            return
        self.transcript.append(segment)
