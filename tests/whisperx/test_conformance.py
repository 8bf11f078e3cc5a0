"""The whisperx backend with the embedded model keeps the contract of backends."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.backends.conformance import BackendConformance
from whisper_streaming.backends import create_backend
from whisper_streaming.backends.base import Backend
from whisper_streaming.config import BackendSettings
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.hypothesis import Hypothesis

pytestmark = [pytest.mark.model, pytest.mark.requires_whisperx]


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    settings = BackendSettings(
        kind="whisperx", models=("demo",), device="cpu", threads=2, workers=2
    )
    backend = create_backend(settings)
    yield backend
    backend.close()


def test_it_says_its_own_name(backend: Backend) -> None:
    assert backend.info.engine == "whisperx"


class TestConformance(BackendConformance):
    @pytest.fixture
    def speech(self, recordings: Path) -> FloatArray:
        samples, _ = soundfile.read(recordings / "en-1-slt.flac", dtype="float32", frames=90_000)
        return np.asarray(samples)

    def assert_same(self, one: Hypothesis, other: Hypothesis) -> None:
        """Equal tokens and times; scores differ by rounding in a batch of another size."""
        assert [(w.text, w.tokens) for w in one.words] == [(w.text, w.tokens) for w in other.words]
        np.testing.assert_allclose(
            [w.start for w in one.words], [w.start for w in other.words], atol=0.021
        )
