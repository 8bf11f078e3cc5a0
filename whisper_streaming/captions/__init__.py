"""Captions: how a transcript is cut into cues and lines that can be read, and written as files."""

from whisper_streaming.captions.cues import CaptionStream, Cue, captions
from whisper_streaming.captions.passage import Passage, passage_of, passage_of_text
from whisper_streaming.captions.rules import CaptionRules

__all__ = [
    "CaptionRules",
    "CaptionStream",
    "Cue",
    "Passage",
    "captions",
    "passage_of",
    "passage_of_text",
]
