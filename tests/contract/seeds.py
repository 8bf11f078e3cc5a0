"""What the two seed documents promise, one by one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.contract.markdown import Block, Item, Row, read_page

SEEDS = Path(__file__).parent.parent / "seeds"


class Kind(Enum):
    """What an element is; the value is the name of the test that holds it."""

    SHELL = "test_shell_block"
    PYTHON = "test_python_block"
    JAVASCRIPT = "test_javascript_block"
    DOCKERFILE = "test_dockerfile"
    PICTURE = "test_picture"
    ROW = "test_table_row"
    FLAG = "test_flag"
    MESSAGE = "test_message"


@dataclass(frozen=True, slots=True)
class Element:
    """One block, row, flag or message.

    Attributes:
        key: Names it, in the test's id and in docs/contract.md.
        text: The block; a row with its cells between bars; a message without its comment.
        cells: Of a row; empty for everything else.
        line: In the seed.
    """

    key: str
    kind: Kind
    text: str
    line: int
    heading: str
    cells: tuple[str, ...] = ()


# These need whisperx, so tests/whisperx/test_seed_contract.py holds them, in its environment.
WITH_WHISPERX = frozenset({"guide/whisperx-specific-options/bash", "guide/whisperx-backend/python"})

_KINDS = {
    "bash": Kind.SHELL,
    "python": Kind.PYTHON,
    "javascript": Kind.JAVASCRIPT,
    "dockerfile": Kind.DOCKERFILE,
    "": Kind.PICTURE,
}
_MESSAGE = re.compile(r"^// (?P<name>.*)\n(?P<body>(?:(?!//).*\n?)*)", re.MULTILINE)


def read_seeds() -> list[Element]:
    """All elements of both documents, in order."""
    return [*_read("guide", "guide.md"), *_read("whisper-cpp", "whisper_cpp_example.md")]


def of_kind(kind: Kind) -> list[Element]:
    """The elements of one kind."""
    return [element for element in read_seeds() if element.kind is kind]


def flag_names(text: str) -> tuple[str, ...]:
    """The flags between back-ticks, as in "`-m` or `--model`: Path to ..."."""
    return tuple(re.findall(r"`(-[\w-]+)`", text))


def slug(text: str) -> str:
    """``text`` in small letters, with hyphens for all that is no letter or digit."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))


def _read(prefix: str, name: str) -> Iterator[Element]:
    page = read_page((SEEDS / name).read_text(encoding="utf-8"))
    found = [
        *(each for block in page.blocks for each in _of_block(prefix, block)),
        *(_of_row(prefix, row) for row in page.rows),
        *(_of_item(prefix, item) for item in page.items if flag_names(item.text)),
    ]
    keys = [element.key for element in found]
    assert len(set(keys)) == len(keys), f"two elements of {name} have one key: {sorted(keys)}"
    yield from sorted(found, key=lambda element: element.line)


def _of_block(prefix: str, block: Block) -> Iterator[Element]:
    key = f"{prefix}/{slug(block.heading)}"
    if block.language != "json":
        kind = _KINDS[block.language]  # a new language must be decided on
        yield Element(
            f"{key}/{block.language or 'picture'}", kind, block.text, block.line, block.heading
        )
        return
    for message in _MESSAGE.finditer(block.text):
        line = block.line + 1 + block.text[: message.start()].count("\n")
        yield Element(
            f"{key}/{slug(message['name'])}",
            Kind.MESSAGE,
            message["body"].strip(),
            line,
            block.heading,
        )


def _of_row(prefix: str, row: Row) -> Element:
    # Benchmarks say model and backend before what is measured; flags stand alone.
    names = row.cells[:2] if row.head[:2] == ("Model", "Backend") else row.cells[:1]
    key = f"{prefix}/{slug(row.heading)}/{slug(' '.join(names))}"
    return Element(key, Kind.ROW, " | ".join(row.cells), row.line, row.heading, row.cells)


def _of_item(prefix: str, item: Item) -> Element:
    longest = max(flag_names(item.text), key=len)
    key = f"{prefix}/{slug(item.heading)}/{slug(longest)}"
    return Element(key, Kind.FLAG, item.text, item.line, item.heading)
