"""The text before a window, which a model is given as context."""

from whisper_streaming.core.hypothesis import Words, join_words

_CHARACTERS = 400


class Context:
    """The prompt of the session, then its newest words.

    Args:
        prompt: Text that precedes the session.
        is_translation: The words are none of those that are spoken. English text before foreign
            speech makes a model forget that it translates, and what it then writes in the foreign
            language keeps it from coming back; so words are not remembered.
    """

    def __init__(self, prompt: str, *, is_translation: bool) -> None:
        self._prompt = prompt
        self._remembers = not is_translation
        self.text = prompt

    @property
    def has_words(self) -> bool:
        """Whether it is more than the prompt."""
        return self.text != self._prompt

    def remember(self, words: Words) -> None:
        """``words`` left the window."""
        if words and self._remembers:
            self.text = (self.text + join_words(words))[-_CHARACTERS:]

    def forget(self) -> None:
        """Go back to the prompt."""
        self.text = self._prompt
