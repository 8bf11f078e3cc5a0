"""Commit policies: pure functions that say how many leading words are safe.

All hypotheses start at the first uncommitted word, so a policy needs no offsets. The
session finalises an utterance itself, so a policy never has to know that a window is the last.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from whisper_streaming.core.hypothesis import Hypothesis, Words


class CommitPolicy(Protocol):
    """Decides how many words to commit. Stateless: the session keeps the history."""

    @property
    def history(self) -> int:
        """How many earlier hypotheses the policy wants to see."""
        ...

    def safe_words(self, earlier: Sequence[Words], newest: Hypothesis, *, audio_end: float) -> int:
        """Count the leading words of ``newest`` that may be committed.

        Args:
            earlier: Uncommitted words of up to ``history`` hypotheses before, oldest first.
            newest: The hypothesis to commit from.
            audio_end: Where the audio of ``newest`` ends, seconds on the session's clock. More of
                a word that reaches up to here may still come.
        """
        ...


def spoken_form(text: str) -> str:
    """``text`` without case, punctuation and spaces: what two hypotheses must agree on.

    Comparing exact strings lets a wavering comma block a commit; punctuation and case cause
    almost half of all partial instability (Shangguan et al. 2020, arXiv:2006.01416).
    """
    if not any(map(str.isalnum, text)):
        return ""
    return "".join(filter(is_spoken, text)).casefold()


def is_spoken(character: str) -> bool:
    """Whether ``character`` is part of a word: a letter, a digit or a mark on one."""
    # Vowel signs are marks in the scripts of India, Thailand and others, and no letters: without
    # them Hindi "ka", "ki", "ke" and "ko" would be one word.
    return character.isalnum() or unicodedata.category(character).startswith("M")


def local_agreement(earlier: Words, newest: Words) -> int:
    """Count the leading words of ``newest`` that ``earlier`` starts with too.

    Words are compared by their spoken form. Words without one (punctuation that arrived late)
    neither agree nor disagree; they are counted when a word after them agrees.

    Source: Liu et al. 2020, arXiv:2005.11185; for Whisper, Machacek et al. 2023, arXiv:2307.14743.
    """
    spoken_earlier = [form for word in earlier if (form := spoken_form(word.text))]
    agreed = 0
    position = 0
    for index, word in enumerate(newest):
        form = spoken_form(word.text)
        if not form:
            continue
        if position == len(spoken_earlier) or spoken_earlier[position] != form:
            break
        position += 1
        agreed = index + 1
    return agreed


@dataclass(frozen=True, slots=True)
class LocalAgreement:
    """Commit what the last ``agreement`` hypotheses all start with."""

    agreement: int = 2

    @property
    def history(self) -> int:
        return self.agreement - 1

    def safe_words(self, earlier: Sequence[Words], newest: Hypothesis, *, audio_end: float) -> int:
        if len(earlier) < self.history:
            return 0
        return min(local_agreement(words, newest.words) for words in earlier)
