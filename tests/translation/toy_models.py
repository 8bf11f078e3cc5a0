"""Translation models that really translate, word by word: weights made by hand, in CTranslate2's
format, as its converters lay out OPUS-MT and NLLB.

Each hidden state has three parts: which token, which place, and what to write. The only layer that
does anything is the decoder's look at the source: place ``n`` looks at place ``n`` and writes the
word that stands there in the other language.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import sentencepiece
from ctranslate2.specs import transformer_spec
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

PLACES: Final = 64
SHARPNESS: Final = 20.0  # of the look at the source
WORDS: Final[Mapping[str, str]] = {
    "▁guten": "▁good",
    "▁Tag": "▁day",
    "▁ich": "▁I",
    "▁höre": "▁hear",
    "▁Katzen": "▁cats",
    ".": ".",
    "?": "?",
}
"""German pieces and the English ones that stand for them."""

Weights = npt.NDArray[np.float32]


def build_opus(folder: Path, words: Mapping[str, str] = WORDS, targets: Sequence[str] = ()) -> Path:
    """An OPUS-MT model, with tokens such as ``>>fr<<`` for ``targets``."""
    folder.mkdir(parents=True)
    pieces = [*dict.fromkeys([*words, *words.values(), "▁"])]
    tokens = ["</s>", "<unk>", *(f">>{target}<<" for target in targets), *pieces]
    spec = _spec(tokens, words)
    spec.decoder.start_from_zero_embedding = True
    spec.config.decoder_start_token = "</s>"
    _save(spec, folder)
    for file in ("source.spm", "target.spm"):
        _train_pieces(folder / file, pieces)
    return folder


def build_nllb(
    folder: Path,
    words: Mapping[str, str] = WORDS,
    languages: Sequence[str] = ("deu_Latn", "eng_Latn"),
    *,
    tokenizer: str = "tokenizer.json",
) -> Path:
    """An NLLB model; ``tokenizer`` is the file that holds its pieces."""
    folder.mkdir(parents=True)
    pieces = [*dict.fromkeys([*words, *words.values(), "▁"])]
    tokens = ["<s>", "</s>", "<unk>", *pieces, *languages]
    spec = _spec(tokens, words)
    spec.config.decoder_start_token = "</s>"
    _save(spec, folder)
    if tokenizer == "tokenizer.json":
        _write_tokenizer(folder / tokenizer, tokens)
    else:
        _train_pieces(folder / tokenizer, pieces)
    return folder


def _spec(tokens: Sequence[str], words: Mapping[str, str]) -> transformer_spec.TransformerSpec:
    count = len(tokens)
    width = 2 * count + PLACES
    token, place, written = slice(count), slice(count, count + PLACES), slice(width - count, width)
    spec = transformer_spec.TransformerSpec.from_config((1, 1), 1, pre_norm=True)
    for side in (spec.encoder, spec.decoder):
        side.scale_embeddings = False
        side.position_encodings.encodings = _eye(PLACES, width, place)
        _set_norm(side.layer_norm, width)
        _set_silent(side.layer[0], width)
    spec.encoder.embeddings[0].weight = _eye(count, width, token)
    spec.decoder.embeddings.weight = _eye(count, width, token)
    spec.decoder.projection.weight = _eye(count, width, written)
    look = spec.decoder.layer[0].attention
    _set_norm(look.layer_norm, width)
    look_at, value = np.zeros((width, width), np.float32), np.zeros((width, width), np.float32)
    look_at[place, place] = np.eye(PLACES)
    index = {each: number for number, each in enumerate(tokens)}
    for number, each in enumerate(tokens):
        value[written.start + index[words.get(each, each)], number] = 1.0
    look.linear[0].weight = SHARPNESS * look_at
    look.linear[1].weight = np.concatenate([look_at, value])
    look.linear[2].weight = np.eye(width, dtype=np.float32)
    spec.register_source_vocabulary(list(tokens))
    spec.register_target_vocabulary(list(tokens))
    return spec


def _set_silent(layer: transformer_spec.TransformerEncoderLayerSpec, width: int) -> None:
    """Self-attention and feed-forward network add nothing."""
    _set_norm(layer.self_attention.layer_norm, width)
    layer.self_attention.linear[0].weight = np.zeros((3 * width, width), np.float32)
    layer.self_attention.linear[1].weight = np.zeros((width, width), np.float32)
    _set_norm(layer.ffn.layer_norm, width)
    layer.ffn.linear_0.weight = np.zeros((4, width), np.float32)
    layer.ffn.linear_1.weight = np.zeros((width, 4), np.float32)


def _set_norm(norm: object, width: int) -> None:
    norm.gamma = np.ones(width, np.float32)  # type: ignore[attr-defined]
    norm.beta = np.zeros(width, np.float32)  # type: ignore[attr-defined]


def _eye(rows: int, width: int, part: slice) -> Weights:
    weights = np.zeros((rows, width), np.float32)
    weights[:, part] = np.eye(rows)
    return weights


def _save(spec: transformer_spec.TransformerSpec, folder: Path) -> None:
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))


def _train_pieces(path: Path, pieces: Sequence[str]) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([piece.replace("▁", " ") for piece in pieces]),
        model_prefix=str(path.with_suffix("")),
        vocab_size=200,
        hard_vocab_limit=False,
        user_defined_symbols=[piece for piece in pieces if piece != "▁"],
        normalization_rule_name="identity",
        minloglevel=2,
    )
    path.with_suffix(".model").rename(path)
    path.with_suffix(".vocab").unlink()


def _write_tokenizer(path: Path, tokens: Sequence[str]) -> None:
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(path))
    json.loads(path.read_text(encoding="utf-8"))
