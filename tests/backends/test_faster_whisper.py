"""What the faster_whisper backend does before it decodes: devices, loading."""

import os
from dataclasses import replace
from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from whisper_streaming.backends.faster_whisper import FasterWhisperBackend, choose_device
from whisper_streaming.backends.model_store import DEMO_PATH, ResolvedModel
from whisper_streaming.backends.whisper_model import Device, WhisperModel
from whisper_streaming.config import BackendSettings
from whisper_streaming.core.audio import samples_of
from whisper_streaming.core.hypothesis import (
    DecodeOptions,
    DecodeRequest,
)
from whisper_streaming.errors import ModelLoadError

CPU = BackendSettings(device="cpu", threads=4)
ONE_THREAD = Device("cpu", "int8", 1, 1)
SMALL_BYTES = 20 * 2**20
LARGE_BYTES = 700 * 2**20


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)


def model_folder(folder: Path, size: int) -> Path:
    """A folder with a model of this many bytes, none of which is on the disk."""
    folder.mkdir()
    with (folder / "model.bin").open("wb") as file:
        file.truncate(size)
    return folder


# -- device


@pytest.mark.parametrize(
    ("sizes", "settings", "expected"),
    [
        pytest.param([SMALL_BYTES], {}, (4, 1), id="small: one thread is tried first"),
        pytest.param([LARGE_BYTES], {}, (1, 4), id="too large to try: all threads for one window"),
        pytest.param([SMALL_BYTES, LARGE_BYTES], {}, (1, 4), id="too large together"),
        pytest.param([SMALL_BYTES], {"workers": 2}, (2, 2), id="as many workers as asked for"),
        pytest.param([LARGE_BYTES], {"workers": 2}, (2, 2), id="for large ones too"),
        pytest.param([SMALL_BYTES], {"workers": 8}, (8, 1), id="never less than one thread"),
    ],
)
def test_threads_are_shared_out_over_workers(
    tmp_path: Path, sizes: list[int], settings: dict[str, int], expected: tuple[int, int]
) -> None:
    folders = [model_folder(tmp_path / str(index), size) for index, size in enumerate(sizes)]

    device = choose_device(CPU.model_copy(update=settings), folders)

    assert (device.workers, device.threads_per_worker) == expected
    assert (device.name, device.compute_type) == ("cpu", "int8")


def test_all_cores_are_used_where_the_system_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS and Windows cannot say which cores a process may use."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    folders = [model_folder(tmp_path / "model", SMALL_BYTES)]

    device = choose_device(BackendSettings(device="cpu"), folders)

    assert (device.workers, device.threads_per_worker) == (6, 1)


def test_the_compute_type_can_be_chosen(tmp_path: Path) -> None:
    settings = CPU.model_copy(update={"compute_type": "float32"})
    folders = [model_folder(tmp_path / "model", SMALL_BYTES)]

    assert choose_device(settings, folders).compute_type == "float32"


@pytest.mark.usefixtures("without_gpu")
def test_auto_falls_back_to_the_cpu(tmp_path: Path) -> None:
    folders = [model_folder(tmp_path / "model", SMALL_BYTES)]

    assert choose_device(BackendSettings(device="auto"), folders).name == "cpu"


@pytest.mark.usefixtures("without_gpu")
def test_cuda_without_a_gpu_says_what_to_install_and_what_else_to_do(tmp_path: Path) -> None:
    folders = [model_folder(tmp_path / "model", SMALL_BYTES)]

    with pytest.raises(ModelLoadError) as failure:
        choose_device(BackendSettings(device="cuda"), folders)

    assert "no usable CUDA GPU" in str(failure.value)
    assert "pip install '.[gpu]'" in str(failure.value)
    assert "--device cpu" in str(failure.value)


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_gets_one_worker_and_half_precision(tmp_path: Path, device: str) -> None:
    settings = BackendSettings.model_validate({"device": device, "threads": 4})
    chosen = choose_device(settings, [model_folder(tmp_path / "model", SMALL_BYTES)])

    assert chosen == Device("cuda", "float16", workers=1, threads_per_worker=4)


