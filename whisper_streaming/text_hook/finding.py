"""Finds the operator's function by its name."""

import importlib
import inspect
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final

from whisper_streaming.errors import ConfigurationError
from whisper_streaming.text_hook.facts import TextFacts

ENTRY_POINTS: Final = "whisper_streaming.text_hooks"
"""Group in which an installed package names its hooks."""

Function = Callable[[str, TextFacts], object]


def find_function(name: str) -> Function:
    """The hook called ``name``, as a function of a text and its facts.

    Raises:
        ConfigurationError: If it cannot be had, or cannot be called with a text.
    """
    hook = _find(name)
    if not callable(hook):
        raise hook_error(name, "is no function")
    # An object with __call__ is a hook, too.
    if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__):
        raise hook_error(name, "is an async function; a plain one is needed")
    return _with_facts(hook, name)


def hook_error(name: str, what: str) -> ConfigurationError:
    """What is wrong with the hook called ``name``."""
    return ConfigurationError(f"the text hook {name!r} {what} (--text-hook, text_hook.name)")


def _find(name: str) -> object:
    module_name, colon, path = name.partition(":")
    if not colon:
        return _find_entry_point(name)
    try:
        found: object = importlib.import_module(module_name)
    # Whatever the operator's module does when it is imported, sys.exit() included.
    except (Exception, SystemExit) as error:
        raise hook_error(
            name, f"cannot be imported: {type(error).__name__}: {error}; the module must be "
            "installed, or be in the folder where the server is started"
        ) from error  # fmt: skip
    for part in path.split("."):
        if not hasattr(found, part):
            raise hook_error(name, f"does not exist: {module_name} has no {path}")
        found = getattr(found, part)
    return found


def _find_entry_point(name: str) -> object:
    installed = entry_points(group=ENTRY_POINTS)
    for entry in installed:
        if entry.name == name:
            try:
                return entry.load()
            except (Exception, SystemExit) as error:
                raise hook_error(
                    name, f"cannot be loaded: {type(error).__name__}: {error}"
                ) from error
    known = ", ".join(sorted(entry.name for entry in installed)) or "none"
    raise hook_error(name, f"is neither module:function nor an installed hook (installed: {known})")


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
    raise hook_error(name, "must take a text, or a text and its facts")
