"""Word times by forced alignment: where each letter of a known text is said."""

from whisper_streaming.alignment.loading import load_alignment
from whisper_streaming.alignment.shared import SharedAligner
from whisper_streaming.alignment.stage import AlignmentStage
from whisper_streaming.alignment.words import AlignModel, align

__all__ = ["AlignModel", "AlignmentStage", "SharedAligner", "align", "load_alignment"]
