"""The real WhisperLive from its wheel, our server, and recordings for both."""

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.processes import our_server
from tests.interop.recordings import Excerpt, cut
from whisper_streaming.bench.stock_environment import (
    WHISPER_LIVE,
    StockEnvironment,
    provide_environment,
)
from whisper_streaming.errors import BenchmarkError


@pytest.fixture(scope="session")
def stock(pytestconfig: pytest.Config) -> StockEnvironment:
    """The real WhisperLive; skips where the package index does not give it."""
    assert pytestconfig.cache is not None
    name = f"whisper-live-{WHISPER_LIVE}-python-{platform.python_version()}"
    try:
        return provide_environment(pytestconfig.cache.mkdir(name))
    except BenchmarkError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def our_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of our server, with room for all."""
    log = tmp_path_factory.mktemp("our-server") / "log"
    with our_server(log, "--max-clients=16") as port:
        yield port


@pytest.fixture(scope="session")
def english(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Excerpt:
    """Three sentences with pauses between them, 12.6 s."""
    return cut(recordings / "en-1-slt", 1, 3, tmp_path_factory.mktemp("english"))


@pytest.fixture(scope="session")
def german(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Excerpt:
    """Three sentences, 7.6 s."""
    return cut(recordings / "lang-de", 0, 3, tmp_path_factory.mktemp("german"))
