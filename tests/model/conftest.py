"""The embedded model, loaded once, and ears for it that remember what they heard."""

from collections.abc import Iterator

import pytest

from tests.model.listening import Listener
from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import Backend
from whisper_streaming.config import BackendSettings


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    backend = create_backend(BackendSettings(models=("demo",), device="cpu", threads=2, workers=2))
    backend.warm_up()
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def listener(backend: Backend) -> Listener:
    return Listener(backend)
