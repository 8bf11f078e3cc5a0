"""What translates text."""

from collections.abc import Sequence
from typing import Protocol


class Translator(Protocol):
    """Translates text. Blocking; one thread at a time calls :meth:`translate`.

    Languages are Whisper's codes (``"de"``), or NLLB's where Whisper has none (``"zho_Hant"``).
    """

    @property
    def name(self) -> str:
        """For the log."""
        ...

    @property
    def targets(self) -> Sequence[str]:
        """Languages that it writes."""
        ...

    def supports(self, source: str, target: str) -> bool:
        """Whether it translates from ``source`` to ``target``. Called in the event loop."""
        ...

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """One translation for each text, in order. It may raise anything; that fails the texts."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
