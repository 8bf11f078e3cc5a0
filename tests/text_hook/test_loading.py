"""From a name to a function."""

import functools
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from whisper_streaming.config import TextHookSettings
from whisper_streaming.core.hypothesis import Word, join_words
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.text_hook import TextFacts, loading

MODULE = """
class Redactor:
    def change(self, text):
        return text.replace("1234", "****")

redactor = Redactor()

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
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("operators_hooks", "broken_hooks"):
        monkeypatch.delitem(sys.modules, name, raising=False)


async def _apply(name: str) -> str:
    hook = loading.load_text_hook(TextHookSettings(name=name, timeout_s=30), SegmentRules())
    assert hook is not None
    words = (Word(" call", 0.0, 0.4), Word(" 1234", 0.5, 0.9))
    changed = await hook.apply(words, TextFacts("ann", "en", None, is_final=True))
    hook.close()
    return join_words(changed)


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


@pytest.mark.usefixtures("hooks")
async def test_an_installed_package_names_its_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = EntryPoints(
        EntryPoint(name, target, loading.ENTRY_POINTS)
        for name, target in [("shout", "operators_hooks:one"), ("bad", "broken_hooks:one")]
    )
    monkeypatch.setattr(loading, "entry_points", functools.partial(entries.select))

    assert await _apply("shout") == " CALL 1234"
    with pytest.raises(ConfigurationError, match="'bad' cannot be loaded: ModuleNotFoundError"):
        await _apply("bad")
    with pytest.raises(ConfigurationError, match=r"\(installed: bad, shout\)"):
        await _apply("other")


def test_without_a_name_there_is_no_hook() -> None:
    assert loading.load_text_hook(TextHookSettings(), SegmentRules()) is None
