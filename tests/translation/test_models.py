"""Translation models from folders: what is in them, and what is told where it does not fit."""

import builtins
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.translation.toy_models import WORDS, build_nllb, build_opus
from whisper_streaming.config import TranslationSettings
from whisper_streaming.errors import ConfigurationError, ModelLoadError
from whisper_streaming.translation.ctranslate2_model import CTranslate2Translator
from whisper_streaming.translation.model_folder import adds_end, parse_name

DEMO = Path(__file__).parents[2] / "whisper_streaming" / "models" / "demo"


def load(name: object, **settings: object) -> CTranslate2Translator:
    return CTranslate2Translator(str(name), TranslationSettings.model_validate(settings))


def test_an_opus_model_translates_the_pair_of_its_folder(tmp_path: Path) -> None:
    translator = load(build_opus(tmp_path / "opus-mt-de-en"))

    assert translator.translate(["guten Tag.", "ich höre Katzen?"], "de", "en") == [
        "good day.",
        "I hear cats?",
    ]
    assert list(translator.targets) == ["en"]
    assert translator.supports("de", "en")
    assert not translator.supports("en", "de")
    translator.close()


def test_an_opus_model_of_any_name_is_told_its_pair(tmp_path: Path) -> None:
    translator = load(f"{build_opus(tmp_path / 'model')}:de-en")

    assert translator.supports("de", "en")
    assert translator.translate(["Katzen"], "de", "en") == ["cats"]


def test_who_ends_the_sentence_is_in_the_configuration(tmp_path: Path) -> None:
    folder = build_opus(tmp_path / "opus-mt-de-en")
    config = json.loads((folder / "config.json").read_text())
    assert not adds_end(folder)

    (folder / "config.json").write_text(json.dumps({**config, "add_source_eos": True}))

    assert adds_end(folder)
    assert load(folder).translate(["ich höre Katzen"], "de", "en") == ["I hear cats"]


def test_an_opus_model_with_several_targets_is_asked_for_one(tmp_path: Path) -> None:
    # The token is a word of its own here, so that one sees it.
    words = {**WORDS, ">>fr<<": "▁[fr]"}
    folder = build_opus(tmp_path / "opus", words, targets=("es", "fr"))

    translator = load(f"{folder}:de-fr")

    assert list(translator.targets) == ["fr"]
    assert translator.translate(["Katzen"], "de", "fr") == ["[fr] cats"]
    with pytest.raises(ConfigurationError, match=r"does not translate to 'it'; it knows es, fr"):
        load(f"{folder}:de-it")


@pytest.mark.parametrize("tokenizer", ["tokenizer.json", "sentencepiece.bpe.model"])
def test_an_nllb_model_translates_between_its_languages(tmp_path: Path, tokenizer: str) -> None:
    languages = ("deu_Latn", "eng_Latn", "zho_Hant")
    translator = load(build_nllb(tmp_path / "nllb", languages=languages, tokenizer=tokenizer))

    assert sorted(translator.targets) == ["de", "en", "zho_Hant"]
    assert translator.supports("de", "en")
    assert translator.supports("de", "zho_Hant")
    assert not translator.supports("de", "de")
    assert not translator.supports("de", "fr")
    assert translator.translate(["guten Tag.", "Katzen"], "de", "en") == ["good day.", "cats"]


def test_an_nllb_model_may_be_kept_to_a_pair(tmp_path: Path) -> None:
    folder = build_nllb(tmp_path / "nllb", languages=("deu_Latn", "eng_Latn", "fra_Latn"))

    translator = load(f"{folder}:de-fr")

    assert sorted(translator.targets) == ["de", "fr"]
    assert not translator.supports("de", "en")
    with pytest.raises(ConfigurationError, match="does not know the language 'it'"):
        load(f"{folder}:de-it")


def test_a_batch_is_translated_as_its_texts_alone(tmp_path: Path) -> None:
    translator = load(build_opus(tmp_path / "opus-mt-de-en"))
    texts = ["Katzen", "ich höre guten Tag.", "", "guten Tag?"]

    alone = [translator.translate([text], "de", "en")[0] for text in texts]

    assert translator.translate(texts, "de", "en") == alone
    assert alone == ["cats", "I hear good day.", "", "good day?"]


