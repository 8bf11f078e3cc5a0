"""What is told of the server before a session."""

import json

from whisper_streaming.backends.base import BackendInfo, ModelInfo, StreamingProfile
from whisper_streaming.config import LimitSettings, ServerConfig
from whisper_streaming.server.info import public_info
from whisper_streaming.version import __version__


def model(name: str, *languages: str, notice: str | None = None) -> ModelInfo:
    return ModelInfo(name, languages, len(languages) > 1, StreamingProfile(), notice)


def test_it_tells_of_a_session_that_asks_for_no_model() -> None:
    backend = BackendInfo(
        "faster_whisper", (model("small", "en", "de"), model("tiny.en", "en")), 1, 8
    )
    config = ServerConfig(language=None, limits=LimitSettings(max_connection_time_s=60))

    info = public_info(config, backend, ("de", "en"))

    assert info == {
        "version": __version__,
        "model": "small",
        "models": ["small", "tiny.en"],
        "is_embedded_model": False,
        "notice": None,
        "languages": ["en", "de"],
        "detects_language": True,
        "language": None,
        "target_languages": ["de", "en"],
        "max_connection_time_s": 60.0,
    }
    assert json.loads(json.dumps(info)) == info


def test_it_tells_of_the_embedded_model() -> None:
    backend = BackendInfo(
        "faster_whisper", (model("demo", "en", notice="Synthetic voices."),), 1, 8
    )

    info = public_info(ServerConfig(), backend)

    assert info["is_embedded_model"] is True
    assert info["notice"] == "Synthetic voices."
    assert info["language"] == "en"
    assert info["target_languages"] == []
