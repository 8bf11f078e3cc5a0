"""Writes docs/contract.md: ``python -m tests.contract.coverage > docs/contract.md``."""

import ast
import sys
from collections.abc import Iterator

from tests.contract.command_lines import ROOT
from tests.contract.seeds import WITH_WHISPERX, Element, read_seeds

CONTRACT_PAGE = ROOT / "docs" / "contract.md"

OPTIONS_TESTS = ROOT / "tests" / "contract" / "test_options.py"

_DOCUMENTS = {
    "guide": "The WebSocket integration guide",
    "whisper-cpp": "The whisper.cpp WebSocket example",
}
_INTRODUCTION = """\
# The contract

Two documents describe what this project promised before it was written: a guide with its
commands, programs, tables and messages, and an example of whisper.cpp with a command line and a
client in JavaScript. Both are kept, unchanged, in `tests/seeds/`. Everything that they print is
run, sent or compared by `tests/test_seed_contract.py`, one case each; this page lists the cases.
To run one: `python -m pytest "tests/test_seed_contract.py::TEST[PROMISE]"`. The page is generated
from the documents and the tests, and a test compares them.

How the cases run: commands and programs run as printed, with the embedded model in the place of
one that a hub would have to give, a free port in the place of 9090, and a recording in the place
of the microphone. `pip` is not run, its packages are compared with those of this project.
What needs whisperx is in `tests/whisperx/test_seed_contract.py`, which `make test-whisperx` runs.

Where this project departs from the words of the guide:

- The package index has `whisper-streaming` of somebody else: install from the clone.
- `--model` without a hub and a cache is the embedded model, with a warning. An explicit
  `--model small` that cannot be had is an error.
- Segments carry times as strings, as the clients of WhisperLive expect, and as the numbers that
  the guide prints where the options have `"numeric_times": true`. Our own client asks for them.
- `max_clients` in the options has no effect, since a client cannot change the server;
  `max_connection_time` can only shorten the client's own session.
- The JavaScript client connects to the path `/stream`, which needs no options message.
"""


def render_page() -> str:
    """The page."""
    elements = read_seeds()
    parts = [_INTRODUCTION, _summary(elements)]
    for prefix, title in _DOCUMENTS.items():
        mine = [element for element in elements if element.key.startswith(f"{prefix}/")]
        parts.append("\n".join(_table(title, mine)))
    return "\n".join([*parts, *_options()])


def _summary(elements: list[Element]) -> str:
    return f"{len(elements)} promises, all of them covered.\n"


def _table(title: str, elements: list[Element]) -> Iterator[str]:
    yield from (f"## {title}\n", "| Promise | What it is | Test |", "|---|---|---|")
    for element in elements:
        where = " with whisperx" if element.key in WITH_WHISPERX else ""
        yield f"| `{element.key}` | {_what(element)} | `{element.kind.value}`{where} |"
    yield ""


def _options() -> Iterator[str]:
    """What the guide's names and options promise beyond its blocks, as the tests name it."""
    yield from (
        "## Names, options and defaults\n",
        "What follows from the guide without being printed in a block of its own, by "
        f"`{OPTIONS_TESTS.relative_to(ROOT).as_posix()}`:\n",
    )
    for node in ast.parse(OPTIONS_TESTS.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _, is_test, promise = node.name.partition("test_")
            if is_test:
                yield f"- {promise.replace('_', ' ')}"
    yield ""


def _what(element: Element) -> str:
    kind = element.kind.name.lower()
    return f"{kind}, line {element.line}"


if __name__ == "__main__":
    sys.stdout.write(render_page())
