"""From a name to a function."""

import functools
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from whisper_streaming.config import TextHookSettings
from whisper_streaming.core.hypothesis import Word, join_words
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.text_hook import TextFacts, TextHook, finding, loading

MODULE = """
class Redactor:
    def change(self, text):
        return text.replace("1234", "****")

redactor = Redactor()

class Later:
    async def __call__(self, text):
        return text

later_too = Later()

def one(text):
    return text.upper()

def two(text, facts):
    return f"{facts.uid}: {text}"

def three(text, facts, more):
    return text

async def later(text):
    return text

number = 7
"""


@pytest.fixture
def hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "operators_hooks.py").write_text(MODULE)
    (tmp_path / "broken_hooks.py").write_text("import a_package_nobody_has")
    (tmp_path / "leaving_hooks.py").write_text("import sys; sys.exit('no licence')")
    (tmp_path / "dying_hooks.py").write_text("import os; os._exit(5)")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("operators_hooks", "broken_hooks", "leaving_hooks"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@asynccontextmanager
async def _loaded(name: str) -> AsyncIterator[TextHook]:
    hook = loading.load_text_hook(TextHookSettings(name=name, timeout_s=30), SegmentRules())
    assert hook is not None
    try:
        yield hook
    finally:
        hook.close()


async def _apply(name: str) -> str:
    words = (Word(" call", 0.0, 0.4), Word(" 1234", 0.5, 0.9))
    async with _loaded(name) as hook:
        return join_words(await hook.apply(words, TextFacts("ann", "en", None, is_final=True)))


@pytest.mark.usefixtures("hooks")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("operators_hooks:one", " CALL 1234"),
        ("operators_hooks:two", " ann: call 1234"),
        ("operators_hooks:redactor.change", " call ****"),
        ("builtins:str", " call 1234"),
    ],
)
async def test_a_function_with_one_or_two_arguments_is_a_hook(name: str, text: str) -> None:
    assert await _apply(name) == text


@pytest.mark.usefixtures("hooks")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("operators_hooks:four", "does not exist: operators_hooks has no four"),
        ("operators_hooks:redactor.undo", "does not exist: operators_hooks has no redactor.undo"),
        ("operators_hooks:number", "is no function"),
        ("operators_hooks:three", "must take a text, or a text and its facts"),
        ("operators_hooks:later", "is an async function; a plain one is needed"),
        ("operators_hooks:later_too", "is an async function; a plain one is needed"),
        ("leaving_hooks:one", "cannot be imported: SystemExit: no licence"),
        ("dying_hooks:one", "cannot be imported: it ended its process with status 5"),
        ("nobodys_hooks:one", "cannot be imported: ModuleNotFoundError: No module named 'nobody"),
        ("broken_hooks:one", "cannot be imported: ModuleNotFoundError: No module named 'a_pack"),
        ("redact", "is neither module:function nor an installed hook (installed: none)"),
    ],
)
def test_what_is_no_hook_is_refused_in_words(name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loading.load_text_hook(TextHookSettings(name=name), SegmentRules())

    assert str(caught.value).startswith(f"the text hook {name!r} {reason}")
    assert str(caught.value).endswith("(--text-hook, text_hook.name)")


async def test_a_module_in_the_folder_where_the_server_is_started_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hooks_of_this_folder.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)

    assert await _apply("hooks_of_this_folder:one") == " CALL 1234"


@pytest.mark.usefixtures("hooks")
def test_an_installed_package_names_its_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = EntryPoints(
        EntryPoint(name, target, finding.ENTRY_POINTS)
        for name, target in [
            ("shout", "operators_hooks:one"),
            ("bad", "broken_hooks:one"),
            ("gone", "leaving_hooks:one"),
        ]
    )
    monkeypatch.setattr(finding, "entry_points", functools.partial(entries.select))

    shout = finding.find_function("shout")
    assert shout("call", TextFacts("ann", "en", None, is_final=True)) == "CALL"
    with pytest.raises(ConfigurationError, match="'bad' cannot be loaded: ModuleNotFoundError"):
        finding.find_function("bad")
    with pytest.raises(ConfigurationError, match="'gone' cannot be loaded: SystemExit"):
        finding.find_function("gone")
    with pytest.raises(ConfigurationError, match=r"\(installed: bad, gone, shout\)"):
        finding.find_function("other")


def test_without_a_name_there_is_no_hook() -> None:
    assert loading.load_text_hook(TextHookSettings(), SegmentRules()) is None