def nothing(folder: Path) -> None:
    """No folder at all."""


def empty(folder: Path) -> None:
    folder.mkdir()


def whisper(folder: Path) -> None:
    folder.symlink_to(DEMO)


def no_vocabulary(folder: Path) -> None:
    build_opus(folder)
    (folder / "shared_vocabulary.json").unlink()


def broken_vocabulary(folder: Path) -> None:
    build_opus(folder)
    (folder / "shared_vocabulary.json").write_text("[")


def no_pieces(folder: Path) -> None:
    build_opus(folder)
    (folder / "target.spm").unlink()


def broken_pieces(folder: Path) -> None:
    build_opus(folder)
    (folder / "source.spm").write_bytes(b"no model")


def broken_weights(folder: Path) -> None:
    build_opus(folder)
    (folder / "model.bin").write_bytes(b"no weights")


def nllb_without_tokenizer(folder: Path) -> None:
    build_nllb(folder)
    (folder / "tokenizer.json").unlink()


def nllb_with_a_broken_tokenizer(folder: Path) -> None:
    build_nllb(folder)
    (folder / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (nothing, r"there is no folder .*convert one with: ct2-transformers-converter"),
        (empty, r"is no model of CTranslate2, it has no model\.bin"),
        (whisper, r"is a Whisper model: it belongs to --model"),
        (no_vocabulary, r"has no vocabulary: the copy is not complete"),
        (broken_vocabulary, r"shared_vocabulary\.json cannot be read"),
        (no_pieces, r"is neither an OPUS-MT model .* nor NLLB"),
        (broken_pieces, r"source\.spm is no SentencePiece model"),
        (broken_weights, r"cannot be loaded"),
        (nllb_without_tokenizer, r"has no tokenizer: copy tokenizer\.json"),
        (nllb_with_a_broken_tokenizer, r"tokenizer\.json is no tokenizer"),
    ],
)
def test_says_what_is_wrong_with_a_folder(
    tmp_path: Path, prepare: Callable[[Path], None], reason: str
) -> None:
    prepare(tmp_path / "opus-mt-de-en")

    with pytest.raises(ModelLoadError, match=reason):
        load(tmp_path / "opus-mt-de-en")


def test_asks_for_the_pair_where_nothing_tells_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"write .*model:tr-en for Turkish to English"):
        load(build_opus(tmp_path / "model"))


def test_says_what_to_install_where_the_package_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_opus(tmp_path / "opus-mt-de-en")
    nllb = build_nllb(tmp_path / "nllb")
    real_import = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "sentencepiece":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(
        ModelLoadError, match=r"sentencepiece: in the clone, pip install '\.\[translate\]'"
    ):
        load(folder)
    assert load(nllb).translate(["Katzen"], "de", "en") == ["cats"]  # needs none


@pytest.mark.parametrize(
    ("name", "folder", "source", "target"),
    [
        ("models/opus-mt-tr-en", "models/opus-mt-tr-en", "tr", "en"),
        ("opus-mt-tc-big-en-tr", "opus-mt-tc-big-en-tr", "en", "tr"),
        ("opus-mt-tr-en:de-fr", "opus-mt-tr-en", "de", "fr"),
        ("nllb-200", "nllb-200", None, None),
        ("C:\\models\\nllb", "C:\\models\\nllb", None, None),
        ("C:\\models\\nllb:tr-en", "C:\\models\\nllb", "tr", "en"),
    ],
)
def test_reads_a_folder_and_its_languages(
    name: str, folder: str, source: str | None, target: str | None
) -> None:
    parsed = parse_name(name)

    assert (str(parsed.folder), parsed.source, parsed.target) == (folder, source, target)


def test_an_empty_name_is_no_folder() -> None:
    with pytest.raises(ConfigurationError, match="needs a folder"):
        parse_name("")
