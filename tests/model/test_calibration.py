"""The embedded model measures itself. No test here depends on how fast the machine is."""

import logging
from contextlib import closing
from typing import Final

import pytest

from whisper_streaming.backends import create_backend, model_loading
from whisper_streaming.backends.base import Backend
from whisper_streaming.config import BackendSettings
from whisper_streaming.engine.calibration import Calibration, calibrate
from whisper_streaming.engine.capacity import estimate_sessions
from whisper_streaming.server.measured import Measured, bundled_speech

pytestmark = [pytest.mark.model, pytest.mark.slow]

CPU: Final = BackendSettings(models=("demo",), device="cpu", threads=2)


@pytest.fixture(scope="module")
def calibration(backend: Backend) -> Calibration:
    return calibrate(backend, backend.info.models[0], bundled_speech(), budget_s=60.0)


def test_every_window_and_every_batch_is_measured(calibration: Calibration) -> None:
    """By how much a batch pays is a matter of the machine and of what else it does: see `bench`."""
    by_batch = calibration.decode_s[calibration.windows[0].bucket_s]

    assert list(by_batch) == [1, 2, 4, 8]
    # Eight times the work: more than other programs can add to the smaller one.
    assert 0 < by_batch[1] < by_batch[8]
    assert set(calibration.decode_s) == {window.bucket_s for window in calibration.windows}
    assert all(sizes[1] > 0 for sizes in calibration.decode_s.values())
    assert len(calibration.windows) > 1


def test_the_numbers_are_plausible(backend: Backend, calibration: Calibration) -> None:
    found = Measured({calibration.model: calibration}, backend.info)

    assert calibration.rtf > 0
    assert found.sessions == estimate_sessions(
        calibration, backend.info.max_batch, backend.info.cores
    )
    # A dozen times as small as the stock models that it is compared with.
    pace = found.pace("demo")
    assert pace.rtf >= 0.5 or pace.largest_live_model is not None


@pytest.mark.parametrize("fast_enough_s", [0.0, 1e9], ids=["tried", "fast on one thread"])
def test_threads_are_shared_out_completely(
    fast_enough_s: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "whisper_streaming.backend")
    monkeypatch.setattr(model_loading, "_FAST_ENOUGH_S", fast_enough_s)
    with closing(create_backend(CPU)) as backend:
        info = backend.info
        backend.warm_up()

    assert ("trying how many threads" in caplog.text) == (fast_enough_s == 0)
    assert info.workers * info.threads_per_worker == 2
    assert fast_enough_s == 0 or info.workers == 2
    assert info.is_processor_bound


def test_named_workers_are_not_second_guessed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "whisper_streaming.backend")
    with closing(create_backend(CPU.model_copy(update={"workers": 1}))) as backend:
        assert (backend.info.workers, backend.info.threads_per_worker) == (1, 2)

    assert "trying" not in caplog.text
