"""What all command lines of the package share: flags that take ``_`` for ``-``, numbers, output."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from whisper_streaming.errors import OutputError


class FlagParser(argparse.ArgumentParser):
    """An argument parser that reads ``--max_clients`` as ``--max-clients``.

    WhisperLive writes its flags with underscores; people who come from there should not have to
    relearn them. Only names of options change: never a value, nor what follows ``--``.
    """

    def parse_known_args(  # type: ignore[override]  # the stubs overload on the namespace's type
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        if args is None:
            args = sys.argv[1:]
        known, unknown = super().parse_known_args(dashed_flags(args), namespace)
        return known, unknown


def dashed_flags(arguments: Sequence[str]) -> list[str]:
    """``arguments`` with ``-`` for ``_`` in the names of long options."""
    dashed: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return [*dashed, *arguments[index:]]
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            argument = name.replace("_", "-") + equals + value
        dashed.append(argument)
    return dashed


def whole_number(text: str) -> int:
    """From 1 on. What it and the next two raise is a usage error."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def above_zero(text: str) -> float:
    """Finite, and more than nothing."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def at_least_zero(text: str) -> float:
    """Finite, and not negative."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(text)
    return number


# Argparse names the type in its message.
whole_number.__name__ = "whole number from 1 on"
above_zero.__name__ = "number above 0"
at_least_zero.__name__ = "number from 0 on"


def add_set_flag(group: "argparse._ArgumentGroup") -> None:
    """Add ``--set`` to a program that starts a server of its own."""
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="GROUP.FIELD=VALUE",
        help="any setting of docs/settings.md; may be given several times",
    )


def print_any_text() -> None:
    """Let standard output and error take every character; what they cannot show is escaped.

    Transcripts are in any script, and a console or pipe that knows only one must not end a
    session.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_text(text: str) -> None:
    """Print to standard output, and see to it that it gets there.

    Raises:
        BrokenPipeError: If nobody reads it any more.
        OutputError: If it cannot be written; nothing else is printed then, either.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        stop_printing()
        raise OutputError(exc) from exc


def stop_printing() -> None:
    """Throw away what is still to be printed: nobody gets it any more, as with ``| head``."""
    # Without this Python tries once more when it ends, and complains.
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def program_name(script: str, command: str) -> str:
    """What help and errors call the program: ``script``, or the console command, as it was run."""
    return script if Path(sys.argv[0]).name == script else f"whisper-streaming {command}"
