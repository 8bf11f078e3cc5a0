"""The settings reference of the documentation, made from the settings themselves."""

import json
from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from whisper_streaming.config import ENV_PREFIX, ServerConfig

_INTRODUCTION: Final = """\
# Settings

All settings of the server. This page is generated from `whisper_streaming/config`; a test
compares the two.

A setting can be given, the last one wins:

1. in a TOML file, `--config server.toml`: groups are tables, for example
   `[limits]` and `max_clients = 8`;
2. as an environment variable: `WHISPER_STREAMING__LIMITS__MAX_CLIENTS=8`;
3. as a flag: the common ones have a flag of their own (`--help` lists them), and
   `--set limits.max_clients=8` takes any of them.

Unknown names are errors everywhere. Durations are seconds.
"""


def settings_reference() -> str:
    """The text of ``docs/settings.md``."""
    own = [(name, field) for name, field in ServerConfig.model_fields.items() if not _group(field)]
    sections = [_INTRODUCTION, _section("General", "What the server is to the outside.", "", own)]
    for name, field in ServerConfig.model_fields.items():
        group = _group(field)
        if group is not None:
            fields = list(group.model_fields.items())
            sections.append(_section(f"`{name}`", group.__doc__ or "", f"{name}.", fields))
    return "\n".join(sections)


def _group(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _section(title: str, text: str, prefix: str, fields: list[tuple[str, FieldInfo]]) -> str:
    rows = "".join(_rows(prefix, fields))
    return f"""\
## {title}

{text.strip()}

| Setting | Default | Meaning | Environment variable |
|---|---|---|---|
{rows}"""


def _rows(prefix: str, fields: list[tuple[str, FieldInfo]]) -> Iterator[str]:
    for name, field in fields:
        variable = ENV_PREFIX + f"{prefix}{name}".replace(".", "__").upper()
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| `{prefix}{name}` | {_default(field)} | {meaning} | `{variable}` |\n"


def _default(field: FieldInfo) -> str:
    value = field.get_default()
    if isinstance(value, str):
        return f"`{value}`"
    return "none" if value in (None, ()) else f"`{json.dumps(value)}`"
