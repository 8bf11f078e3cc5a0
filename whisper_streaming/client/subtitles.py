"""A finished transcript as SRT, WebVTT, JSON or plain text."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from whisper_streaming.client.result import (
    TranscriptionResult,
    TranscriptSegment,
    TranscriptWord,
)

# A cue that ends where it starts is invisible, and some players reject the file.
_SHORTEST_CUE_MS: Final = 500


@dataclass(frozen=True, slots=True)
class _Cue:
    """One caption; the text is one line without space around it, ``words`` are the same text."""

    start_ms: int
    end_ms: int
    text: str
    speaker: str | None
    words: Sequence[TranscriptWord]


def to_srt(result: TranscriptionResult) -> str:
    """SubRip: numbered cues, times with a comma."""
    blocks = []
    for number, cue in enumerate(_cues(result.segments), start=1):
        speaker = f"[{cue.speaker}] " if cue.speaker else ""
        # SubRip has no escapes; an arrow inside the text would be read as a line of times.
        text = (speaker + cue.text).replace("-->", "→")
        times = f"{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}"
        blocks.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(blocks)


def to_vtt(result: TranscriptionResult) -> str:
    """WebVTT: the header, then cues with times with a point.

    Where the times of words are known, each word has its own, and a player can show the words
    one by one or mark the one that is spoken.
    """
    blocks = ["WEBVTT\n"]
    for cue in _cues(result.segments):
        voice = f"<v {_escape(cue.speaker)}>" if cue.speaker else ""
        times = f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}"
        blocks.append(f"{times}\n{voice}{_timed_text(cue)}\n")
    return "\n".join(blocks)


def to_json(result: TranscriptionResult) -> str:
    """Everything that is known about the transcript, times in seconds."""
    fields = {
        "text": result.text,
        "language": result.language,
        "model": result.model,
        "notice": result.notice,
        "complete": result.complete,
        "segments": result.segments,
        "gaps": [asdict(gap) for gap in result.gaps],
        "samples_sent": result.samples_sent,
        "summary": asdict(result.summary) if result.summary is not None else None,
    }
    return json.dumps(fields, ensure_ascii=False, indent=2) + "\n"


def to_text(result: TranscriptionResult) -> str:
    """One line per segment."""
    return "".join(f"{text}\n" for segment in result.segments if (text := one_line(segment)))


FORMATS: Final[Mapping[str, Callable[[TranscriptionResult], str]]] = {
    "srt": to_srt,
    "vtt": to_vtt,
    "json": to_json,
    "txt": to_text,
}


def one_line(segment: TranscriptSegment) -> str:
    """The segment's text without line breaks and without space around it."""
    return " ".join(segment["text"].split())


def _cues(segments: Sequence[TranscriptSegment]) -> Iterator[_Cue]:
    spoken = [segment for segment in segments if one_line(segment)]
    for index, segment in enumerate(spoken):
        start_ms = max(0, round(segment["start"] * 1000))
        end_ms = round(segment["end"] * 1000)
        if end_ms <= start_ms:
            end_ms = start_ms + _SHORTEST_CUE_MS
            if index + 1 < len(spoken):
                next_ms = round(spoken[index + 1]["start"] * 1000)
                end_ms = max(start_ms + 1, min(end_ms, next_ms))
        text, words = one_line(segment), segment.get("words", [])
        is_same = " ".join("".join(word["word"] for word in words).split()) == text
        yield _Cue(start_ms, end_ms, text, segment.get("speaker"), words if is_same else ())


def _timed_text(cue: _Cue) -> str:
    """The escaped text with a time before each word that has one of its own.

    WebVTT wants the times inside a cue to grow, and to lie between its start and its end.
    """
    if not cue.words:
        return _escape(cue.text)
    pieces, reached_ms = [], cue.start_ms
    for word in cue.words:
        text = word["word"].lstrip()
        pieces.append(word["word"][: len(word["word"]) - len(text)])
        start_ms = round(word["start"] * 1000)
        if text and reached_ms < start_ms < cue.end_ms:
            pieces.append(f"<{_clock(start_ms, '.')}>")
            reached_ms = start_ms
        pieces.append(_escape(text))
    return " ".join("".join(pieces).split())


def _clock(time_ms: int, point: str) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
