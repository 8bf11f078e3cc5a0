"""From decoded pieces of text to words with times: joining, placing, spreading."""

from dataclasses import dataclass

import pytest

from whisper_streaming.backends.words import (
    Piece,
    aligned_pieces,
    is_punctuation,
    merge_pieces,
    place_words,
    spread_pieces,
    whole_characters,
    with_leading_space,
)
from whisper_streaming.core.hypothesis import Word


def pieces(*texts: str) -> list[Piece]:
    """Pieces of half a second each, one after the other; piece n has token n."""
    return [
        Piece(text, (index,), 0.5 * index, 0.5 * index + 0.5, 0.9)
        for index, text in enumerate(texts)
    ]


def texts_of(merged: list[Piece]) -> list[str]:
    return [piece.text for piece in merged]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(".", True, id="full stop"),
        pytest.param(' "', True, id="quotation mark with a space"),
        pytest.param("。", True, id="Chinese full stop"),
        pytest.param("—", True, id="dash"),
        pytest.param(" ", True, id="space"),
        pytest.param("", True, id="nothing"),
        pytest.param(" a.", False, id="letter"),
        pytest.param("3", False, id="digit"),
        pytest.param("ß", False, id="German letter"),
        pytest.param("は", False, id="kana"),
    ],
)
def test_punctuation_is_what_nobody_speaks(text: str, expected: bool) -> None:
    assert is_punctuation(text) is expected


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("你好".encode(), "你好", id="whole"),
        pytest.param("你好".encode()[:-1], "你", id="last byte missing"),
        pytest.param("你好".encode()[:-2], "你", id="two bytes missing"),
        pytest.param("你".encode()[:1], "", id="nothing else"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_half_a_character_is_no_text(text: bytes, kept: str) -> None:
    def decode(tokens: list[int]) -> str:
        return bytes(tokens).decode(errors="replace")

    assert decode(whole_characters(list(text), decode)) == kept


@pytest.mark.parametrize(
    ("decoded", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([" the", " cat"], [" the", " cat"], id="words stay words"),
        pytest.param([" cat", "."], [" cat."], id="full stop"),
        pytest.param([" cat", ".", '"'], [' cat."'], id="several marks"),
        pytest.param([" well", "-known", "."], [" well-known."], id="hyphen"),
        pytest.param([" 3", ".", "14"], [" 3.14"], id="decimal"),
        pytest.param([" don", "'t"], [" don't"], id="apostrophe"),
        pytest.param(["es", " the", " end"], ["es", " the", " end"], id="glued to what was before"),
        pytest.param([".", " So"], [".", " So"], id="mark of the word before"),
        pytest.param([' "', "Yes"], [' "Yes'], id="opening quotation mark"),
    ],
)
def test_a_piece_without_a_space_goes_on_with_the_word(
    decoded: list[str], expected: list[str]
) -> None:
    assert texts_of(merge_pieces(pieces(*decoded))) == expected


@pytest.mark.parametrize(
    ("decoded", "expected"),
    [
        pytest.param(["我", "们", "好"], ["我", "们", "好"], id="each piece is a word"),
        pytest.param(["好", "。"], ["好。"], id="but punctuation is none"),
        pytest.param(["「", "はい"], ["「", "はい"], id="an opening mark has no word before it"),
        pytest.param([" see", "京", "都", " now"], [" see", "京", "都", " now"], id="in English"),
        pytest.param(["ខ", "្", "ញ"], ["ខ្", "ញ"], id="a sign on a letter is no word"),
        pytest.param([" see", " ", "京", "都"], [" see", " 京", "都"], id="a space by itself"),
        pytest.param(["好", " O", "K"], ["好", " OK"], id="English in Chinese"),
        pytest.param(["年", "20", "26", "年"], ["年2026", "年"], id="a number is glued"),
    ],
)
def test_what_is_written_without_spaces_is_a_word_each(
    decoded: list[str], expected: list[str]
) -> None:
    assert texts_of(merge_pieces(pieces(*decoded))) == expected


def test_a_joined_word_has_all_tokens_and_lasts_to_its_last_sound() -> None:
    (word,) = merge_pieces(pieces(" well", "-known"))

    assert word.tokens == (0, 1)
    assert (word.start, word.end) == (0.0, 1.0)


def test_punctuation_makes_a_word_neither_longer_nor_surer() -> None:
    spoken = Piece(" cat", (7,), 1.0, 1.5, 0.8)
    mark = Piece(".", (8,), 1.5, 4.0, 0.1)

    assert merge_pieces([spoken, mark]) == [Piece(" cat.", (7, 8), 1.0, 1.5, 0.8)]


def test_a_word_is_as_sure_as_its_least_sure_part() -> None:
    parts = [Piece(" well", (1,), 0.0, 0.5, 0.9), Piece("-known", (2,), 0.5, 1.0, 0.3)]

    assert merge_pieces(parts)[0].probability == 0.3


def test_words_are_put_on_the_clock_of_the_session() -> None:
    placed = place_words(
        pieces(" the", " cat"), window_start=10.0, window_end=20.0, offset_s=0.0, earliest=10.0
    )

    assert placed == (Word(" the", 10.0, 10.5, 0.9, (0,)), Word(" cat", 10.5, 11.0, 0.9, (1,)))


def spans(decoded: list[tuple[float, float]], **where: float) -> list[tuple[float, float]]:
    """Start and end of words whose pieces have these times, in a window from 10 to 12 s."""
    given = [Piece(f" w{start}", (), start, end, 1.0) for start, end in decoded]
    limits = {"window_start": 10.0, "window_end": 12.0, "offset_s": 0.0, "earliest": 10.0, **where}
    return [(word.start, word.end) for word in place_words(given, **limits)]


@pytest.mark.parametrize(
    ("decoded", "where", "expected"),
    [
        pytest.param([], {}, [], id="nothing"),
        pytest.param([(0.5, 1.0)], {"offset_s": 0.25}, [(10.75, 11.25)], id="steady error"),
        pytest.param([(0.5, 1.0)], {"offset_s": -0.75}, [(10.0, 10.25)], id="not before window"),
        pytest.param([(1.5, 2.5)], {}, [(11.5, 12.0)], id="not behind the window"),
        pytest.param([(3.0, 4.0)], {}, [(12.0, 12.0)], id="wholly behind the window"),
        pytest.param(
            [(0.0, 1.0)], {"earliest": 10.5}, [(10.5, 11.0)], id="not into the word before"
        ),
        pytest.param(
            [(0.0, 0.25)], {"earliest": 10.5}, [(10.5, 10.5)], id="wholly in the word before"
        ),
        pytest.param([(0.5, 1.0)], {"earliest": 9.0}, [(10.5, 11.0)], id="a word long before"),
        pytest.param([(0.5, 1.0)], {"earliest": 15.0}, [(12.0, 12.0)], id="a word beyond the end"),
        pytest.param(
            [(0.0, 1.0), (0.5, 1.5)], {}, [(10.0, 11.0), (11.0, 11.5)], id="words do not overlap"
        ),
        pytest.param([(1.0, 0.5)], {}, [(11.0, 11.0)], id="nor end before they start"),
    ],
)
def test_words_stay_in_the_window_and_in_order(
    decoded: list[tuple[float, float]],
    where: dict[str, float],
    expected: list[tuple[float, float]],
) -> None:
    assert spans(decoded, **where) == expected


def test_without_alignment_time_is_shared_out_by_letters() -> None:
    spread = spread_pieces([(" cat", (1,)), (" elephant ", (2,)), ("!!", (3,))], start=1.0, end=5.0)

    assert [(piece.start, piece.end) for piece in spread] == [(1.0, 2.0), (2.0, 4.5), (4.5, 5.0)]
    assert [piece.tokens for piece in spread] == [(1,), (2,), (3,)]


@pytest.mark.parametrize("texts", [[], [("", (1,))]])
def test_text_without_letters_needs_no_time(texts: list[tuple[str, tuple[int, ...]]]) -> None:
    assert [(p.start, p.end) for p in spread_pieces(texts, start=1.0, end=5.0)] == [
        (1.0, 1.0)
    ] * len(texts)


@dataclass
class Path:
    """What CTranslate2's ``align`` returns: (token, frame of 20 ms) steps, and probabilities."""

    alignments: list[tuple[int, int]]
    text_token_probs: list[float]


# Tokens 0, 1 and 2 start in frames 0, 10 and 25; the end of text is reached in frame 40, and the
# path goes on to the last frame, 99, as it always does.
SPOKEN = Path([(0, 0), (0, 1), (1, 10), (1, 11), (2, 25), (3, 40), (3, 99)], [0.9, 0.5, 0.7])


def test_a_token_lasts_until_the_next_one_begins() -> None:
    aligned = aligned_pieces([(" a", (5,)), (" cat", (6,)), (" sat", (7,))], SPOKEN, 0)

    assert [(piece.start, piece.end) for piece in aligned] == [(0.0, 0.2), (0.2, 0.5), (0.5, 0.8)]
    assert [piece.probability for piece in aligned] == [0.9, 0.5, 0.7]


def test_a_word_of_several_tokens_lasts_over_all_of_them() -> None:
    aligned = aligned_pieces([(" acat", (5, 6)), (" sat", (7,))], SPOKEN, 0)

    assert aligned == [
        Piece(" acat", (5, 6), 0.0, 0.5, 0.7),
        Piece(" sat", (7,), 0.5, 0.8, 0.7),
    ]


def test_the_path_of_a_forced_prefix_is_skipped() -> None:
    aligned = aligned_pieces([(" sat", (7,))], SPOKEN, 2)

    assert aligned == [Piece(" sat", (7,), 0.5, 0.8, 0.7)]


def test_tokens_behind_the_path_stand_at_its_end() -> None:
    aligned = aligned_pieces([(" a", (5,)), (" cat", (6,))], Path([(0, 0), (0, 7)], [0.9]), 0)

    assert aligned == [Piece(" a", (5,), 0.0, 0.14, 0.9), Piece(" cat", (6,), 0.14, 0.14, 0.0)]


def test_an_empty_path_puts_everything_at_the_start() -> None:
    assert aligned_pieces([(" a", (5,))], Path([], []), 0) == [Piece(" a", (5,), 0.0, 0.0, 0.0)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param(["The", " cat"], [" The", " cat"], id="the first word gets one"),
        pytest.param([" The", " cat"], [" The", " cat"], id="unless it has one"),
        pytest.param(['"', "The"], [' "', "The"], id="before a mark, too"),
        pytest.param(["「", "はい"], ["「", "はい"], id="but not in a script without spaces"),
    ],
)
def test_the_first_word_is_parted_from_what_was_before(
    texts: list[str], expected: list[str]
) -> None:
    words = tuple(Word(text, 1.0, 2.0, 0.5, (3,), "speaker") for text in texts)

    assert with_leading_space(words) == tuple(
        Word(text, 1.0, 2.0, 0.5, (3,), "speaker") for text in expected
    )
