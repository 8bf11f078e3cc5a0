"""Where settings come from.

Precedence, lowest first: defaults, TOML file, environment, command-line flags. Unknown keys
are errors everywhere, because a misspelt setting that does nothing is worse than a refusal.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from whisper_streaming.config.server import ServerConfig
from whisper_streaming.errors import ConfigurationError, describe_problems, dotted_place

ENV_PREFIX: Final = "WHISPER_STREAMING__"

_LOOSE_PREFIX: Final = "WHISPER_STREAMING_"
_SERVICE_ADDRESSES: Final = ("tcp://", "udp://", "sctp://")
"""Kubernetes sets ``WHISPER_STREAMING_PORT=tcp://...`` beside a service of that name."""


def load_config(
    *,
    flags: Mapping[str, object] | None = None,
    toml_path: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> ServerConfig:
    """Merge the sources and validate the result.

    Args:
        flags: Dotted names (``"limits.max_clients"``) to values; only what the user gave.
        toml_path: A TOML file with the structure of :class:`ServerConfig`.
        environ: Variables such as ``WHISPER_STREAMING__LIMITS__MAX_CLIENTS=8``.

    Raises:
        ConfigurationError: Naming each wrong setting and what is wrong with it.
    """
    tree: dict[str, object] = {}
    if toml_path is not None:
        _merge(tree, _read_toml(toml_path))
    for name, value in (environ or {}).items():
        if name.startswith(ENV_PREFIX):
            _set(tree, name.removeprefix(ENV_PREFIX).lower().split("__"), value)
        elif name.startswith(_LOOSE_PREFIX) and not value.startswith(_SERVICE_ADDRESSES):
            _refuse_lost_underscore(name)
    for name, flag in (flags or {}).items():
        _set(tree, name.split("."), flag)
    try:
        return ServerConfig.model_validate(tree)
    except ValidationError as exc:
        problems = exc.errors(include_url=False, include_input=False)
        described = describe_problems(map(_explain_unknown, problems))
        raise ConfigurationError(f"bad settings: {described}") from exc


def read_assignments(assignments: Iterable[str]) -> dict[str, object]:
    """``GROUP.FIELD=VALUE`` as dotted names and values, for :func:`load_config`.

    Raises:
        ConfigurationError: If one has another form.
    """
    settings: dict[str, object] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--set takes GROUP.FIELD=VALUE, not {assignment!r}")
        settings[name.strip().replace("-", "_")] = value.strip()
    return settings


def _setting_names(group: type[BaseModel] = ServerConfig, prefix: str = "") -> Iterator[str]:
    """``"limits.max_clients"`` and all others."""
    for name, field in group.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _setting_names(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _explain_unknown(problem: Mapping[str, object]) -> Mapping[str, object]:
    if problem["type"] != "extra_forbidden":
        return problem
    alike = get_close_matches(dotted_place(problem), list(_setting_names()), n=1)
    meant = f"; did you mean {alike[0]}?" if alike else ""
    return {**problem, "msg": f"there is no such setting{meant}"}


def _refuse_lost_underscore(variable: str) -> None:
    """Other programs may have variables of their own there, but none that spell a setting."""
    spelt = variable.removeprefix(_LOOSE_PREFIX).lower().replace("__", "_")
    for name in _setting_names():
        if name.replace(".", "_") == spelt:
            meant = ENV_PREFIX + name.replace(".", "__").upper()
            raise ConfigurationError(f"the variable {variable} sets nothing: write {meant}")


def _read_toml(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as exc:
        raise ConfigurationError(f"cannot read the settings file {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"the settings file {path} is not valid TOML: {exc}") from exc


def _set(tree: dict[str, object], path: list[str], value: object) -> None:
    branch: dict[str, object] = {path[-1]: value}
    for part in reversed(path[:-1]):
        branch = {part: branch}
    _merge(tree, branch)


def _merge(tree: dict[str, object], newer: Mapping[str, object]) -> None:
    for name, value in newer.items():
        older = tree.get(name)
        if isinstance(value, Mapping):
            if name in tree and not isinstance(older, dict):
                one = f"{name}.{next(iter(value))}"
                raise ConfigurationError(
                    f"{name} is a group of settings: give a value to one of them, such as {one}"
                )
            branch = older if isinstance(older, dict) else {}
            _merge(branch, value)
            tree[name] = branch
        else:
            tree[name] = value
