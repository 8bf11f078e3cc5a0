"""Sessions and segments that are spoken of in tests."""

from datetime import UTC, datetime

from whisper_streaming.core.hypothesis import Word
from whisper_streaming.core.transcript import Segment
from whisper_streaming.forward.payload import Post, final_segment
from whisper_streaming.live.observers import SessionFacts


def facts(name: str = "s1", uid: str = "client") -> SessionFacts:
    began = datetime(2026, 11, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    return SessionFacts(name, uid, "demo", "transcribe", "en", began)


def segment(text: str, start: float = 0.0) -> Segment:
    return Segment(start, start + 1.0, (Word(f" {text}", start, start + 1.0),))


def post(*texts: str, session: str = "s1", first: int = 1) -> Post:
    numbered = enumerate(texts, first)
    return Post(
        facts(session),
        tuple(final_segment(n, segment(text, float(n)), "en") for n, text in numbered),
    )
