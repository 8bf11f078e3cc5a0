"""What all command lines of the package share: flags that take ``_`` for ``-``, and output."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path


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


def stop_printing() -> None:
    """Throw away what is still to be printed: nobody reads it any more, as with ``| head``."""
    # Without this Python tries once more when it ends, and complains.
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def program_name(script: str, command: str) -> str:
    """What help and errors call the program: ``script``, or the console command, as it was run."""
    return script if Path(sys.argv[0]).name == script else f"whisper-streaming {command}"
