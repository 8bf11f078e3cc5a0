"""Cues: what is shown at a time, from when to when, in which lines."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from whisper_streaming.captions.line_breaks import Lines, cut_into_cues
from whisper_streaming.captions.passage import Passage, joined
from whisper_streaming.captions.rules import CaptionRules, width
from whisper_streaming.core.hypothesis import join_words
from whisper_streaming.core.transcript import ends_sentence

_JOIN_PAUSE_S: Final = 0.5
"""A longer pause keeps a lone word apart from its neighbours."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption.

    Attributes:
        start_ms: Not before the end of the cue before it.
        end_ms: At least 1 ms later.
        lines: Words of each line; neither is ever empty.
        speaker: Who speaks, if anybody found out.
        has_word_times: The times of the words were heard.
    """

    start_ms: int
    end_ms: int
    lines: Lines
    speaker: str | None = None
    has_word_times: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """The lines as text."""
        return tuple(join_words(line).strip() for line in self.lines)


@dataclass(frozen=True, slots=True)
class Grown:
    """What a passage changed.

    Attributes:
        settled: Cues that follow those settled before; they never change.
        open: Cues after them, as they are if nothing follows.
    """

    settled: tuple[Cue, ...]
    open: tuple[Cue, ...]


class CaptionStream:
    """Cues of passages that come one by one, in order.

    The cues of the newest passage are open: the next one decides how long the last of them stays,
    and a lone word joins its neighbour.

    Args:
        rules: The limits.
        names_speakers: Room is left before each cue for ``"NAME: "``.
    """

    def __init__(self, rules: CaptionRules, *, names_speakers: bool = True) -> None:
        self._rules = rules
        self._names_speakers = names_speakers
        self._open: Passage | None = None
        self._may_join = False
        self._reached_ms = 0  # where the settled cues end

    def add(self, passage: Passage) -> Grown:
        """Take the next passage."""
        settled: tuple[Cue, ...] = ()
        if self._open is None:
            self._open, self._may_join = passage, True
        elif self._may_join and _belong_together(self._open, passage):
            # Once only, so that what is open stays short.
            self._open, self._may_join = joined(self._open, passage), False
        else:
            settled = self._cues(self._open, next_ms=_milliseconds(passage.start))
            self._reached_ms = settled[-1].end_ms
            self._open, self._may_join = passage, True
        return Grown(settled, self._cues(self._open, next_ms=None))

    def _cues(self, passage: Passage, next_ms: int | None) -> tuple[Cue, ...]:
        speaker = passage.speaker if self._names_speakers else None
        indent = width(f"{speaker}: ") if speaker else 0
        parts = cut_into_cues(passage, self._rules, indent=indent)
        starts = [passage.start, *(lines[0][0].start for lines in parts[1:])]
        ends = [*(lines[-1][-1].end for lines in parts[:-1]), passage.end]
        starts_ms: list[int | None] = [_milliseconds(start) for start in starts]
        cues: list[Cue] = []
        reached_ms = self._reached_ms
        for lines, end, (start_ms, following_ms) in zip(
            parts, ends, pairwise([*starts_ms, next_ms]), strict=True
        ):
            assert start_ms is not None
            start_ms = max(start_ms, reached_ms)
            cue = Cue(start_ms, _milliseconds(end), lines, passage.speaker, passage.has_word_times)
            cues.append(replace(cue, end_ms=self._end_ms(cue, indent, following_ms)))
            reached_ms = cues[-1].end_ms
        return tuple(cues)

    def _end_ms(self, cue: Cue, indent: int, next_ms: int | None) -> int:
        """When ``cue`` was read, with the speaker's name before it, or the next one comes."""
        letters = indent + sum(map(width, cue.texts))
        needed_s = max(self._rules.min_duration_s, letters / self._rules.max_cps)
        end_ms = max(cue.end_ms, cue.start_ms + _milliseconds(needed_s))
        if next_ms is not None:
            end_ms = min(end_ms, next_ms)
        return max(end_ms, cue.start_ms + 1)


def captions(passages: Iterable[Passage], rules: CaptionRules | None = None) -> list[Cue]:
    """All cues of a transcript."""
    stream = CaptionStream(rules or CaptionRules())
    cues: list[Cue] = []
    grown = Grown((), ())
    for passage in passages:
        grown = stream.add(passage)
        cues += grown.settled
    return [*cues, *grown.open]


def _belong_together(first: Passage, second: Passage) -> bool:
    """Whether one of them is a single word, cut off from the other for want of room."""
    return (
        1 in (len(first.words), len(second.words))
        and first.speaker == second.speaker
        and second.start - first.end <= _JOIN_PAUSE_S
        and not ends_sentence(first.words[-1].text)
    )


def _milliseconds(time_s: float) -> int:
    return max(0, round(time_s * 1000))
