"""Translation models in CTranslate2's format: OPUS-MT and NLLB."""

from collections.abc import Sequence
from typing import Final

import ctranslate2

from whisper_streaming.config import TranslationSettings
from whisper_streaming.errors import ModelLoadError
from whisper_streaming.translation.model_folder import (
    END,
    NllbModel,
    OpusModel,
    adds_end,
    parse_name,
    read_folder,
)

_MAX_NEW_TOKENS: Final = 256
"""Of one passage, which is a sentence or 20 s of speech: 60 words or so."""


class CTranslate2Translator:
    """One loaded model; a :class:`~whisper_streaming.translation.base.Translator`.

    Args:
        name: A folder, with or without the languages: ``PATH`` or ``PATH:tr-en``.
        settings: Where and how it computes.

    Raises:
        ConfigurationError: If the languages are not known, or not the model's.
        ModelLoadError: If there is no such model, or a package is missing.
    """

    def __init__(self, name: str, settings: TranslationSettings) -> None:
        parsed = parse_name(name)
        self.name = parsed.folder.resolve().name
        self._model: OpusModel | NllbModel = read_folder(parsed)
        self._end = () if adds_end(parsed.folder) else (END,)
        self._beam_size = settings.beam_size
        has_gpu = settings.device != "cpu" and ctranslate2.get_cuda_device_count() > 0
        if settings.device == "cuda" and not has_gpu:
            raise ModelLoadError("translation.device is cuda, but no usable CUDA GPU was found")
        try:
            self._translator = ctranslate2.Translator(
                str(parsed.folder),
                device="cuda" if has_gpu else "cpu",
                compute_type=settings.compute_type,
                intra_threads=settings.threads,
            )
        except (RuntimeError, ValueError) as exc:
            raise ModelLoadError(
                f"the translation model {parsed.folder} cannot be loaded: {exc}"
            ) from exc

    @property
    def targets(self) -> Sequence[str]:
        return tuple(self._model.targets)

    def supports(self, source: str, target: str) -> bool:
        return self._model.supports(source, target)

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        prompt = self._model.prompt(source, target)
        sources = [
            [*prompt.before, *self._model.source_pieces.split(text), *self._end] for text in texts
        ]
        results = self._translator.translate_batch(
            sources,
            target_prefix=[list(prompt.target)] * len(texts) if prompt.target else None,
            beam_size=self._beam_size,
            max_decoding_length=_MAX_NEW_TOKENS,
            disable_unk=True,
        )
        pieces = (result.hypotheses[0][len(prompt.target) :] for result in results)
        return [self._model.target_pieces.join(each) for each in pieces]

    def close(self) -> None:
        """Free the model's memory."""
        self._translator.unload_model()
