"""Recordings without sound and sessions without a server, for the arithmetic."""

import json

import numpy as np

from whisper_streaming.bench.job import Take
from whisper_streaming.bench.recordings import Recording, TimedWord
from whisper_streaming.core.audio import samples_of

Listed = tuple[float, str, bool, str | None]


def recording(*words: tuple[str, float], name: str = "test") -> Recording:
    """One utterance of words that end at the given seconds."""
    end = words[-1][1]
    return Recording(
        name=name,
        samples=np.zeros(samples_of(end + 0.5), np.float32),
        language="en",
        text=" ".join(text for text, _ in words),
        words=tuple(TimedWord(text, end - 0.2, end) for text, end in words),
        utterance_ends=(end,),
    )


def segments(*listed: Listed) -> str:
    """A message of a server: (start, text, completed, committed_text) each."""
    return json.dumps(
        {
            "uid": "x",
            "segments": [
                {"start": f"{start:.3f}", "end": f"{start + 1:.3f}", "text": text,
                 "completed": completed}
                | ({} if committed is None else {"committed_text": committed})
                for start, text, completed, committed in listed
            ],
        }
    )  # fmt: skip


def take(*messages: tuple[float, str], failure: str | None = None) -> Take:
    """A session in which the client received ``messages``."""
    received = [(at, message.encode()) for at, message in messages]
    return Take(track=0, messages=received, failure=failure, close_s=0.1)
