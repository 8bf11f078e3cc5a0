"""From decoded pieces of text to words with times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.core.transcript import starts_word


@dataclass(frozen=True, slots=True)
class Piece:
    """Some tokens that read as one piece of text; times in seconds from the window's start."""

    text: str
    tokens: tuple[int, ...]
    start: float
    end: float
    probability: float


_FRAMES_PER_SECOND: Final = 50  # encoder frames: two mel frames of 10 ms each


class Alignment(Protocol):
    """What ``align`` returns; CTranslate2 does not export the class."""

    @property
    def alignments(self) -> list[tuple[int, int]]: ...

    @property
    def text_token_probs(self) -> list[float]: ...


def is_punctuation(text: str) -> bool:
    """Whether ``text`` has nothing that is spoken."""
    return not any(character.isalnum() for character in text)


def whole_characters(tokens: Sequence[int], decode: Callable[[list[int]], str]) -> list[int]:
    """``tokens`` without those of an unfinished character at their end.

    A character may take several tokens, and a decode may be cut between them.
    """
    whole = list(tokens)
    while whole and decode(whole).endswith("\ufffd"):
        whole.pop()
    return whole


def is_unspaced(text: str) -> bool:
    """Whether something in ``text`` is written without spaces between words, as Chinese is."""
    if text.isascii():
        return False
    return any(starts_word(character) for character in text if not character.isspace())


def merge_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    """Join what belongs to one word: ``well``, ``-known``, ``.`` become ``well-known.``

    The script decides and not the language: who asks for English may hear Chinese, which would be
    one word from the beginning of a window to its end.

    Args:
        pieces: In spoken order.

    Returns:
        The words. The first one may be glued to a word before the window; it is then left alone.
    """
    merged: list[Piece] = []
    for piece in pieces:
        punctuation = is_punctuation(piece.text)
        follows_space = bool(merged) and merged[-1].text.isspace()  # a token of its own
        if not merged or (starts_word(piece.text) and not follows_space):
            merged.append(piece)
            continue
        word = merged[-1]
        merged[-1] = replace(
            word,
            text=word.text + piece.text,
            tokens=word.tokens + piece.tokens,
            # A full stop is not spoken, so it does not make its word longer.
            end=word.end if punctuation else piece.end,
            probability=word.probability
            if punctuation
            else min(word.probability, piece.probability),
        )
    return merged


def place_words(
    pieces: Sequence[Piece],
    *,
    window_start: float,
    window_end: float,
    offset_s: float,
    earliest: float,
) -> tuple[Word, ...]:
    """Put words on the session's clock: inside the window, in order, not before ``earliest``.

    Args:
        pieces: Words with times from the window's start.
        window_start: Seconds on the session's clock.
        window_end: Seconds on the session's clock.
        offset_s: The model's steady error, added to all times.
        earliest: Where the word before the first one ends, on the session's clock.
    """
    words = []
    previous_end = max(window_start, min(earliest, window_end))
    for piece in pieces:
        start = min(max(window_start + piece.start + offset_s, previous_end), window_end)
        end = min(max(window_start + piece.end + offset_s, start), window_end)
        words.append(Word(piece.text, start, end, piece.probability, piece.tokens))
        previous_end = end
    return tuple(words)


def spread_pieces(
    texts: Sequence[tuple[str, tuple[int, ...]]], *, start: float, end: float
) -> list[Piece]:
    """Times for pieces of a model that cannot align: by their share of the characters.

    Args:
        texts: Text and tokens of each piece.
        start: Where the first may begin, seconds from the window's start.
        end: Where the last ends, seconds from the window's start.
    """
    total = sum(len(text) for text, _ in texts) or 1
    pieces, position = [], 0
    for text, tokens in texts:
        piece_start = start + (end - start) * position / total
        position += len(text)
        piece_end = start + (end - start) * position / total
        pieces.append(Piece(text, tokens, piece_start, piece_end, 1.0))
    return pieces


def aligned_pieces(
    texts: Sequence[tuple[str, tuple[int, ...]]],
    alignment: Alignment,
    prefix_length: int,
) -> list[Piece]:
    """Times of the new pieces from the alignment path of prefix and new tokens.

    A token starts in the frame where the path first reaches it, and ends where the next one
    starts. The row behind the last text token is the end of text, so the last word ends where
    that row starts; the path's own end is always the last frame and says nothing.
    """
    first_frame: dict[int, int] = {}
    for token_index, frame in alignment.alignments:
        first_frame.setdefault(token_index, frame)
    last_frame = alignment.alignments[-1][1] if alignment.alignments else 0
    pieces, position = [], prefix_length
    for text, tokens in texts:
        after = position + len(tokens)
        probabilities = alignment.text_token_probs[position:after]
        pieces.append(
            Piece(
                text=text,
                tokens=tokens,
                start=first_frame.get(position, last_frame) / _FRAMES_PER_SECOND,
                end=first_frame.get(after, last_frame) / _FRAMES_PER_SECOND,
                probability=sum(probabilities) / len(probabilities) if probabilities else 0.0,
            )
        )
        position = after
    return pieces


def with_leading_space(words: Words) -> Words:
    """The first word of an utterance must not run into the last one of the utterance before."""
    if not words or starts_word(join_words(words)):
        return words
    return (replace(words[0], text=" " + words[0].text), *words[1:])
