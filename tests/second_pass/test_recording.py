"""The audio of a session on disk."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from whisper_streaming.second_pass.recording import Recording


def _noise(samples: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).uniform(-1.2, 1.2, samples).astype(np.float32)


def test_what_was_given_can_be_read_to_16_bits() -> None:
    recording, audio = Recording(10_000), _noise(5000)
    for start in range(0, 5000, 700):
        recording.append(audio[start : start + 700])
        if start % 1400:
            recording.flush()
    recording.flush()

    assert (recording.samples, recording.waiting, recording.is_whole) == (5000, 0, True)
    heard = recording.read(1000, 6000)
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard, np.clip(audio[1000:], -1, 1), atol=1 / 32767)
    recording.append(audio[:10])  # also after something was read
    recording.flush()
    assert len(recording.read(5000, 9999)) == 10
    recording.close()


def test_more_than_its_limit_is_not_kept() -> None:
    recording = Recording(1000)
    for _ in range(30):
        recording.append(_noise(100))
    recording.flush()

    assert not recording.is_whole
    assert (recording.samples, recording.waiting) == (3000, 0)
    assert len(recording.read(0, 3000)) == 1000
    recording.close()


def test_it_has_no_name_and_goes_with_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recording = Recording(1000)
    recording.append(_noise(100))
    recording.flush()

    assert not list(tmp_path.iterdir())
    recording.close()
    recording.close()
    with pytest.raises(ValueError, match="closed"):
        recording.read(0, 10)


def test_without_a_place_for_files_only_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    recording = Recording(1000)
    recording.append(_noise(100))

    with pytest.raises(OSError, match="No such file"):
        recording.flush()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OSError, match="No such file"):  # a recording with a hole is none
        recording.flush()
    recording.close()


def test_two_threads_that_write_keep_the_order() -> None:
    recording, audio = Recording(1_000_000), (np.arange(30_000) / 32767).astype(np.float32)
    with ThreadPoolExecutor(4) as pool:
        flushes = []
        for start in range(0, len(audio), 10):
            recording.append(audio[start : start + 10])
            flushes.append(pool.submit(recording.flush))
    for each in flushes:
        each.result()

    np.testing.assert_array_equal(recording.read(0, 30_000), audio)
    assert recording.waiting == 0
    recording.close()
