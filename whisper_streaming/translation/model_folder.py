"""Which translation model a folder in CTranslate2's format holds, and how it is spoken to."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from whisper_streaming.errors import ConfigurationError, ModelLoadError
from whisper_streaming.translation.languages import (
    flores_code,
    is_flores,
    normal_code,
    three_letters,
)
from whisper_streaming.translation.pieces import JsonPieces, Pieces, SentencePieces

END: Final = "</s>"

_NAME: Final = re.compile(r"(?P<path>.+?)(?::(?P<source>[a-z]{2,3})-(?P<target>[a-z]{2,3}))?")
_OPUS_FOLDER: Final = re.compile(r"opus-mt-(?:tc-(?:big|base|tiny)-)?([a-z]{2,3})-([a-z]{2,3})\b")
_TARGET_TOKEN: Final = re.compile(r">>([a-z]{2,3})(?:_[A-Za-z]+)?<<")
_VOCABULARIES: Final = ("shared_vocabulary", "source_vocabulary")
_NLLB_PIECES: Final = ("sentencepiece.bpe.model", "flores200_sacrebleu_tokenizer_spm.model")
_CONVERT: Final = (
    "convert one with: ct2-transformers-converter --model Helsinki-NLP/opus-mt-tr-en "
    "--output_dir opus-mt-tr-en --copy_files source.spm target.spm"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The tokens around a text.

    Attributes:
        before: The source begins with them.
        target: The translation begins with them; they are no part of it.
    """

    before: tuple[str, ...] = ()
    target: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpusModel:
    """Marian, as OPUS-MT trains it: one pair of languages, or one source and several targets.

    Attributes:
        source: Language that it reads.
        targets: Languages that it writes, and the token that asks for each, or None.
        source_pieces: Of the text.
        target_pieces: Of the translation.
    """

    source: str
    targets: dict[str, str | None]
    source_pieces: Pieces
    target_pieces: Pieces

    def supports(self, source: str, target: str) -> bool:
        return source == self.source and target in self.targets

    def prompt(self, source: str, target: str) -> Prompt:
        token = self.targets[target]
        return Prompt() if token is None else Prompt(before=(token,))


@dataclass(frozen=True, slots=True)
class NllbModel:
    """NLLB: any of its languages to any other.

    Attributes:
        languages: By normal code, NLLB's own.
        source_pieces: Of the text.
        target_pieces: Of the translation; the same.
    """

    languages: dict[str, str]
    source_pieces: Pieces
    target_pieces: Pieces

    @property
    def targets(self) -> dict[str, str]:
        return self.languages

    def supports(self, source: str, target: str) -> bool:
        return source != target and {source, target} <= self.languages.keys()

    def prompt(self, source: str, target: str) -> Prompt:
        return Prompt(before=(self.languages[source],), target=(self.languages[target],))


@dataclass(frozen=True, slots=True)
class ModelName:
    """What an operator writes: ``PATH`` or ``PATH:tr-en``."""

    folder: Path
    source: str | None
    target: str | None


def parse_name(name: str) -> ModelName:
    """Read ``PATH`` or ``PATH:source-target``."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ConfigurationError("a translation model needs a folder: PATH or PATH:tr-en")
    folder = Path(match["path"]).expanduser()
    if match["source"] is None and (pair := _OPUS_FOLDER.search(folder.resolve().name)):
        return ModelName(folder, *(normal_code(code) for code in pair.groups()))
    return ModelName(folder, match["source"], match["target"])


def read_folder(name: ModelName) -> OpusModel | NllbModel:
    """Find out what ``name.folder`` holds.

    Raises:
        ModelLoadError: If it is no translation model that can be used here; why, and what helps.
        ConfigurationError: If the operator has to say more, or says what the model cannot do.
    """
    folder = name.folder
    if not folder.is_dir():
        raise ModelLoadError(f"there is no folder {folder} with a translation model; {_CONVERT}")
    if not (folder / "model.bin").is_file():
        raise ModelLoadError(
            f"{folder} is no model of CTranslate2, it has no model.bin; {_CONVERT}"
        )
    tokens = _read_vocabulary(folder)
    if "<|startoftranscript|>" in tokens:
        raise ModelLoadError(f"{folder} is a Whisper model: it belongs to --model")
    if (folder / "source.spm").is_file() and (folder / "target.spm").is_file():
        return _read_opus(name, tokens)
    languages = {normal_code(token): token for token in tokens if is_flores(token)}
    if languages:
        return _read_nllb(name, languages)
    raise ModelLoadError(
        f"{folder} is neither an OPUS-MT model (no source.spm and target.spm) nor NLLB (no "
        f"language such as eng_Latn in its vocabulary); {_CONVERT}"
    )


def adds_end(folder: Path) -> bool:
    """Whether CTranslate2 adds the end of the sentence by itself; converters differ."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and bool(config.get("add_source_eos", False))


def _read_opus(name: ModelName, tokens: Sequence[str]) -> OpusModel:
    if name.source is None or name.target is None:
        raise ConfigurationError(
            f"nothing in {name.folder} says which languages it translates: write "
            f"{name.folder}:tr-en for Turkish to English"
        )
    listed = {
        match[1]: token for token in tokens if (match := _TARGET_TOKEN.fullmatch(token)) is not None
    }
    target = normal_code(name.target)
    targets: dict[str, str | None] = {target: None}
    if listed:
        token = listed.get(target) or listed.get(three_letters(target))
        if token is None:
            raise ConfigurationError(
                f"{name.folder} does not translate to {target!r}; it knows "
                f"{', '.join(sorted(listed))}: write {name.folder}:{name.source}-CODE"
            )
        targets = {target: token}
    return OpusModel(
        normal_code(name.source),
        targets,
        SentencePieces(name.folder / "source.spm"),
        SentencePieces(name.folder / "target.spm"),
    )


def _read_nllb(name: ModelName, languages: dict[str, str]) -> NllbModel:
    for code in (name.source, name.target):
        if code is not None and flores_code(code) not in languages.values():
            raise ConfigurationError(f"{name.folder} does not know the language {code!r}")
    if name.source is not None and name.target is not None:
        languages = {code: languages[code] for code in (name.source, name.target)}
    pieces = _nllb_pieces(name.folder)
    return NllbModel(languages, pieces, pieces)


def _nllb_pieces(folder: Path) -> Pieces:
    if (folder / "tokenizer.json").is_file():
        return JsonPieces(folder / "tokenizer.json")
    for file in _NLLB_PIECES:
        if (folder / file).is_file():
            return SentencePieces(folder / file)
    raise ModelLoadError(
        f"{folder} has no tokenizer: copy tokenizer.json (or {_NLLB_PIECES[0]}) of the original "
        "model into it"
    )


def _read_vocabulary(folder: Path) -> list[str]:
    for name in _VOCABULARIES:
        if (folder / f"{name}.json").is_file():
            return _read_json(folder / f"{name}.json")
        if (folder / f"{name}.txt").is_file():
            return (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    if (folder / "vocabulary.json").is_file():  # of a model with one language, as Whisper
        return _read_json(folder / "vocabulary.json")
    raise ModelLoadError(f"{folder} has no vocabulary: the copy is not complete; {_CONVERT}")


def _read_json(path: Path) -> list[str]:
    try:
        tokens = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelLoadError(f"{path} cannot be read: {exc}") from exc
    return [token for token in tokens if isinstance(token, str)]
