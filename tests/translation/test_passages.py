"""Words become passages: whole sentences, every segment in one of them."""

import pytest
from hypothesis import given

from tests.event_histories import SPACED, UNHURRIED, History, histories
from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    LanguageDetected,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SpeechStarted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words
from whisper_streaming.core.transcript import SegmentRules, Transcript
from whisper_streaming.translation.passages import Passage, PassageFeed

ACCOUNT = AudioAccount(received=0, decoded=0, silence=0, gap=0)
RULES = SegmentRules(max_s=2.0, pause_s=0.8)


def words(text: str, start: float = 0.0, speaker: str | None = None) -> Words:
    """A word of half a second for each piece between ``|``, one right after the other."""
    return tuple(
        Word(piece, start + n / 2, start + (n + 1) / 2, speaker=speaker)
        for n, piece in enumerate(text.split("|"))
    )


def spans(feed: PassageFeed, *events: Event) -> list[tuple[float, float, str]]:
    passages = [passage for event in events for passage in feed.receive(event)]
    return [(passage.start, passage.end, passage.text) for passage in passages]


def test_a_sentence_of_two_segments_is_one_passage() -> None:
    feed = PassageFeed(RULES, "de")

    # Two seconds of words are one segment at the most, so that this sentence has two.
    found = spans(
        feed,
        WordsCommitted(1, words(" one| two| three| four| five| six.")),
        WordsCommitted(1, words(" Then| seven.", 3.0)),
        UtteranceEnded(1, 4.0),
    )

    assert found == [(0.0, 3.0, "one two three four five six."), (3.0, 4.0, "Then seven.")]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [WordsCommitted(1, words(" no| end")), UtteranceEnded(1, 1.0)],
            [(0.0, 1.0, "no end")],
            id="the end of the utterance",
        ),
        pytest.param(
            [WordsCommitted(1, words(" no| end")), SessionEnded(ACCOUNT)],
            [(0.0, 1.0, "no end")],
            id="the end of the session",
        ),
        pytest.param(
            [WordsCommitted(1, words(" no| end")), SessionFailed(ACCOUNT, "broken")],
            [(0.0, 1.0, "no end")],
            id="a failed session",
        ),
        pytest.param(
            [
                WordsCommitted(1, words(" yes| we", speaker="A")),
                WordsCommitted(1, words(" no| I", 1.0, speaker="B")),
                WordsCommitted(1, words(" so| he", 2.0, speaker="A")),
            ],
            [(0.0, 1.0, "yes we")],
            id="another speaker",
        ),
        pytest.param(
            [
                WordsCommitted(1, words(" a| pause")),
                WordsCommitted(1, words(" comes| here", 2.0)),
                WordsCommitted(1, words(" and| there", 4.0)),
            ],
            [(0.0, 1.0, "a pause")],
            id="a pause",
        ),
    ],
)
def test_a_passage_ends_at(events: list[Event], expected: list[tuple[float, float, str]]) -> None:
    assert spans(PassageFeed(RULES, "de"), *events) == expected


def test_a_passage_tells_where_its_utterance_began_and_ended() -> None:
    feed = PassageFeed(RULES, "de")
    feed.receive(SpeechStarted(1, 0.2))
    feed.receive(WordsCommitted(1, words(" one| two.", 0.5)))
    (first,) = feed.receive(WordsCommitted(1, words(" Three| four", 1.5)))
    (second,) = feed.receive(UtteranceEnded(1, 2.9))

    assert (first.text, first.speech_start, first.speech_end) == ("one two.", 0.2, None)
    assert (second.text, second.speech_start, second.speech_end) == ("Three four", 0.2, 2.9)


def test_a_passage_without_end_is_cut_before_it_gets_too_long() -> None:
    feed = PassageFeed(RULES, "de", longest_s=4.0)

    found = spans(feed, *(WordsCommitted(1, words(" so", n / 2)) for n in range(17)))

    assert found == [(0.0, 4.0, " ".join(["so"] * 8))]


def test_what_a_broken_session_left_is_a_passage() -> None:
    feed = PassageFeed(RULES, "de")

    assert spans(feed, WordsCommitted(1, words(" left| over"))) == []
    assert feed.finish() == [Passage(0.0, 1.0, "left over", "de")]
    assert feed.finish() == []


def test_passages_have_the_language_that_was_detected() -> None:
    feed = PassageFeed(RULES, None)
    first = feed.receive(WordsCommitted(1, words(" ja")))
    unknown = feed.receive(UtteranceEnded(1, 0.5))
    feed.receive(LanguageDetected("de", 0.9))
    feed.receive(WordsCommitted(2, words(" nein", 1.0)))

    assert first == []
    assert [passage.language for passage in unknown] == [None]
    assert [passage.language for passage in feed.finish()] == ["de"]


def test_words_that_are_english_whatever_is_spoken_stay_english() -> None:
    feed = PassageFeed(RULES, "en", listens=False)
    feed.receive(LanguageDetected("de", 0.9))
    feed.receive(WordsCommitted(1, words(" good")))

    assert [passage.language for passage in feed.finish()] == ["en"]


def test_the_open_passage_has_the_words_that_may_change() -> None:
    feed = PassageFeed(RULES, "de")
    assert feed.open is None

    feed.receive(WordsCommitted(1, words(" one| two| three| four| five")))
    feed.receive(PartialUpdated(1, words(" six", 2.5)))

    assert feed.open == Passage(0.0, 3.0, "one two three four five six", "de")


@UNHURRIED
@given(histories(SPACED, (None, "A", "B")))
def test_passages_hold_every_segment_once_and_in_order(history: History) -> None:
    feed, transcript = PassageFeed(RULES, "de"), Transcript(RULES)
    segments, passages = [], []
    for event in history.events:
        segments += transcript.apply(event)
        passages += feed.receive(event)

    def squeezed(text: str) -> str:
        return "".join(text.split())

    said = "".join(squeezed(segment.text) for segment in segments)
    assert "".join(squeezed(passage.text) for passage in passages) == said
    assert {passage.start for passage in passages} <= {segment.start for segment in segments}
    assert {passage.end for passage in passages} <= {segment.end for segment in segments}
    times = [time for passage in passages for time in (passage.start, passage.end)]
    assert times == sorted(times)
