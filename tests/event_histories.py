"""Random histories of session events that keep the session's promises."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    PartialUpdated,
    SessionEnded,
    SpeechStarted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words

UNHURRIED: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For tests that draw much: how long they take says nothing, as others share the machine."""

SPACED: Final = (
    *(" yes", " no", " the", " cat", " Yes.", " no.", " go", " way,", " Mr.", " 3.", " end?"),
    *(".", ",", "”", "-based", ".14", " “Ah"),
)
CJK: Final = ("は", "い", "はい", "です", "我", "。", "、", "！", "」", "3", "A", "猫")


# Made once: to make a strategy takes longer than to draw from it.
_UTTERANCES: Final = st.integers(1, 5)
_BATCHES: Final = st.integers(0, 5)
_LENGTHS: Final = st.integers(0, 6)
_EITHER: Final = st.booleans()
_PAUSES_S: Final = st.sampled_from([0.0, 0.0004, 0.3, 2.0, 7.0])
_GAPS_S: Final = st.sampled_from([0.0, 0.0, 0.0, 0.0003, 0.2, 0.9])
_DURATIONS_S: Final = st.sampled_from([0.0, 0.0004, 0.01, 0.35, 0.35, 1.3])
_PROBABILITIES: Final = st.sampled_from([0.0, 0.33337, 1.0])


@dataclass(frozen=True, slots=True)
class History:
    """Events in order, and where a connection would have drained them."""

    events: tuple[Event, ...]
    batches: tuple[tuple[Event, ...], ...]


@st.composite
def histories(
    draw: st.DrawFn, alphabet: Sequence[str], speakers: Sequence[str | None] = (None,)
) -> History:
    """Utterances whose words are committed in random pieces, with partials that may be wrong."""
    texts, voices = st.sampled_from(alphabet), st.sampled_from(speakers)
    batches: list[list[Event]] = []
    clock = 0.0
    for utterance_id in range(1, draw(_UTTERANCES) + 1):
        clock += draw(_PAUSES_S)
        batches.append([SpeechStarted(utterance_id, clock)])
        for _ in range(draw(_BATCHES)):
            events: list[Event] = []
            words, clock = _spoken(draw, texts, voices, clock)
            if words:
                events.append(WordsCommitted(utterance_id, words))
            if draw(_EITHER):
                guess, _ = _spoken(draw, texts, voices, clock)
                events.append(PartialUpdated(utterance_id, guess))
            batches.append(events)
        batches.append([UtteranceEnded(utterance_id, clock)])
    batches.append([SessionEnded(AudioAccount(received=3, decoded=1, silence=1, gap=1))])
    merged = _merge(batches, draw(st.lists(_EITHER, min_size=len(batches), max_size=len(batches))))
    return History(tuple(event for batch in batches for event in batch), merged)


def _spoken(
    draw: st.DrawFn,
    texts: st.SearchStrategy[str],
    speakers: st.SearchStrategy[str | None],
    clock: float,
) -> tuple[Words, float]:
    words: list[Word] = []
    for _ in range(draw(_LENGTHS)):
        start = clock + draw(_GAPS_S)
        clock = start + draw(_DURATIONS_S)
        probability = draw(_PROBABILITIES)
        text, speaker = draw(texts), draw(speakers)
        words.append(Word(text, start, clock, probability, speaker=speaker))
    return tuple(words), clock


def _merge(batches: Sequence[list[Event]], breaks: Sequence[bool]) -> tuple[tuple[Event, ...], ...]:
    merged: list[tuple[Event, ...]] = []
    pending: tuple[Event, ...] = ()
    for batch, is_break in zip(batches, breaks, strict=True):
        pending += tuple(batch)
        if is_break:
            merged.append(pending)
            pending = ()
    return (*merged, pending)
