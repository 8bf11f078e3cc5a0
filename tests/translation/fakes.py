"""Translators that a test has in its hand."""

import threading
from collections.abc import Sequence


class UpperTranslator:
    """Writes what it gets in capitals, with the target before it.

    Args:
        pairs: Source and target languages that it knows.
        fails: It raises at texts with one of these words.
        waits: It answers nothing before :meth:`release`.
    """

    def __init__(
        self,
        *pairs: tuple[str, str],
        fails: Sequence[str] = (),
        waits: bool = False,
    ) -> None:
        self._pairs = pairs or (("de", "en"),)
        self._fails = fails
        self._gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.calls: list[list[str]] = []
        self.is_closed = False
        self.name = "upper"
        if not waits:
            self._gate.set()

    @property
    def targets(self) -> list[str]:
        return [target for _, target in self._pairs]

    def supports(self, source: str, target: str) -> bool:
        return (source, target) in self._pairs

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        self.calls.append(list(texts))
        self.begun.release()
        assert self._gate.wait(timeout=10), "nobody let it go"
        if any(word in text for word in self._fails for text in texts):
            raise RuntimeError("it broke")
        return [f"{target}: {text.upper()}" for text in texts]

    def release(self) -> None:
        """Let all calls go, now and later."""
        self._gate.set()

    def close(self) -> None:
        self.is_closed = True
