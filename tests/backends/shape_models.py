"""Whisper models with random weights and the shapes of the real ones, built at test time.

Real weights are too large to bring along. What can break with another model is its shape:
vocabulary, ids of the special tokens, languages, mels, alignment heads. These models have the real
ones and are otherwise tiny. Their text is noise.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from ctranslate2.specs.whisper_spec import WhisperConfig, WhisperSpec

import whisper_streaming

DEMO: Final = Path(whisper_streaming.__file__).parent / "models" / "demo"
END_OF_TEXT: Final = "<|endoftext|>"
LAST_LANGUAGE: Final = "<|su|>"
ENCODER_POSITIONS: Final = 1500
DECODER_POSITIONS: Final = 448


@dataclass(frozen=True, slots=True)
class Shape:
    """What differs between the real models.

    Attributes:
        name: Name of the folder.
        vocabulary_size: As the real one has it; checked when the model is built.
        mels: Mel channels of the encoder's input.
        languages: Language tokens; 0 for an English-only model.
        has_alignment_heads: Whether the configuration names them.
        width: Of the hidden states.
        heads: Attention heads.
        encoder_layers: Of the encoder.
        decoder_layers: Of the decoder.
    """

    name: str
    vocabulary_size: int
    mels: int
    languages: int
    has_alignment_heads: bool = True
    width: int = 64
    heads: int = 2
    encoder_layers: int = 2
    decoder_layers: int = 2

    @property
    def is_multilingual(self) -> bool:
        return self.languages > 0


SHAPES: Final = (
    Shape("multilingual", 51_865, 80, 99),
    Shape("english-only", 51_864, 80, 0),
    Shape("large-v3", 51_866, 128, 100),
    Shape("no-alignment-heads", 51_865, 80, 99, has_alignment_heads=False),
)


def build(shape: Shape, folder: Path) -> Path:
    """Write a model of ``shape`` below ``folder``, as faster-whisper's converters lay it out."""
    path = folder / shape.name
    path.mkdir()
    tokenizer = _tokenizer(shape)
    tokens = _tokens(tokenizer)
    assert len(tokens) == shape.vocabulary_size
    spec = _spec(shape, np.random.default_rng(len(tokens)))
    spec.register_vocabulary(tokens)
    _configure(spec.config, shape, tokens)
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(path))
    (path / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    preprocessor = json.loads((DEMO / "preprocessor_config.json").read_text(encoding="utf-8"))
    preprocessor["feature_size"] = shape.mels
    (path / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    return path


# -- vocabulary -------------------------------------------------------------------------------


def _tokenizer(shape: Shape) -> dict[str, Any]:
    """The embedded model's tokenizer with the special tokens of ``shape``."""
    tokenizer: dict[str, Any] = json.loads((DEMO / "tokenizer.json").read_text(encoding="utf-8"))
    added = tokenizer["added_tokens"]
    special = [token["content"] for token in added]
    first_id = added[0]["id"]
    if shape.languages == 100:
        special.insert(special.index(LAST_LANGUAGE) + 1, "<|yue|>")
    if not shape.is_multilingual:
        # GPT-2's vocabulary has one token less, so every special token moves down by one. The
        # places of the languages stay, or the vocabulary would be too small; their names do not.
        vocabulary = tokenizer["model"]["vocab"]
        first_id -= 1
        del vocabulary[next(token for token, number in vocabulary.items() if number == first_id)]
        start, end = special.index("<|en|>"), special.index(LAST_LANGUAGE) + 1
        special[start:end] = [f"<|unused{number}|>" for number in range(end - start)]
    is_special = {token["content"]: token["special"] for token in added}
    tokenizer["added_tokens"] = [
        {**added[0], "id": first_id + place, "content": text, "special": is_special.get(text, True)}
        for place, text in enumerate(special)
    ]
    return tokenizer


def _tokens(tokenizer: dict[str, Any]) -> list[str]:
    """All tokens by id, without holes."""
    by_id = {number: token for token, number in tokenizer["model"]["vocab"].items()}
    by_id |= {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    return [by_id[number] for number in range(len(by_id))]


def _configure(config: WhisperConfig, shape: Shape, tokens: Sequence[str]) -> None:
    ids = {token: number for number, token in enumerate(tokens)}
    first_language = ids["<|startoftranscript|>"] + 1
    not_said = ("startoftranscript", "translate", "transcribe", "startoflm", "startofprev")
    config.suppress_ids = [ids[f"<|{name}|>"] for name in (*not_said, "nospeech")]
    config.suppress_ids_begin = [ids["Ġ"], ids[END_OF_TEXT]]
    config.lang_ids = [first_language + number for number in range(shape.languages)]
    if shape.has_alignment_heads:
        last = shape.decoder_layers - 1
        config.alignment_heads = [(last, head) for head in range(shape.heads)]


# -- weights ----------------------------------------------------------------------------------


def _spec(shape: Shape, rng: np.random.Generator) -> WhisperSpec:
    spec = WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
    width = shape.width
    _conv(spec.encoder.conv1, shape.mels, width, rng)
    _conv(spec.encoder.conv2, width, width, rng)
    spec.encoder.position_encodings.encodings = _random(rng, ENCODER_POSITIONS, width)
    _norm(spec.encoder.layer_norm, width)
    for layer in spec.encoder.layer:
        _attention(layer.self_attention, (3 * width, width), width, rng)
        _feed_forward(layer.ffn, width, rng)
    decoder = spec.decoder
    decoder.embeddings.weight = _random(rng, shape.vocabulary_size, width)
    decoder.projection.weight = decoder.embeddings.weight
    decoder.position_encodings.encodings = _random(rng, DECODER_POSITIONS, width)
    _norm(decoder.layer_norm, width)
    for layer in decoder.layer:
        _attention(layer.self_attention, (3 * width, width), width, rng)
        _attention(layer.attention, (width, 2 * width, width), width, rng)
        _feed_forward(layer.ffn, width, rng)
    return spec


def _random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    # Large enough for attention to differ between frames, small enough not to saturate.
    return (rng.standard_normal(shape) * 0.2).astype(np.float32)


def _attention(
    spec: Any,  # the specs of CTranslate2 are not typed
    outputs: Sequence[int],
    width: int,
    rng: np.random.Generator,
) -> None:
    _norm(spec.layer_norm, width)
    for linear, size in zip(spec.linear, outputs, strict=True):
        _linear(linear, size, width, rng)


def _feed_forward(
    spec: transformer_spec.FeedForwardSpec, width: int, rng: np.random.Generator
) -> None:
    _norm(spec.layer_norm, width)
    _linear(spec.linear_0, 4 * width, width, rng)
    _linear(spec.linear_1, width, 4 * width, rng)


def _linear(
    spec: common_spec.LinearSpec, outputs: int, inputs: int, rng: np.random.Generator
) -> None:
    spec.weight = _random(rng, outputs, inputs)
    spec.bias = np.zeros(outputs, dtype=np.float32)


def _conv(spec: common_spec.Conv1DSpec, inputs: int, width: int, rng: np.random.Generator) -> None:
    spec.weight = _random(rng, width, inputs, 3)
    spec.bias = np.zeros(width, dtype=np.float32)


def _norm(spec: common_spec.LayerNormSpec, width: int) -> None:
    spec.gamma = np.ones(width, dtype=np.float32)
    spec.beta = np.zeros(width, dtype=np.float32)
