"""From where a program imports the library, and what that costs one that does not use it."""

import subprocess
import sys

import pytest

import whisper_streaming
from whisper_streaming import live_kit


@pytest.mark.parametrize("name", [name for name in whisper_streaming.__all__ if name[0] != "_"])
def test_the_package_has_the_names_of_the_library(name: str) -> None:
    assert getattr(whisper_streaming, name) is getattr(live_kit, name)


def test_another_name_is_an_error_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="'whisper_streaming' has no attribute 'Nonsense'"):
        whisper_streaming.Nonsense  # noqa: B018


def test_the_package_alone_loads_nothing_and_the_library_no_model_runtime() -> None:
    code = """
import sys
import whisper_streaming
print(sorted(name for name in sys.modules if name.startswith("whisper_streaming.")))
print("numpy" in sys.modules)
from whisper_streaming import AudioProcessor, TranscriptionEngine
print(sorted({"ctranslate2", "faster_whisper", "onnxruntime", "av"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines() == ["['whisper_streaming.version']", "False", "[]"], done.stderr
