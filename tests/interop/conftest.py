"""The real peers from their wheels, our server, and recordings for all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.processes import our_server
from tests.interop.recordings import Excerpt, cut
from whisper_streaming.bench.stock_environment import (
    WHISPER_LIVE,
    WHISPER_LIVE_KIT,
    Release,
    StockEnvironment,
    provide_environment,
)
from whisper_streaming.errors import BenchmarkError


@pytest.fixture(scope="session")
def stock(pytestconfig: pytest.Config) -> StockEnvironment:
    """The real WhisperLive; skips where the package index does not give it."""
    return provide(WHISPER_LIVE, pytestconfig)


@pytest.fixture(scope="session")
def live_kit(pytestconfig: pytest.Config) -> StockEnvironment:
    """The real WhisperLiveKit; skips where the package index does not give it."""
    return provide(WHISPER_LIVE_KIT, pytestconfig)


def provide(release: Release, pytestconfig: pytest.Config) -> StockEnvironment:
    assert pytestconfig.cache is not None
    try:
        return provide_environment(pytestconfig.cache.mkdir(release.folder_name), release)
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
    """Three sentences with pauses between them, heard rightly however late decodes are."""
    return cut(recordings / "en-1-slt", (1, 3, 4), tmp_path_factory.mktemp("english"))


@pytest.fixture(scope="session")
def german(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Excerpt:
    """Three sentences, 7.6 s."""
    return cut(recordings / "lang-de", (0, 1, 2), tmp_path_factory.mktemp("german"))
