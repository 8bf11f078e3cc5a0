"""Which align model a language gets, and what a server says that cannot have one."""

import pytest

from whisper_streaming.alignment import load_alignment
from whisper_streaming.alignment.loading import model_names
from whisper_streaming.backends.whisperx import require_whisperx
from whisper_streaming.config import AlignmentSettings, BackendSettings, ServerConfig
from whisper_streaming.errors import ModelLoadError


def config(
    *align_models: str, language: str | None = "en", models: tuple[str, ...] = ("small",)
) -> ServerConfig:
    return ServerConfig(
        language=language,
        backend=BackendSettings(kind="whisperx", models=models),
        alignment=AlignmentSettings(models=align_models),
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param(config(), {}, id="whisperx chooses"),
        pytest.param(config(models=("demo",)), {"en": "demo"}, id="embedded"),
        pytest.param(config("x/y", models=("demo",)), {"en": "x/y"}, id="another in its place"),
        pytest.param(config("demo", language="de"), {"en": "demo"}, id="embedded is English"),
        pytest.param(config("here"), {"en": "here"}, id="of the server's language"),
        pytest.param(
            config("here", "de=there", "EN = x"), {"en": "x", "de": "there"}, id="of languages"
        ),
    ],
)
def test_settings_name_models(settings: ServerConfig, expected: dict[str, str]) -> None:
    assert model_names(settings) == expected


def test_a_model_needs_a_language() -> None:
    with pytest.raises(ModelLoadError, match=r"--align-model LANGUAGE=here"):
        model_names(config("here", language=None))


@pytest.mark.parametrize("kind", ["faster_whisper", "scripted"])
def test_other_backends_align_nothing(kind: str) -> None:
    settings = ServerConfig(backend=BackendSettings(kind=kind))  # type: ignore[arg-type]

    assert load_alignment(settings) is None


def test_without_the_package_there_is_a_hint() -> None:
    for load in (require_whisperx, lambda: load_alignment(config())):
        with pytest.raises(ModelLoadError, match=r"make whisperx"):
            load()
