"""Codes of languages, as clients and models write them."""

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from whisper_streaming.translation.languages import (
    FLORES_CODES,
    flores_code,
    is_flores,
    normal_code,
    three_letters,
)


@pytest.mark.parametrize(
    ("code", "normal"),
    [
        ("fr", "fr"),
        ("FR", "fr"),
        ("pt-BR", "pt"),
        ("zh_TW", "zh"),
        ("fra_Latn", "fr"),
        ("zho_Hans", "zh"),
        ("zho_Hant", "zho_Hant"),
    ],
)
def test_codes_that_mean_the_same_are_the_same(code: str, normal: str) -> None:
    assert normal_code(code) == normal


def test_all_languages_of_whisper_have_a_code_in_nllb_but_three() -> None:
    assert set(_LANGUAGE_CODES) - FLORES_CODES.keys() == {"br", "haw", "la"}
    assert FLORES_CODES.keys() <= set(_LANGUAGE_CODES)
    assert len(set(FLORES_CODES.values())) == len(FLORES_CODES)
    assert all(map(is_flores, FLORES_CODES.values()))


def test_codes_of_nllb_and_of_three_letters() -> None:
    assert flores_code("de") == "deu_Latn"
    assert flores_code("zho_Hant") == "zho_Hant"
    assert flores_code("la") is None
    assert three_letters("fr") == "fra"
    assert three_letters("la") == "la"
