"""Commit policies: pure functions that say how many leading words are safe.

All hypotheses start at the first uncommitted word, so a policy needs no offsets. The
session finalises an utterance itself, so a policy never has to know that a window is the last.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, Protocol

from whisper_streaming.core.hypothesis import Hypothesis, Word, Words

PolicyKind = Literal["local_agreement", "edge_commit"]

GUESS_PROBABILITY: Final = 0.15
"""Below it a word is a guess wherever it stands, and only agreement may commit it. faster-whisper
draws the same line for invented words."""
# Times are multiples of 20 ms that went through additions: a word exactly on a margin is outside.
_ROUNDING_S: Final = 1e-6


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


# Every decode of an utterance asks for the same words again, and for each of them several times.
@lru_cache(maxsize=4096)
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
    spoken_earlier = _spoken_forms(earlier)
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


@dataclass(frozen=True, slots=True)
class EdgeCommit:
    """Commit what hypotheses share, and what the model is sure of away from the audio's edge.

    A hypothesis is least reliable at the end of its audio, where a word may be cut. So a word is
    safe while it ends early enough and either the hypotheses before say the same at its place, or
    its probability is high; the closer to the edge, the higher. The first unsafe word ends what is
    committed. With ``sure_margin_s`` at infinity this is LocalAgreement with a margin.

    The defaults are the careful ones for a model that nobody measured. Without word times
    (``Hypothesis.has_word_times``) there are no margins to keep, and agreement alone decides.

    Source: AlignAtt, Papi et al. 2023 (arXiv:2305.11408), with word times for attention frames.

    Attributes:
        agreement: How many consecutive hypotheses must agree; the newest is one of them.
        agreed_margin_s: An agreed word ends at least so long before the end of the audio.
        sure_margin_s: A word that nobody confirmed ends at least so long before it ...
        sure_probability: ... and has at least this probability; never less than 0.15.
        certain_margin_s: A word that extends what is agreed may end so close to the edge ...
        certain_probability: ... if it has this probability. None as margin: no such word.
    """

    agreement: int = 2
    agreed_margin_s: float = 0.3
    sure_margin_s: float = 0.6
    sure_probability: float = 0.5
    certain_margin_s: float | None = None
    certain_probability: float = 0.97

    @property
    def history(self) -> int:
        return self.agreement - 1

    def safe_words(self, earlier: Sequence[Words], newest: Hypothesis, *, audio_end: float) -> int:
        if not newest.has_word_times:
            return LocalAgreement(self.agreement).safe_words(earlier, newest, audio_end=audio_end)
        confirming = [_spoken_forms(words) for words in earlier]
        is_extension = True  # nothing in ``newest`` contradicts what was heard before
        safe = position = 0
        for index, word in enumerate(newest.words):
            form = spoken_form(word.text)
            if not form:
                continue
            agreed = len(confirming) >= self.history and all(
                forms[position : position + 1] == [form] for forms in confirming
            )
            is_extension &= all(
                forms[position : position + 1] in ([], [form]) for forms in confirming
            )
            before_edge_s = audio_end - word.end + _ROUNDING_S
            if not (
                (agreed and before_edge_s >= self.agreed_margin_s)
                or self._is_sure(word, before_edge_s)
                or (is_extension and self._is_certain(word, before_edge_s))
            ):
                break
            position += 1
            safe = index + 1
        return safe

    def _is_sure(self, word: Word, before_edge_s: float) -> bool:
        required = max(self.sure_probability, GUESS_PROBABILITY)
        return before_edge_s >= self.sure_margin_s and word.probability >= required

    def _is_certain(self, word: Word, before_edge_s: float) -> bool:
        return (
            self.certain_margin_s is not None
            and before_edge_s >= self.certain_margin_s
            and word.probability >= max(self.certain_probability, GUESS_PROBABILITY)
        )


def create_policy(kind: PolicyKind, numbers: EdgeCommit) -> CommitPolicy:
    """The policy called ``kind``; LocalAgreement needs only the ``agreement`` of the numbers."""
    return numbers if kind == "edge_commit" else LocalAgreement(numbers.agreement)


def _spoken_forms(words: Words) -> list[str]:
    return [form for word in words if (form := spoken_form(word.text))]
