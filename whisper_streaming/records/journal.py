"""Events of a session as JSON lines: what is worth keeping, and nothing twice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from whisper_streaming.core.events import (
    AudioGap,
    Event,
    InputImpaired,
    LanguageDetected,
    SessionEnded,
    SessionFailed,
    SessionNotice,
    SpeakersRevised,
    SpeakerTurn,
    TranslationCommitted,
)
from whisper_streaming.core.transcript import Segment
from whisper_streaming.live.input_end import Ending
from whisper_streaming.live.observers import SessionFacts

_MAX_UID: Final = 200
"""Characters that are kept of a client's name for its session; it may send a megabyte."""
_DECIMALS: Final = 3

Line = Mapping[str, object]


def encode_line(line: Line) -> bytes:
    """One line of UTF-8."""
    # A client's uid may hold half of a surrogate pair, which no encoding can express.
    return f"{json.dumps(line, ensure_ascii=False)}\n".encode("utf-8", "replace")


def opening_line(session: SessionFacts) -> Line:
    """The first line: whose record this is."""
    return {
        "type": "session",
        "id": session.id,
        "uid": session.uid[:_MAX_UID],
        "began": session.began.isoformat(timespec="milliseconds"),
        "model": session.model,
        "task": session.task,
        "language": session.language,
    }


def segment_line(number: int, segment: Segment, language: str | None) -> Line:
    """A completed segment with its words; the number counts from 1, without a hole."""
    return {"type": "segment", "number": number, **_segment_fields(segment, language)}


def revision_line(segments: Sequence[Segment], language: str | None) -> Line:
    """Segments that take the place of all before them."""
    return {
        "type": "revision",
        "language": language,
        "segments": [
            {"number": number, **_segment_fields(segment, language)}
            for number, segment in enumerate(segments, start=1)
        ],
    }


def event_line(event: Event) -> Line | None:
    """Any other event; None if it is not worth a line, or others tell the same."""
    match event:
        case LanguageDetected(language=language, probability=probability):
            certain = round(probability, _DECIMALS)
            return {"type": "language", "language": language, "probability": certain}
        case AudioGap(reason=reason):
            return {"type": "gap", **_times(event), "reason": str(reason)}
        case InputImpaired(fault=fault, at=at):
            return {"type": "input", "fault": str(fault), "at": round(at, _DECIMALS)}
        case SessionNotice(text=text):
            return {"type": "notice", "text": text}
        case SpeakersRevised(turns=turns):
            return {
                "type": "speakers",
                "turns": [{**_times(turn), "speaker": turn.speaker} for turn in turns],
            }
        case TranslationCommitted(text=text, language=language):
            return {"type": "translation", **_times(event), "text": text, "language": language}
    return None


def ending_line(last: Event | None, ending: Ending) -> Line:
    """The last line.

    Args:
        last: The terminal event; None if the session was cut off before it.
        ending: Why the session took no more audio.
    """
    line = {"type": "end", "ended": ending.value, "complete": False}
    match last:
        case SessionEnded(account=account):
            return {**line, "complete": account.gap == 0, "account": asdict(account)}
        case SessionFailed(account=account, public_reason=reason):
            return {**line, "account": asdict(account), "reason": reason}
    return {**line, "account": None, "reason": "cut off"}


def _segment_fields(segment: Segment, language: str | None) -> Line:
    return {
        "start": segment.start,
        "end": segment.end,
        "text": segment.text.strip(),
        "language": language,
        "speaker": segment.speaker,
        "words": [
            {
                "word": word.text,
                "start": word.start,
                "end": word.end,
                "probability": round(word.probability, _DECIMALS),
                **({"aligned": True} if word.is_aligned else {}),
            }
            for word in segment.words
        ],
    }


def _times(event: AudioGap | TranslationCommitted | SpeakerTurn) -> Line:
    return {"start": round(event.start, _DECIMALS), "end": round(event.end, _DECIMALS)}
