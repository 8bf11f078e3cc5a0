"""Measures of a transcript: word errors, how late words were on the screen, and flicker.

The definitions are in docs/benchmarks.md.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from whisper_streaming.core.policy import is_spoken

_WORD: Final = re.compile(r"[^\s']+(?:'[^\s']+)?")


def normalised_words(text: str) -> list[str]:
    """The words of ``text`` in lower case, without punctuation; a hyphen separates words.

    Marks belong to their letter, as vowel signs of Indic scripts and of Thai do, and a letter
    with its mark is the same whether it is written as one character or as two.
    """
    text = unicodedata.normalize("NFC", text.lower()).replace("’", "'")
    return _WORD.findall("".join(c if c == "'" or is_spoken(c) else " " for c in text))


@dataclass(frozen=True, slots=True)
class WordErrors:
    """An alignment of a transcript with what was said.

    Attributes:
        reference_words: How many words were said.
        substitutions: Words that are another one in the transcript.
        insertions: Words that were not said.
        deletions: Words that are missing.
        matches: (index said, index in the transcript) of each word that is right, in order.
        lost_tail: Words missing at the very end: said after the last word that was heard.
    """

    reference_words: int
    substitutions: int
    insertions: int
    deletions: int
    matches: tuple[tuple[int, int], ...] = ()
    lost_tail: int = 0

    @property
    def errors(self) -> int:
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float:
        """Errors per word said; of nothing said it is 0, or infinite if something was heard."""
        if self.reference_words == 0:
            return math.inf if self.errors else 0.0
        return self.errors / self.reference_words


def word_errors(reference: str | Sequence[str], hypothesis: str | Sequence[str]) -> WordErrors:
    """Align ``hypothesis`` with ``reference`` with the fewest errors (Levenshtein).

    Texts are normalised by :func:`normalised_words`; sequences are compared as they are.
    """
    said = normalised_words(reference) if isinstance(reference, str) else list(reference)
    heard = normalised_words(hypothesis) if isinstance(hypothesis, str) else list(hypothesis)
    return _trace(said, heard, _distances(said, heard))


def _distances(said: Sequence[str], heard: Sequence[str]) -> list[list[int]]:
    """``table[i][j]``: errors between the first i words said and the first j heard."""
    table = [list(range(len(heard) + 1))]
    for i, word in enumerate(said, start=1):
        above = table[-1]
        row = [i]
        for j, other in enumerate(heard, start=1):
            row.append(min(above[j - 1] + (word != other), above[j] + 1, row[j - 1] + 1))
        table.append(row)
    return table


def _trace(said: Sequence[str], heard: Sequence[str], table: list[list[int]]) -> WordErrors:
    i, j = len(said), len(heard)
    substitutions = insertions = deletions = lost_tail = 0
    matches: list[tuple[int, int]] = []
    while i or j:
        if i and j and table[i][j] == table[i - 1][j - 1] + (said[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            if said[i] == heard[j]:
                matches.append((i, j))
            else:
                substitutions += 1
        elif i and table[i][j] == table[i - 1][j] + 1:
            lost_tail += deletions == len(said) - i
            i -= 1
            deletions += 1
        else:
            j -= 1
            insertions += 1
    return WordErrors(
        len(said), substitutions, insertions, deletions, tuple(reversed(matches)), lost_tail
    )


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word that was said, in normalised form, and when its sound ended."""

    text: str
    end: float


def spoken_words(words: Sequence[tuple[str, float]]) -> list[SpokenWord]:
    """Normalise (word, end) pairs; a hyphenated word becomes several with the same end."""
    return [SpokenWord(part, end) for word, end in words for part in normalised_words(word)]


@dataclass(frozen=True, slots=True)
class _View:
    """What was on the screen from ``at`` on."""

    at: float
    committed: tuple[str, ...]
    shown: tuple[str, ...]
    completed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Latencies:
    """Seconds from the end of a word's sound, one for each word that is right in the end.

    Attributes:
        commit: To when the word became final.
        first: To when it was shown, and right from then on.
        complete: To when it was in a completed segment.
        endpoint: The commit latencies of the words that end an utterance.
    """

    commit: tuple[float, ...]
    first: tuple[float, ...]
    complete: tuple[float, ...] = ()
    endpoint: tuple[float, ...] = ()


@dataclass(slots=True)
class CaptionLog:
    """Notes what a viewer saw when, to measure how late it was.

    Times are seconds since the first sample was spoken.
    """

    _views: list[_View] = field(default_factory=list)

    def add(self, at: float, committed: str, shown: str, completed: str = "") -> None:
        """At ``at`` the final text was ``committed`` and the whole text ``shown``.

        Of the final text, ``completed`` was in completed segments.
        """
        texts = (committed, shown, completed)
        self._views.append(_View(at, *(tuple(normalised_words(text)) for text in texts)))

    @property
    def final_words(self) -> tuple[str, ...]:
        """The words of the last committed text."""
        return self._views[-1].committed if self._views else ()

    @property
    def erased(self) -> int:
        """How many words that were shown were taken back or changed, over all updates."""
        return sum(
            len(before.shown) - _common(before.shown, after.shown)
            for before, after in pairwise(self._views)
        )

    def latencies(
        self, words: Sequence[SpokenWord], utterance_ends: Sequence[float] = ()
    ) -> Latencies:
        """How late the words were that the last committed text has right.

        Args:
            words: What was said.
            utterance_ends: When each utterance ended, for the endpoint latency.
        """
        last_words = {_last_before(end, words) for end in utterance_ends}
        commit, first, complete, endpoint = [], [], [], []
        for said, heard in word_errors([word.text for word in words], self.final_words).matches:
            word = words[said]
            committed_at = next(v.at for v in self._views if len(v.committed) > heard)
            commit.append(committed_at - word.end)
            if said in last_words:
                endpoint.append(committed_at - word.end)
            if (shown_at := self._shown_since(heard, word.text)) is not None:
                first.append(shown_at - word.end)
            if (
                view := next((v for v in self._views if len(v.completed) > heard), None)
            ) is not None:
                complete.append(view.at - word.end)
        return Latencies(tuple(commit), tuple(first), tuple(complete), tuple(endpoint))

    def _shown_since(self, index: int, text: str) -> float | None:
        since = None
        for view in reversed(self._views):
            if len(view.shown) <= index or view.shown[index] != text:
                break
            since = view.at
        return since


def _common(before: Sequence[str], after: Sequence[str]) -> int:
    """How many leading words both have."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(before), len(after)))


def _last_before(end: float, words: Sequence[SpokenWord]) -> int | None:
    """Index of the last word that ended by ``end``; None if there is none."""
    rounding = 0.001
    return max((i for i, word in enumerate(words) if word.end <= end + rounding), default=None)


def percentile(values: Sequence[float], percent: float) -> float:
    """The percentile with linear interpolation between neighbours; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
