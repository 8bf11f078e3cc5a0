"""The settings reference of the documentation."""

from pathlib import Path

from whisper_streaming.config import ServerConfig
from whisper_streaming.server.settings_reference import settings_reference


def test_the_page_is_what_the_settings_give(repository: Path) -> None:
    page = (repository / "docs" / "settings.md").read_text(encoding="utf-8")

    assert page == settings_reference(), "write settings_reference() to docs/settings.md"


def test_every_setting_is_described() -> None:
    text = settings_reference()
    for name, field in ServerConfig.model_fields.items():
        group = getattr(field.annotation, "model_fields", None)
        names = [f"{name}.{inner}" for inner in group] if group else [name]
        for setting in names:
            assert f"| `{setting}` | " in text
    assert "|  |" not in text
