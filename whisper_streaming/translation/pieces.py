"""Text to the pieces that a translation model reads, and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tokenizers import Tokenizer

from whisper_streaming.errors import ModelLoadError

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

INSTALL: Final = "in the clone, pip install '.[translate]'"


class Pieces(Protocol):
    """One vocabulary."""

    def split(self, text: str) -> list[str]:
        """The pieces of ``text``, without any special token."""
        ...

    def join(self, pieces: Sequence[str]) -> str:
        """The text of ``pieces``."""
        ...


class SentencePieces:
    """A file of SentencePiece: ``source.spm``, ``sentencepiece.bpe.model``.

    Raises:
        ModelLoadError: If the package is missing, or it is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._processor = _open_processor(path)

    def split(self, text: str) -> list[str]:
        pieces: list[str] = self._processor.encode(text, out_type=str)
        return pieces

    def join(self, pieces: Sequence[str]) -> str:
        text: str = self._processor.decode_pieces(list(pieces))
        return text


class JsonPieces:
    """A ``tokenizer.json`` of Hugging Face.

    Raises:
        ModelLoadError: If it is no such file.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as exc:  # the library raises no other type
            raise ModelLoadError(f"{path} is no tokenizer: {exc}") from exc

    def split(self, text: str) -> list[str]:
        pieces: list[str] = self._tokenizer.encode(text, add_special_tokens=False).tokens
        return pieces

    def join(self, pieces: Sequence[str]) -> str:
        ids = [self._tokenizer.token_to_id(piece) for piece in pieces]
        text: str = self._tokenizer.decode([each for each in ids if each is not None])
        return text


def _open_processor(path: Path) -> "SentencePieceProcessor":
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as exc:
        raise ModelLoadError(
            f"the translation model {path.parent} needs the package sentencepiece: {INSTALL}"
        ) from exc
    try:
        return SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as exc:
        raise ModelLoadError(f"{path} is no SentencePiece model: {exc}") from exc
