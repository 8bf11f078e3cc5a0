"""Reads what is printed in a Markdown page: fenced blocks, table rows, list items."""

import re
from dataclasses import dataclass

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\s*$")
_HEADING = re.compile(r"^#+ +(?P<title>.*?)\s*$")
_NOT_RUN = re.compile(r"<!--\s*not-run:\s*(?P<reason>.*?)\s*-->")
_ROW = re.compile(r"^\s*\|(?P<cells>.*)\|\s*$")
_RULE = re.compile(r"^[\s|:-]+$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        language: The word after the fence, or an empty string.
        text: Without the fences and without the indentation that they share.
        heading: The last heading before it.
        line: Of its opening fence, counted from 1.
        not_run: The reason of a ``<!-- not-run: reason -->`` before it, or None.
    """

    language: str
    text: str
    heading: str
    line: int
    not_run: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; the head and the rule below it are none."""

    cells: tuple[str, ...]
    head: tuple[str, ...]
    heading: str
    line: int


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a bullet list, without its bullet."""

    text: str
    heading: str
    line: int


@dataclass(frozen=True, slots=True)
class Page:
    """All of them, each list in the order of the page."""

    blocks: tuple[Block, ...]
    rows: tuple[Row, ...]
    items: tuple[Item, ...]


def read_page(text: str) -> Page:
    """What is printed in ``text``.

    Raises:
        ValueError: If a fence with something behind it is never closed.
    """
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), start=1):
        reader.read(number, line)
    return reader.finish()


class _Reader:
    """The state between two lines."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._rows: list[Row] = []
        self._items: list[Item] = []
        self._heading = ""
        self._head: tuple[str, ...] | None = None
        self._not_run: str | None = None
        self._open: tuple[int, str, int, list[str]] | None = None

    def read(self, number: int, line: str) -> None:
        fence = _FENCE.match(line)
        if self._open is not None:
            start, language, indent, lines = self._open
            if fence is None or fence["language"]:
                lines.append(line[indent:] if line[:indent].isspace() else line)
                return
            text = "\n".join(lines)
            self._blocks.append(Block(language, text, self._heading, start, self._not_run))
            self._open = self._not_run = None
        elif fence is not None:
            self._open = (number, fence["language"], len(fence["indent"]), [])
        elif line.strip():
            self._read_prose(number, line)

    def finish(self) -> Page:
        if self._open is not None and "".join(self._open[3]).strip():
            raise ValueError(f"the block of line {self._open[0]} is never closed")
        return Page(tuple(self._blocks), tuple(self._rows), tuple(self._items))

    def _read_prose(self, number: int, line: str) -> None:
        not_run = _NOT_RUN.search(line)
        self._not_run = not_run["reason"] if not_run else None
        heading = _HEADING.match(line)
        if heading:
            self._heading = heading["title"]
        row = _ROW.match(line)
        if row is None:
            self._head = None
        elif self._head is None:
            self._head = _cells(row["cells"])
        elif not _RULE.match(line):
            self._rows.append(Row(_cells(row["cells"]), self._head, self._heading, number))
        if line.startswith("- "):
            self._items.append(Item(line[2:], self._heading, number))


def _cells(text: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in text.split("|"))
