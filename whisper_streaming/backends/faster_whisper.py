"""The faster_whisper backend: Whisper models in CTranslate2 format, batched over sessions."""

import ctypes
import importlib.util
import logging
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Final

import ctranslate2
import numpy as np
from threadpoolctl import threadpool_limits

from whisper_streaming.backends.allocator import keep_freed_memory
from whisper_streaming.backends.base import BackendInfo
from whisper_streaming.backends.model_loading import can_try_threads, load_models
from whisper_streaming.backends.model_store import ResolvedModel
from whisper_streaming.backends.whisper_model import Device, WhisperModel
from whisper_streaming.config import BackendSettings
from whisper_streaming.core.audio import SAMPLE_RATE
from whisper_streaming.core.hypothesis import DecodeOptions, DecodeRequest, Hypothesis, Word
from whisper_streaming.errors import BackendError, ModelLoadError
from whisper_streaming.machine import usable_cores

logger = logging.getLogger("whisper_streaming.backend")

# Batches past 8 gain nothing on a CPU, and the slowest row holds back the others.
_MAX_BATCH_CPU: Final = 8
_MAX_BATCH_GPU: Final = 32
_WARM_UP_S: Final = 1.0
_GPU_HINT: Final = (
    "CTranslate2 needs cuBLAS and cuDNN for CUDA 12; install them with: pip install '.[gpu]'"
)


class FasterWhisperBackend:
    """Loaded models and how many threads may use them."""

    def __init__(self, settings: BackendSettings, models: Sequence[ResolvedModel]) -> None:
        """Load ``models``; the first is the default.

        Raises:
            ModelLoadError: If one of them cannot be loaded on the device.
        """
        device = choose_device(settings, [model.path for model in models])
        # The spectrogram is one small matrix product. NumPy's threads make it no faster, but they
        # spin on after it: without this bound a decode costs twice the processor time.
        self._blas_threads = threadpool_limits(limits=1, user_api="blas")
        keep_freed_memory()
        try:
            device, loaded = load_models(models, device, settings)
        except ModelLoadError as exc:
            if device.name == "cuda":
                raise ModelLoadError(f"{exc}\n{_GPU_HINT}") from exc
            raise
        self._models = {model.info.name: model for model in loaded}
        self._default = loaded[0]
        self._beam_size = settings.beam_size
        self.info = BackendInfo(
            engine="faster_whisper",
            models=tuple(model.info for model in loaded),
            workers=device.workers,
            max_batch=_MAX_BATCH_GPU if device.name == "cuda" else _MAX_BATCH_CPU,
            threads_per_worker=device.threads_per_worker,
            cores=usable_cores(),
            is_processor_bound=device.name == "cpu",
        )
        logger.info(
            "%d workers of %d threads on %s, compute type %s",
            device.workers,
            device.threads_per_worker,
            device.name,
            device.compute_type,
        )

    def warm_up(self) -> None:
        """Decode a second of faint noise with each model, on the path that sessions use."""
        noise = np.random.default_rng(0).normal(0, 1e-3, round(_WARM_UP_S * SAMPLE_RATE))
        for name, model in self._models.items():
            language = None if model.info.is_multilingual else "en"
            request = DecodeRequest(
                samples=noise.astype(np.float32),
                start_sample=0,
                options=DecodeOptions(language=language, model=name),
                prefix=(Word(" the", 0.0, 0.5),),  # as in the middle of an utterance
                max_new_tokens=8,
            )
            try:
                self.decode_batch([request] * 2)
            except BackendError as exc:
                hint = "" if self.info.is_processor_bound else f"\n{_GPU_HINT}"
                raise ModelLoadError(f"the model {name} does not decode: {exc}{hint}") from exc

    def batch_key(self, request: DecodeRequest) -> Hashable:
        """Windows of one batch share the model, the length, the prompt length and the beam.

        CTranslate2 wants ``<|startoftranscript|>`` at the same index in all prompts of a batch.
        """
        model = self._model(request)
        return (
            model.info.name,
            model.bucket_s(request),
            model.prompt_length(request),
            self._beam(request),
        )

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        first = requests[0]
        return self._model(first).decode_batch(requests, beam_size=self._beam(first))

    def close(self) -> None:
        """Give NumPy its threads back; CTranslate2 frees a model with its last reference."""
        self._blas_threads.restore_original_limits()

    def _model(self, request: DecodeRequest) -> WhisperModel:
        return self._models.get(request.options.model or "", self._default)

    def _beam(self, request: DecodeRequest) -> int:
        if request.beam_size is not None:
            return request.beam_size
        return self._beam_size if request.is_last else 1


def choose_device(settings: BackendSettings, folders: Sequence[Path]) -> Device:
    """Decide where models run and by how many workers and threads.

    On a CPU and without ``settings.workers`` this is where :class:`FasterWhisperBackend` begins to
    try: one thread for each worker, or all threads for one if the models are too large to try.

    Raises:
        ModelLoadError: If a GPU was asked for and none can be used.
    """
    if settings.device != "cpu":
        _preload_cuda_libraries()
    has_gpu = settings.device != "cpu" and ctranslate2.get_cuda_device_count() > 0
    if settings.device == "cuda" and not has_gpu:
        raise ModelLoadError(
            f"--device cuda was asked for, but no usable CUDA GPU was found.\n{_GPU_HINT}\n"
            "Or run on the CPU: --device cpu"
        )
    name = "cuda" if has_gpu else "cpu"
    compute_type = settings.compute_type
    if compute_type == "default":
        compute_type = "float16" if has_gpu else "int8"
    threads = settings.threads or usable_cores()
    workers = settings.workers or (threads if not has_gpu and can_try_threads(folders) else 1)
    return Device(name, compute_type, workers, max(1, threads // workers))


def _preload_cuda_libraries() -> None:
    """Make the CUDA libraries of the ``[gpu]`` extra visible to CTranslate2.

    It looks for them by name in the loader's path, where wheels do not put them.
    """
    for package, library in (
        ("nvidia.cublas", "libcublas.so.12"),
        ("nvidia.cudnn", "libcudnn.so.9"),
    ):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for location in (spec and spec.submodule_search_locations) or ():
            path = Path(location) / "lib" / library
            if path.exists():
                try:
                    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
                except OSError as exc:  # CTranslate2 says later what it misses
                    logger.warning("%s cannot be loaded: %s", path, exc)
