"""Finds the operator's program by its name."""

import importlib
import inspect
from importlib.metadata import entry_points
from typing import Final

from whisper_streaming.config import TextHookSettings
from whisper_streaming.core.transcript import SegmentRules
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.text_hook.runner import Function, TextHook

ENTRY_POINTS: Final = "whisper_streaming.text_hooks"
"""Group in which an installed package names its hooks."""


def load_text_hook(settings: TextHookSettings, rules: SegmentRules) -> TextHook | None:
    """The hook of the settings; None if there is none.

    Raises:
        ConfigurationError: If it cannot be had, or cannot be called with a text.
    """
    if settings.name is None:
        return None
    hook = _find(settings.name)
    if not callable(hook):
        raise _error(settings.name, "is no function")
    if inspect.iscoroutinefunction(hook):
        raise _error(settings.name, "is an async function; a plain one is needed")
    return TextHook(
        _with_facts(hook, settings.name), settings.name, timeout_s=settings.timeout_s, rules=rules
    )


def _find(name: str) -> object:
    module_name, colon, path = name.partition(":")
    if not colon:
        return _find_entry_point(name)
    try:
        found: object = importlib.import_module(module_name)
    except Exception as error:
        # Whatever the operator's module does when it is imported.
        raise _error(
            name, f"cannot be imported: {type(error).__name__}: {error}; the module must be "
            "installed, or be in the folder where the server is started"
        ) from error  # fmt: skip
    for part in path.split("."):
        if not hasattr(found, part):
            raise _error(name, f"does not exist: {module_name} has no {path}")
        found = getattr(found, part)
    return found


def _find_entry_point(name: str) -> object:
    installed = entry_points(group=ENTRY_POINTS)
    for entry in installed:
        if entry.name == name:
            try:
                return entry.load()
            except Exception as error:
                raise _error(name, f"cannot be loaded: {type(error).__name__}: {error}") from error
    known = ", ".join(sorted(entry.name for entry in installed)) or "none"
    raise _error(name, f"is neither module:function nor an installed hook (installed: {known})")


def _with_facts(hook: object, name: str) -> Function:
    """``hook`` as a function of a text and its facts; many want to know nothing but the text."""
    assert callable(hook)
    try:
        signature = inspect.signature(hook)
    except ValueError:  # a function in C that does not tell
        return lambda text, facts: hook(text)
    for arguments in (("text", "facts"), ("text",)):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        if len(arguments) == 1:
            return lambda text, facts: hook(text)
        return hook
    raise _error(name, "must take a text, or a text and its facts")


def _error(name: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"the text hook {name!r} {what} (--text-hook, text_hook.name)")
