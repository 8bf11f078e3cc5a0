"""Align models of whisperx: Wav2Vec2 networks that hear letters."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torchaudio
from whisperx.alignment import (
    DEFAULT_ALIGN_MODELS_HF,
    DEFAULT_ALIGN_MODELS_TORCH,
    load_align_model,
)

from whisper_streaming.alignment.ctc import LogProbs
from whisper_streaming.backends.hub_access import fetch_repository
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.errors import ModelLoadError

# Weights for other frameworks, and folders of experiments.
_UNWANTED: Final = ("*.msgpack", "*.h5", "*.ot", "*.onnx", "*.arpa", "*.bin.gz", "*/*")
_NEEDED: Final = ("config.json", "vocab.json")
_TORCHAUDIO: Final = "https://download.pytorch.org/torchaudio/models/"
_PROBE_TIMEOUT_S: Final = 10.0
_BLANKS: Final = ("[pad]", "<pad>")


class WhisperXModel:
    """A loaded align model. Keeps the promises of ``AlignModel``."""

    def __init__(self, language: str, name: str, *, device: str) -> None:
        """Load it.

        Args:
            language: Whisper language code.
            name: A folder in the format of transformers, or a name of torchaudio.
            device: ``"cpu"`` or ``"cuda"``.

        Raises:
            ModelLoadError: If it cannot be loaded.
        """
        try:
            self._network, metadata = load_align_model(language, device, model_name=name)
        # Whatever torch, transformers and the format of the weights raise.
        except Exception as exc:
            cause = exc.__context__ or exc
            raise ModelLoadError(
                f"the align model {name} cannot be loaded: {type(cause).__name__}: {cause}"
            ) from exc
        self._network.eval()
        self._device = device
        self._is_torchaudio = metadata["type"] == "torchaudio"
        columns: dict[str, int] = metadata["dictionary"]
        self._blank = next((columns[each] for each in _BLANKS if each in columns), 0)
        self._letters = {
            letter: column
            for letter, column in columns.items()
            if len(letter) == 1 and column != self._blank
        }

    @property
    def letters(self) -> Mapping[str, int]:
        return self._letters

    @property
    def blank(self) -> int:
        return self._blank

    def hear(self, samples: FloatArray) -> LogProbs:
        """See :class:`~whisper_streaming.alignment.words.AlignModel`."""
        with torch.inference_mode():
            # A copy: torch wants to be able to write.
            audio = torch.from_numpy(np.array(samples)).unsqueeze(0).to(self._device)
            answer = self._network(audio)
            logits = answer[0] if self._is_torchaudio else answer.logits
            heard: LogProbs = torch.log_softmax(logits[0].float(), dim=-1).cpu().numpy()
        return heard


def load_whisperx_model(
    language: str, name: str | None, *, device: str, threads: int, token: str | None
) -> WhisperXModel:
    """Find, fetch and load an align model; this may take minutes.

    Args:
        language: Whisper language code.
        name: A folder, a hub id, or a name of torchaudio; None is what whisperx takes.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"``.
        threads: That torch computes with on a CPU.
        token: For the hub.

    Raises:
        ModelLoadError: If it cannot be had or loaded.
    """
    if name is None:
        name = DEFAULT_ALIGN_MODELS_TORCH.get(language) or DEFAULT_ALIGN_MODELS_HF.get(language)
    if name is None:
        raise ModelLoadError(
            f"whisperx knows no align model for {language!r}; name one: "
            f"--align-model {language}=MODEL"
        )
    if device != "cpu":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(threads)
    if name in torchaudio.pipelines.__all__:
        _check_torchaudio(name)
    elif not Path(name).is_dir():
        name = str(fetch_repository(name, token, is_complete=_is_complete, unwanted=_UNWANTED))
    return WhisperXModel(language, name, device=device)


def _is_complete(folder: Path) -> bool:
    weights = (*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin"))
    return bool(weights) and all((folder / name).is_file() for name in _NEEDED)


def _check_torchaudio(name: str) -> None:
    """Check that weights of torchaudio can be had: it would wait for ever where packets are lost.

    Raises:
        ModelLoadError: If they are neither on this machine nor at their address.
    """
    file = getattr(torchaudio.pipelines, name)._path
    if (Path(torch.hub.get_dir()) / "checkpoints" / Path(file).name).exists():
        return
    request = urllib.request.Request(_TORCHAUDIO + file, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_PROBE_TIMEOUT_S).close()
    except OSError as exc:
        raise ModelLoadError(
            f"the align model {name} is not on this machine, and {_TORCHAUDIO}{file} cannot be "
            f"reached: {exc}. Check the network, or give a folder: --align-model PATH, or the "
            "embedded one, which understands synthetic English voices: --align-model demo"
        ) from exc
