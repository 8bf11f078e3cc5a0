"""Folds a session's events into caption segments that read well and never change once complete.

A segment is completed

- at the end of a sentence: see :func:`ends_sentence`. A single word is never completed by its
  punctuation alone ("Yes." waits for what follows), so captions are not one word each;
- at a pause of more than ``pause_s`` between two committed words;
- where the speaker changes;
- before it would last longer than ``max_s``: at the last clause end of its second half, else at
  the longest pause there, else before the word that does not fit;
- when its utterance or the session ends.

All but the last of these are decided when the next word is known, because punctuation may
arrive late as a word of its own that is glued to the one before it. Only the end of a sentence
is believed a little earlier: when a hypothesis goes on without glued text.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from whisper_streaming.core.events import (
    Event,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SpeakersRevised,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words, join_words

MIN_SEGMENT_S: Final = 0.02
"""Shortest segment. Observers tell segments apart by their start rounded to 10 ms."""

_MIN_CUT_PAUSE_S: Final = 0.15
"""A shorter gap between two words is articulation, not a place to cut a caption."""

_DECIMALS: Final = 3  # of printed seconds

_CLOSERS: Final = "\"'”’»›)]}」』）】》〉"
_OPENERS: Final = "\"'“‘„«‹([{¿¡「『（【《〈"
_SENTENCE_END: Final = re.compile(rf"[.?!…。．？！؟।۔][{re.escape(_CLOSERS)}]*\Z")
_CLAUSE_END: Final = re.compile(rf"[,;:，、；：،—–][{re.escape(_CLOSERS)}]*\Z")
_INITIALS: Final = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")  # of "e.g." "U.S." "J.", the last dot off
_ABBREVIATIONS: Final = frozenset(
    {"mr", "mrs", "ms", "mx", "dr", "prof", "st", "sr", "jr", "vs", "etc", "approx", "dept"}
    | {"fig", "gen", "gov", "hon", "inc", "ltd", "capt", "col", "lt", "sgt", "rev", "sen"}
    | {"rep", "mt", "ph.d", "bzw", "ca", "hr", "fr", "nr", "usw", "z.b", "d.h"}
    | {"sra", "srta", "ud", "uds", "mme", "mlle"}
)

# Scripts written without spaces between words. There a word has no leading space.
_UNSPACED_SCRIPTS: Final = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration mark and zero
    (0x3041, 0x30FF),  # kana
    (0x31F0, 0x31FF),  # small kana
    (0x3400, 0x4DBF),  # ideographs
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # half-width kana
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True, slots=True)
class SegmentRules:
    """When a segment is completed.

    Attributes:
        max_s: A segment lasts no longer, unless a single word does.
        pause_s: A longer gap between two committed words separates segments.
    """

    max_s: float = 6.0
    pause_s: float = 0.8


@dataclass(frozen=True, slots=True)
class Segment:
    """One caption. Times are seconds, rounded to milliseconds.

    Attributes:
        start: Never before the end of the segment before it.
        end: At least ``MIN_SEGMENT_S`` after ``start``.
        words: Whole words, glued text merged into the word before it; times in order.
        speaker: Who speaks, if anybody found out.
        completed: It will never change again.
        committed_text: Leading part of ``text`` that will not change; all of it when completed.
    """

    start: float
    end: float
    words: Words
    speaker: str | None = None
    completed: bool = True
    committed_text: str = ""

    @property
    def text(self) -> str:
        """With the leading space of its first word."""
        return join_words(self.words)


class Transcript:
    """Committed words as completed segments, and what is open after them.

    Keeps the ``retain`` newest completed segments, so an endless session needs bounded memory;
    :meth:`apply` returns each segment when it completes. Words without visible text are ignored.

    Attributes:
        rules: When a segment is completed.
    """

    def __init__(self, rules: SegmentRules | None = None, *, retain: int = 1000) -> None:
        self.rules = rules or SegmentRules()
        self._completed: deque[Segment] = deque(maxlen=retain)
        self._completed_count = 0
        self._completed_end = 0.0
        self._open: list[Words] = []  # each a committed word and the text glued to it
        self._partial: Words = ()
        self._partial_utterance_id = 0

    @property
    def completed(self) -> tuple[Segment, ...]:
        """The newest completed segments, oldest first."""
        return tuple(self._completed)

    @property
    def completed_count(self) -> int:
        """How many segments were completed, forgotten ones included."""
        return self._completed_count

    @property
    def open_committed(self) -> Words:
        """Committed words that are in no completed segment yet, as they were committed."""
        return tuple(chain.from_iterable(self._open))

    @property
    def partial(self) -> Words:
        """The uncommitted words of the newest hypothesis."""
        return self._partial

    @property
    def open_segment(self) -> Segment | None:
        """Everything after the completed segments as one segment; None if there is nothing."""
        committed = self.open_committed
        groups = group_words(committed + self._partial)
        if not groups:
            return None
        segment = _segment(groups, self._completed_end)
        return replace(segment, completed=False, committed_text=join_words(committed))

    @property
    def committed_segment(self) -> Segment | None:
        """The committed part of the open segment; None if there is none."""
        if not self._open:
            return None
        segment = _segment(self._open, self._completed_end)
        return replace(segment, completed=False, committed_text=segment.text)

    def apply(self, event: Event) -> tuple[Segment, ...]:
        """Take the next event and return the segments it completed, oldest first."""
        completed: list[Segment] = []
        match event:
            case WordsCommitted(words=words):
                words = _visible(words)
                self._partial = _without_prefix(self._partial, words)
                for word in words:
                    completed += self._commit(word)
            case PartialUpdated(utterance_id=utterance_id, words=words):
                self._partial = _visible(words)
                self._partial_utterance_id = utterance_id
                completed += self._believe_sentence_end()
            case SpeakersRevised():
                completed += self._revise(event)
            case UtteranceEnded(utterance_id=utterance_id):
                if self._partial_utterance_id <= utterance_id:
                    self._partial = ()
                completed += self._complete(len(self._open))
            case SessionEnded() | SessionFailed():
                self._partial = ()
                completed += self._complete(len(self._open))
        return tuple(completed)

    def complete_open(self) -> tuple[Segment, ...]:
        """Complete what is open, after a session that was cut off before its last event."""
        return tuple(self._complete(len(self._open)))

    def _commit(self, word: Word) -> list[Segment]:
        if self._open and not starts_word(word.text):
            self._open[-1] += (word,)
            return []
        completed: list[Segment] = []
        if self._open and self._ends_before(word):
            completed += self._complete(len(self._open))
        while self._open and word.end - self._open[0][0].start > self.rules.max_s:
            completed += self._complete(_best_cut(self._open, word, self.rules.max_s / 2))
        self._open.append((word,))
        return completed

    def _ends_before(self, word: Word) -> bool:
        speaker = _speaker(self._open)
        return (
            self._has_whole_sentence()
            or word.start - self._open[-1][-1].end > self.rules.pause_s
            or (word.speaker is not None and speaker is not None and word.speaker != speaker)
        )

    def _revise(self, revision: SpeakersRevised) -> list[Segment]:
        """Rename the speakers of open words, and complete those before a change of speakers."""
        self._open = [
            tuple(
                replace(word, speaker=revision.speaker_of(word.start, word.end) or word.speaker)
                for word in group
            )
            for group in self._open
        ]
        completed: list[Segment] = []
        speakers = [_speaker([group]) for group in self._open]
        begin = 0
        for index, speaker in enumerate(speakers):
            before = next((each for each in speakers[begin:index] if each is not None), None)
            if speaker is not None and before is not None and speaker != before:
                completed += self._complete(index - begin)
                begin = index
        return completed

    def _has_whole_sentence(self) -> bool:
        return len(self._open) > 1 and ends_sentence(join_words(self._open[-1]))

    def _believe_sentence_end(self) -> list[Segment]:
        goes_on_glued = bool(self._partial) and not starts_word(self._partial[0].text)
        if goes_on_glued or not self._has_whole_sentence():
            return []
        return self._complete(len(self._open))

    def _complete(self, count: int) -> list[Segment]:
        """Complete the ``count`` oldest open words; no words are no segment."""
        groups, self._open = self._open[:count], self._open[count:]
        if not groups:
            return []
        segment = _segment(groups, self._completed_end)
        segment = replace(segment, committed_text=segment.text)
        self._completed.append(segment)
        self._completed_count += 1
        self._completed_end = segment.end
        return [segment]


def fold(utterances: Iterable[Words], rules: SegmentRules | None = None) -> Iterator[Segment]:
    """The segments of utterances that are known as a whole."""
    transcript = Transcript(rules, retain=1)
    for number, words in enumerate(utterances, 1):
        yield from transcript.apply(WordsCommitted(number, words))
        yield from transcript.complete_open()


def starts_word(text: str) -> bool:
    """Whether ``text`` begins a new word rather than going on with the word before it.

    A leading space begins a word, and so does a letter of a script that is written without
    spaces. Everything else is glued: punctuation, and pieces such as "-based" or ".14".
    """
    if text[:1].isspace():
        return True
    first = next((character for character in text if character.isalnum()), None)
    return first is not None and _is_unspaced(first)


def ends_sentence(word: str) -> bool:
    """Whether a sentence ends after ``word``, a whole word with its punctuation.

    That is: it ends in sentence punctuation, with or without closing quotes or brackets, and
    is no known abbreviation ("Mr."), initial or row of initials ("J.", "e.g.", "U.S.").
    """
    word = word.strip()
    if not _SENTENCE_END.search(word):
        return False
    stem, dot, _ = word.strip(_OPENERS + _CLOSERS).casefold().rpartition(".")
    if not dot or not word.rstrip(_CLOSERS).endswith("."):
        return True
    is_initials = _INITIALS.fullmatch(stem) is not None and not _is_unspaced(stem[0])
    return stem not in _ABBREVIATIONS and not is_initials


def ends_clause(word: str) -> bool:
    """Whether a part of a sentence ends after ``word``, by its punctuation."""
    return _CLAUSE_END.search(word.rstrip()) is not None


def group_words(words: Iterable[Word]) -> list[Words]:
    """Each whole word with the text glued to it; glued text at the very start stands alone."""
    groups: list[Words] = []
    for word in words:
        if groups and not starts_word(word.text):
            groups[-1] += (word,)
        else:
            groups.append((word,))
    return groups


def _segment(groups: Sequence[Words], not_before: float) -> Segment:
    """A segment whose words follow one another from ``not_before`` on, in whole milliseconds."""
    words: list[Word] = []
    cursor = not_before
    for group in groups:
        start = max(round(group[0].start, _DECIMALS), cursor)
        cursor = max(round(_spoken(group)[-1].end, _DECIMALS), start)
        words.append(_merged(group, start, cursor))
    end = max(cursor, round(words[0].start + MIN_SEGMENT_S, _DECIMALS))
    return Segment(words[0].start, end, tuple(words), _speaker(groups))


def _spoken(group: Words) -> Words:
    """What sounds in a group: times and certainty of punctuation say nothing about its word.

    So a committed word keeps both when its punctuation is known later.
    """
    return tuple(word for word in group if any(map(str.isalnum, word.text))) or group


def _merged(group: Words, start: float, end: float) -> Word:
    return Word(
        text=join_words(group),
        start=start,
        end=end,
        probability=min(word.probability for word in _spoken(group)),
        tokens=tuple(chain.from_iterable(word.tokens for word in group)),
        speaker=_speaker([group]),
        is_aligned=all(word.is_aligned for word in _spoken(group)),
    )


def _speaker(groups: Sequence[Words]) -> str | None:
    words = chain.from_iterable(groups)
    return next((word.speaker for word in words if word.speaker is not None), None)


def _best_cut(groups: Sequence[Words], next_word: Word, earliest_s: float) -> int:
    """How many of the words to complete, at least one, because ``next_word`` does not fit."""
    begin = groups[0][0].start
    following = [group[0].start for group in groups[1:]] + [next_word.start]
    cuts = [n for n, group in enumerate(groups, 1) if group[-1].end - begin >= earliest_s]
    clause_ends = [n for n in cuts if ends_clause(join_words(groups[n - 1]))]
    if clause_ends:
        return clause_ends[-1]
    pauses = {n: following[n - 1] - groups[n - 1][-1].end for n in cuts}
    longest = max(pauses, key=pauses.__getitem__, default=len(groups))
    return longest if pauses.get(longest, 0.0) >= _MIN_CUT_PAUSE_S else len(groups)


def _without_prefix(partial: Words, committed: Words) -> Words:
    """What is left of ``partial`` once ``committed`` was taken from it."""
    count = len(committed)
    same = [word.text for word in partial[:count]] == [word.text for word in committed]
    # Anything else was said about a hypothesis that is no longer the newest.
    return partial[count:] if same else ()


def _visible(words: Words) -> Words:
    return tuple(word for word in words if word.text.strip())


def _is_unspaced(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _UNSPACED_SCRIPTS)
