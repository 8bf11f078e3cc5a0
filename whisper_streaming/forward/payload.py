"""What is posted: segments with ids that never change, and the bodies made of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from whisper_streaming.core.transcript import Segment
from whisper_streaming.forward.target import Template
from whisper_streaming.live.observers import SessionFacts


@dataclass(frozen=True, slots=True)
class FinalSegment:
    """One completed segment, without its words.

    Attributes:
        number: Counts from 1 in its session, without a hole: who misses one, lost one.
        start: Seconds on the session's audio clock.
        end: The same.
        text: With the leading space of its first word, so that texts can be joined.
        language: Spoken language, as far as it was known then.
        speaker: Who speaks, if anybody found out.
    """

    number: int
    start: float
    end: float
    text: str
    language: str | None
    speaker: str | None


@dataclass(frozen=True, slots=True)
class Post:
    """Segments of one session that follow one another, in order; never empty."""

    session: SessionFacts
    segments: tuple[FinalSegment, ...]

    @property
    def id(self) -> str:
        """The same at every attempt; no other post has it."""
        return f"{self.session.id}.{self.segments[0].number}-{self.segments[-1].number}"


def final_segment(number: int, segment: Segment, language: str | None) -> FinalSegment:
    """What is kept of ``segment``: a tenth of its memory."""
    return FinalSegment(number, segment.start, segment.end, segment.text, language, segment.speaker)


def render(post: Post, template: Template, n_predict: int) -> bytes:
    """The body of ``post``: JSON in UTF-8, the same at every attempt."""
    match template:
        case "json":
            content = _plain(post)
        case "llama_completion":
            content = _llama_completion(post, n_predict)
    # A client's uid may hold half of a surrogate pair, which no encoding can express.
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def _plain(post: Post) -> Mapping[str, object]:
    session = post.session
    return {
        "id": post.id,
        "session": {
            "id": session.id,
            "uid": session.uid,
            "began": session.began.isoformat(timespec="milliseconds"),
            "model": session.model,
            "task": session.task,
        },
        "segments": [
            {
                "id": f"{session.id}.{segment.number}",
                "number": segment.number,
                "start": segment.start,
                "end": segment.end,
                "text": segment.text.strip(),
                "language": segment.language,
                "speaker": segment.speaker,
            }
            for segment in post.segments
        ],
    }


def _llama_completion(post: Post, n_predict: int) -> Mapping[str, object]:
    """llama.cpp's server, tools/server/README.md: POST /completion."""
    prompt = "".join(segment.text for segment in post.segments).strip()
    return {"prompt": prompt, "n_predict": n_predict, "stream": False}
