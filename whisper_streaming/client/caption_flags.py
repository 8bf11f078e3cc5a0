"""The flags of programs that write captions."""

import argparse
from typing import Final

from whisper_streaming.captions import CaptionRules
from whisper_streaming.cli_flags import above_zero, whole_number

MAX_LINES: Final = 10

_DEFAULTS: Final = CaptionRules()


def add_caption_flags(group: "argparse._ArgumentGroup") -> None:
    """Add a flag for each of the caption rules."""
    group.add_argument(
        "--line-length",
        type=whole_number,
        default=_DEFAULTS.line_length,
        metavar="N",
        help="characters in a line (default: %(default)s)",
    )
    group.add_argument(
        "--max-lines",
        type=int,
        choices=range(1, MAX_LINES + 1),
        default=_DEFAULTS.max_lines,
        metavar="N",
        help="lines in a caption (default: %(default)s)",
    )
    group.add_argument(
        "--reading-speed",
        type=above_zero,
        default=_DEFAULTS.max_cps,
        metavar="N",
        help="characters per second that people can read (default: %(default)g)",
    )
    group.add_argument(
        "--min-duration",
        type=above_zero,
        default=_DEFAULTS.min_duration_s,
        metavar="SECONDS",
        help="a caption stays so long where there is time (default: %(default)g)",
    )
    group.add_argument(
        "--max-duration",
        type=above_zero,
        default=_DEFAULTS.max_duration_s,
        metavar="SECONDS",
        help="longer captions are cut in two (default: %(default)g)",
    )


def caption_rules(arguments: argparse.Namespace) -> CaptionRules:
    """What the flags of :func:`add_caption_flags` say."""
    return CaptionRules(
        line_length=arguments.line_length,
        max_lines=arguments.max_lines,
        max_cps=arguments.reading_speed,
        min_duration_s=arguments.min_duration,
        max_duration_s=arguments.max_duration,
    )