@pytest.mark.usefixtures("with_gpu")
def test_the_cpu_can_be_asked_for_beside_a_gpu(tmp_path: Path) -> None:
    folders = [model_folder(tmp_path / "model", SMALL_BYTES)]

    assert choose_device(CPU, folders).name == "cpu"


# -- load


@pytest.fixture
def copy_of_demo(tmp_path: Path) -> Path:
    """The embedded model's files, by links, in a folder whose files may be replaced."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in DEMO_PATH.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        pytest.param("model.bin", "cannot be loaded on cpu", id="weights"),
        pytest.param("tokenizer.json", "tokenizer.json is missing", id="tokenizer"),
    ],
)
def test_an_incomplete_model_is_refused(copy_of_demo: Path, missing: str, complaint: str) -> None:
    (copy_of_demo / missing).unlink()

    with pytest.raises(ModelLoadError, match=complaint):
        WhisperModel("copy", copy_of_demo, ONE_THREAD)


def test_a_broken_tokenizer_is_named(copy_of_demo: Path) -> None:
    (copy_of_demo / "tokenizer.json").unlink()
    (copy_of_demo / "tokenizer.json").write_text('{"version": "1.0", ', encoding="utf-8")

    with pytest.raises(ModelLoadError, match=r"tokenizer\.json is not a tokenizer: .* line 1"):
        WhisperModel("copy", copy_of_demo, ONE_THREAD)


class FailingEncoder:
    """A CTranslate2 model that cannot encode."""

    n_mels = 80

    def encode(self, features: object) -> object:
        raise RuntimeError("cannot execute this on the current machine")


def test_a_model_that_does_not_decode_on_a_cpu_is_not_blamed_on_cuda(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = BackendSettings(device="cpu", threads=1)
    backend = FasterWhisperBackend(settings, [ResolvedModel("demo", DEMO_PATH)])
    monkeypatch.setattr(backend._models["demo"], "_model", FailingEncoder())

    with pytest.raises(ModelLoadError, match="the model demo does not decode") as failure:
        backend.warm_up()

    assert "current machine" in str(failure.value)
    assert "CUDA" not in str(failure.value)


def test_a_window_that_ctranslate2_would_take_for_a_spectrogram_is_refused(
    copy_of_demo: Path,
) -> None:
    profile = copy_of_demo / "streaming.json"
    profile.unlink()
    profile.write_text('{"window_buckets_s": [1.6, 30]}', encoding="utf-8")

    with pytest.raises(ModelLoadError, match=r"1\.6 s cannot be used"):
        WhisperModel("copy", copy_of_demo, ONE_THREAD)


def lasting(duration_s: float) -> DecodeRequest:
    return DecodeRequest(np.zeros(samples_of(duration_s), np.float32), 0, DecodeOptions("en"))


def test_a_profile_can_ask_for_padding(copy_of_demo: Path) -> None:
    (copy_of_demo / "streaming.json").unlink()
    careful = WhisperModel("copy", copy_of_demo, ONE_THREAD)

    assert careful.bucket_s(lasting(14.0)) == 15.0
    assert careful.bucket_s(lasting(14.1)) == 20.0
    assert careful.bucket_s(lasting(30.0)) == 30.0
    assert careful.bucket_s(replace(lasting(1.0), is_last=True)) == 30.0


@pytest.mark.skipif(ctranslate2.get_cuda_device_count() > 0, reason="there is a GPU that works")
@pytest.mark.usefixtures("with_gpu")
def test_a_gpu_that_does_not_work_is_answered_with_what_to_install() -> None:
    with pytest.raises(ModelLoadError) as failure:
        FasterWhisperBackend(BackendSettings(device="cuda"), [ResolvedModel("demo", DEMO_PATH)])

    assert "pip install '.[gpu]'" in str(failure.value)
