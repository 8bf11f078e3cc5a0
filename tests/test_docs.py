"""Every example of README, CONTRIBUTING and docs/ runs, or says why not and is still parsed.

A block that cannot run has a comment before it: ``<!-- not-run: reason -->``. The blocks of one
page run in one folder, in their order, beside a server with the embedded model. How commands run
is written in tests/contract/stand_in.py: ours for real, ``pip`` and its like not at all. A later
Python block has the imports of those before it, as for a reader who follows the page.
"""

import ast
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.command_lines import ROOT, check_python, check_shell
from tests.contract.markdown import Block, read_page
from tests.contract.node import MISSING, find_node
from tests.contract.seeds import slug
from tests.contract.workshop import Workshop, open_workshop
from whisper_streaming.config import ServerConfig

SHELL = ("bash", "sh", "shell", "console")
JAVASCRIPT = ("javascript", "js")
# Shown, not run. A block in any other language must be decided on.
SHOWN = (
    "",
    "text",
    "diff",
    "mermaid",
    "dockerfile",
    "yaml",
    "ini",
    "html",
    "nginx",
    "srt",
    "jsonl",
)

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Example:
    """A block and the page that it is on, relative to the repository."""

    page: str
    block: Block

    @property
    def name(self) -> str:
        """For the test's id."""
        return f"{self.page}:{self.block.line}"


def pages() -> list[Path]:
    top = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    return [path for path in [*top, *sorted((ROOT / "docs").rglob("*.md"))] if path.is_file()]


def examples() -> list[Example]:
    return [
        Example(path.relative_to(ROOT).as_posix(), block)
        for path in pages()
        for block in read_page(path.read_text(encoding="utf-8")).blocks
    ]


EXAMPLES = examples()
PROGRAMS = [each for each in EXAMPLES if each.block.language in (*SHELL, *JAVASCRIPT, "python")]
TO_RUN = [each for each in PROGRAMS if each.block.not_run is None]
TO_RUN_IN_NODE = [each for each in TO_RUN if each.block.language in JAVASCRIPT]
TO_PARSE = [each for each in PROGRAMS if each.block.not_run is not None]
DATA = [each for each in EXAMPLES if each.block.language in ("toml", "json")]


def cases(examples: list[Example]) -> pytest.MarkDecorator:
    """One case for each example."""
    in_node = [pytest.mark.requires_node]
    return pytest.mark.parametrize(
        "example",
        [
            pytest.param(each, id=each.name, marks=in_node if each in TO_RUN_IN_NODE else [])
            for each in examples
        ],
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The workshop whose server all pages share."""
    with open_workshop(tmp_path_factory.mktemp("docs")) as workshop:
        yield workshop


@pytest.fixture(scope="module")
def workshops(server: Workshop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workshop]:
    """One folder for each page, made when the page is first needed."""

    class Folders(defaultdict[str, Workshop]):
        def __missing__(self, page: str) -> Workshop:
            self[page] = Workshop(tmp_path_factory.mktemp(slug(page)), server.port)
            return self[page]

    return Folders()


# --- what is run ----------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.slow
@cases(TO_RUN)
def test_block_runs(example: Example, workshops: dict[str, Workshop]) -> None:
    workshop = workshops[example.page]
    match example.block.language:
        case "python":
            source = f"{earlier_imports(example)}\n{example.block.text}"
            workshop.run_python(source).expect_success()
        case "javascript" | "js":
            node = find_node()
            if node is None:
                pytest.skip(MISSING)
            workshop.run_javascript(example.block.text, list(node)).expect_success()
        case language:
            write_settings_files(example.page, workshop)
            outcome, done = workshop.run_shell(commands(example.block.text, language))
            outcome.expect_success()
            assert [each.returncode for each in done] == [0] * len(done)


def commands(text: str, language: str) -> str:
    """The script of a shell block; a ``console`` shows what is typed after ``$``."""
    if language != "console":
        return text
    return "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))


def earlier_imports(example: Example) -> str:
    """The import statements of the Python blocks before this one on its page."""
    return "\n".join(
        ast.unparse(node)
        for other in EXAMPLES
        if other.page == example.page
        and other.block.language == "python"
        and other.block.line < example.block.line
        for node in ast.parse(other.block.text).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    )


def write_settings_files(page: str, workshop: Workshop) -> None:
    """Put the TOML blocks of the page that begin with ``# NAME.toml`` into its folder."""
    for example in EXAMPLES:
        first = example.block.text.partition("\n")[0]
        name = re.fullmatch(r"# ([\w-]+\.toml)", first)
        if example.page == page and example.block.language == "toml" and name:
            (workshop.folder / name[1]).write_text(example.block.text)


# --- what is only parsed --------------------------------------------------------------------


@cases(TO_PARSE)
def test_block_that_is_not_run_has_a_reason_and_is_parsed(example: Example) -> None:
    assert example.block.not_run, "say why it is not run"
    match example.block.language:
        case "python":
            check_python(example.block.text)
        case language if language in SHELL:
            check_shell(commands(example.block.text, language))


@cases(DATA)
def test_data_is_what_it_says(example: Example) -> None:
    """Settings are settings of the server; JSON is one value, or one on each line."""
    text = example.block.text
    if example.block.language == "toml":
        ServerConfig.model_validate(tomllib.loads(text))
        return
    try:
        json.loads(text)
    except json.JSONDecodeError:
        for line in filter(str.strip, text.splitlines()):
            json.loads(line)


def test_every_block_is_in_a_language_that_is_decided_on() -> None:
    known = {*SHELL, *JAVASCRIPT, *SHOWN, "python", "toml", "json"}

    assert {e.name: e.block.language for e in EXAMPLES if e.block.language not in known} == {}


def test_the_pages_have_examples() -> None:
    """A reader that finds none would make all tests above pass."""
    assert {e.block.language for e in TO_RUN if e.page == "README.md"} >= {"bash", "python"}
    assert {e.block.language for e in TO_RUN} >= {"javascript"}


# --- links ----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages(), ids=[p.relative_to(ROOT).as_posix() for p in pages()])
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for match in _LINK.finditer(text):
        target = match["target"] or match["image"]
        if re.match(r"[a-z]+:", target):
            continue  # the web
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)

    assert broken == []


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    text = index.read_text(encoding="utf-8")
    listed = {(index.parent / match["target"]).resolve() for match in _LINK.finditer(text)}
    missing = [page for page in index.parent.rglob("*.md") if page != index and page not in listed]

    assert missing == []


def anchors(page: Path) -> set[str]:
    """The names that a page's headings can be linked by, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?)\s*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in (re.sub(r"\[(.*?)\]\(.*?\)", r"\1", each) for each in headings)
    }
