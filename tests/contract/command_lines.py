"""Understands printed commands and programs without running them.

A flag is looked up by the program's own parser, taken from it at the moment at which it parses;
an import by importing. So what is only parsed here is still held against the real thing.
"""

import argparse
import ast
import configparser
import importlib
import importlib.util
import io
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from whisper_streaming import cli, doctor
from whisper_streaming.client import cli as client_cli
from whisper_streaming.server import cli as server_cli

Main = Callable[[Sequence[str]], int]

ROOT = Path(__file__).parent.parent.parent

SCRIPTS: dict[str, Main] = {
    "run_websocket_server.py": server_cli.main,
    "example_websocket_client.py": client_cli.main,
    "test_websocket_integration.py": doctor.main,
}
COMMANDS: dict[str, Main] = {command.name: command.run for command in cli.COMMANDS}

_ASSIGNMENT = re.compile(r"\w+=.*")
_PYTHON = re.compile(r"(.*/)?python3?(\.\d+)?")
_WRAPPERS = ("docker", "sudo", "nohup", "time", "exec", "env")
_CONSOLE_COMMAND = re.compile(r"(.*/)?whisper-streaming")


@dataclass(frozen=True, slots=True)
class Call:
    """One of our programs and the arguments that a printed command gives it."""

    program: str
    main: Main
    arguments: tuple[str, ...]


def split_commands(text: str) -> list[list[str]]:
    """The simple commands of a shell script, as words. Redirections are left out.

    Raises:
        ValueError: If a quote is never closed.
    """
    commands: list[list[str]] = []
    for line in _logical_lines(text):
        words: list[str] = []
        is_target = False
        for token in _tokens(line):
            if set(token) <= set("<>&") and set(token) & set("<>"):
                is_target = True
                if words and words[-1].isdigit():  # as in 2>&1
                    words.pop()
            elif is_target:
                is_target = False
            elif set(token) <= set("|&;()"):
                commands.append(words)
                words = []
            else:
                words.append(token)
        commands.append(words)
    return [words for words in commands if words]


def find_call(words: Sequence[str]) -> Call | None:
    """Which of our programs a command runs, if any.

    Raises:
        AssertionError: If it runs ``whisper-streaming`` without a command that there is.
    """
    words = list(words)
    if words and words[0] in _WRAPPERS:
        words = words[next((i for i, word in enumerate(words) if _is_start(word)), 0) :]
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    if words and _PYTHON.fullmatch(words[0]):
        script = Path(words[1]).name if len(words) > 1 else ""
        if script in SCRIPTS:
            return Call(script, SCRIPTS[script], tuple(words[2:]))
        if words[1:3] != ["-m", "whisper_streaming"]:
            return None
        words = words[2:]
    elif not words or not _CONSOLE_COMMAND.fullmatch(words[0]):
        return None
    name = words[1] if len(words) > 1 else "--help"
    if name.startswith("-"):
        return None
    assert name in COMMANDS, f"there is no command {name!r}: {shlex.join(words)}"
    return Call(name, COMMANDS[name], tuple(words[2:]))


def program_of(words: Sequence[str]) -> str:
    """The name of what a command runs, without its folder and the variables before it."""
    names = (word for word in words if not _ASSIGNMENT.fullmatch(word))
    return Path(next(names, ".")).name or "."


def find_calls(text: str) -> list[Call]:
    """All calls of our programs in a shell script, in order."""
    calls = (find_call(words) for words in split_commands(text))
    return [call for call in calls if call is not None]


def parse_arguments(main: Main, arguments: Sequence[str]) -> argparse.Namespace:
    """What the parser of ``main`` makes of ``arguments``. The program does not run.

    Raises:
        AssertionError: If it does not take them.
    """
    complaint = io.StringIO()
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(
        parser: argparse.ArgumentParser, args: Sequence[str] | None = None
    ) -> argparse.Namespace:
        raise _Parsed(parse(parser, args))

    stopping = mock.patch.object(argparse.ArgumentParser, "parse_args", parse_and_stop)
    with stopping, redirect_stdout(complaint), redirect_stderr(complaint):
        try:
            main(arguments)
        except _Parsed as parsed:
            return parsed.namespace
        except SystemExit as ended:
            if ended.code == 0:  # --help and --version
                return argparse.Namespace()
    raise AssertionError(f"{shlex.join(arguments)!r} is not understood: {complaint.getvalue()}")


def check_shell(text: str) -> list[Call]:
    """Check that all our programs in a shell script take their arguments; gives the calls.

    Raises:
        AssertionError: If one does not.
    """
    calls = find_calls(text)
    for call in calls:
        parse_arguments(call.main, call.arguments)
    return calls


def check_python(source: str) -> list[str]:
    """Check that ``source`` compiles and that what it imports is there; gives the modules.

    A package that one of our extras installs may be missing.

    Raises:
        AssertionError: If an import does not resolve.
    """
    modules = [name for node in ast.walk(ast.parse(source)) for name in _imported(node)]
    for module in modules:
        assert _resolves(module), f"there is no {module}"
    return modules


def split_mixed(text: str) -> tuple[str, str, list[str]]:
    """The Python, the shell script and the list items of a block that mixes them.

    The guide prints commands and bullet points inside of Python blocks.
    """
    python: list[str] = []
    shell: list[str] = []
    items: list[str] = []
    for line in text.splitlines():
        if line.startswith("python "):
            shell.append(line)
        elif line.startswith("- "):
            items.append(line)
        else:
            python.append(line)
    return "\n".join(python), "\n".join(shell), items


class _Parsed(BaseException):
    """Carries the parsed arguments out of a program; nothing there catches it."""

    def __init__(self, namespace: argparse.Namespace) -> None:
        self.namespace = namespace


def _is_start(word: str) -> bool:
    return bool(_PYTHON.fullmatch(word) or _CONSOLE_COMMAND.fullmatch(word))


def _logical_lines(text: str) -> Iterator[str]:
    """Lines with their continuations; a quote may go on over several."""
    pending = ""
    for line in text.splitlines():
        if line.endswith("\\"):
            pending += line[:-1]
            continue
        pending += line
        try:
            _tokens(pending)
        except ValueError:  # an open quote
            pending += "\n"
            continue
        yield pending
        pending = ""
    if pending.strip():
        _tokens(pending)
        yield pending


def _tokens(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}:{alias.name}" for alias in node.names]
    return []


def _resolves(imported: str) -> bool:
    module, _, name = imported.partition(":")
    package = module.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        return package in _optional_packages()
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    # ``from package import submodule`` need not be an attribute before.
    return (
        not name
        or hasattr(loaded, name)
        or importlib.util.find_spec(f"{module}.{name}") is not None
    )


def _optional_packages() -> set[str]:
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    lines = "\n".join(metadata["options.extras_require"].values()).split("\n")
    return {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in lines if line}
