"""What a hook is told about a text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextFacts:
    """What a hook may want to know about a text.

    Attributes:
        uid: The client's name for its session.
        language: Of the text, as a Whisper code; None while it is not known.
        speaker: Who says it, if anybody found out.
        is_final: The text will not change any more. Else it is what there is so far of a segment.
    """

    uid: str
    language: str | None
    speaker: str | None
    is_final: bool
