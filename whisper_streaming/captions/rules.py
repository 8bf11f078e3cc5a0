"""What makes a caption readable, and how wide a text is."""

import unicodedata
from dataclasses import dataclass
from typing import Final

_WIDE: Final = frozenset({"W", "F"})
_WITHOUT_WIDTH: Final = frozenset({"Mn", "Me", "Cf"})


@dataclass(frozen=True, slots=True)
class CaptionRules:
    """Limits of a cue. The defaults are those that broadcasters and streaming services agree on.

    Attributes:
        line_length: Characters in a line; one of Chinese, Japanese or Korean counts twice. A
            single word that is longer has its line to itself.
        max_lines: Lines in a cue.
        max_cps: Reading speed in characters per second. Speech can be faster: then a cue stays
            until the next one, and no longer.
        min_duration_s: A cue stays so long, unless the next one comes sooner.
        max_duration_s: Words that take longer are more than one cue, unless it is a single word.
    """

    line_length: int = 42
    max_lines: int = 2
    max_cps: float = 20.0
    min_duration_s: float = 1.0
    max_duration_s: float = 7.0


def width(text: str) -> int:
    """How many characters ``text`` counts as, in a line and for reading."""
    if text.isascii():
        return len(text)
    return sum(map(_width_of_character, text))


def _width_of_character(character: str) -> int:
    if unicodedata.category(character) in _WITHOUT_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
