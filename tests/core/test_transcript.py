"""Captions from committed words: when a segment completes, and that it never changes."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.event_histories import CJK, SPACED, UNHURRIED, History, histories
from whisper_streaming.core.events import (
    AudioAccount,
    Event,
    PartialUpdated,
    SessionEnded,
    SessionFailed,
    SpeechStarted,
    UtteranceEnded,
    WordsCommitted,
)
from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.core.transcript import (
    MIN_SEGMENT_S,
    Segment,
    SegmentRules,
    Transcript,
    ends_sentence,
    group_words,
    starts_word,
)

NOTHING = AudioAccount(received=0, decoded=0, silence=0, gap=0)


def spoken(
    text: str, *, start: float = 0.0, word_s: float = 0.3, speaker: str | None = None
) -> Words:
    """The words of ``text``, split at "|", one right after the other."""
    return tuple(
        Word(piece, start + n * word_s, start + (n + 1) * word_s, speaker=speaker)
        for n, piece in enumerate(text.split("|"))
    )


def committed(
    text: str, *, start: float = 0.0, word_s: float = 0.3, speaker: str | None = None
) -> Event:
    return WordsCommitted(1, spoken(text, start=start, word_s=word_s, speaker=speaker))


def partial(text: str, *, start: float = 0.0) -> Event:
    return PartialUpdated(1, spoken(text, start=start) if text else ())


def completed_texts(events: Sequence[Event], rules: SegmentRules | None = None) -> list[str]:
    transcript = Transcript(rules)
    return [segment.text for event in events for segment in transcript.apply(event)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(" Hello| world.| Next", [" Hello world."], id="full stop"),
        pytest.param(" Is| it?| Next", [" Is it?"], id="question mark"),
        pytest.param(" Do| it!| Next", [" Do it!"], id="exclamation mark"),
        pytest.param(" Well| then…| Next", [" Well then…"], id="ellipsis"),
        pytest.param(' He| said| "no."| Next', [' He said "no."'], id="closing quote"),
        pytest.param(" Hello| world|.|”| Next", [" Hello world.”"], id="punctuation apart"),
        pytest.param("你|好|。|我", ["你好。"], id="Chinese"),
        pytest.param("はい|です|！|」|次", ["はいです！」"], id="Japanese in brackets"),
        pytest.param(" I| saw| Mr.| Smith", [], id="title"),
        pytest.param(" I| was| with| J.| Smith", [], id="initial"),
        pytest.param(" Fruit,| e.g.| apples", [], id="row of initials"),
        pytest.param(" Yes.| I| will.| Next", [" Yes. I will."], id="one word is no sentence"),
        pytest.param(" Mr.| Smith| went.| Next", [" Mr. Smith went."], id="title first"),
        pytest.param(" 3.| Mix| it.| Next", [" 3. Mix it."], id="number of a list"),
        pytest.param(" It| is| 3.|14| now", [], id="decimal number in two pieces"),
        pytest.param(" see| example.|com| now", [], id="name with a dot"),
        pytest.param(" Hello| world,| next", [], id="a comma is no end"),
    ],
)
def test_completes_at_the_end_of_a_sentence(text: str, expected: list[str]) -> None:
    assert completed_texts([committed(text)]) == expected


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        pytest.param(" Next", [" Hello world."], id="the hypothesis goes on"),
        pytest.param("", [" Hello world."], id="the hypothesis ends here"),
        pytest.param("”| Next", [], id="a closing quote may still follow"),
    ],
)
def test_believes_a_sentence_end_when_a_hypothesis_leaves_it(
    newest: str, expected: list[str]
) -> None:
    events = [committed(" Hello| world."), partial(newest, start=0.6)]

    assert completed_texts(events[:1]) == []
    assert completed_texts(events) == expected


@pytest.mark.parametrize(
    ("gap_s", "expected"),
    [
        pytest.param(0.75, [], id="shorter than pause_s"),
        pytest.param(0.85, [" so it"], id="longer than pause_s"),
    ],
)
def test_completes_at_a_pause(gap_s: float, expected: list[str]) -> None:
    events = [committed(" so| it"), committed(" goes", start=0.6 + gap_s)]

    assert completed_texts(events) == expected


def test_late_punctuation_after_a_pause_stays_with_its_word() -> None:
    late = WordsCommitted(1, (Word(".", 2.0, 2.0),))
    events = [committed(" so| it"), late, committed(" Goes", start=2.0)]

    assert completed_texts(events) == [" so it."]


def test_completes_where_the_speaker_changes() -> None:
    transcript = Transcript()

    transcript.apply(committed(" good| morning", speaker="A"))
    (segment,) = transcript.apply(committed(" morning", start=0.6, speaker="B"))

    assert (segment.text, segment.speaker) == (" good morning", "A")
    assert transcript.open_segment is not None
    assert transcript.open_segment.speaker == "B"


def test_an_unknown_speaker_is_no_change() -> None:
    events = [
        committed(" good", speaker="A"),
        committed(" old", start=0.3),
        committed(" day", start=0.6, speaker="A"),
    ]

    assert completed_texts(events) == []


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(UtteranceEnded(1, 0.6), id="utterance"),
        pytest.param(SessionEnded(NOTHING), id="session"),
        pytest.param(SessionFailed(NOTHING, "broken"), id="failed session"),
    ],
)
def test_completes_what_is_committed_at_the_end_and_drops_the_rest(end: Event) -> None:
    transcript = Transcript()
    transcript.apply(committed(" so"))
    transcript.apply(partial(" it| goes", start=0.3))

    (segment,) = transcript.apply(end)

    assert segment.text == " so"
    assert transcript.partial == ()
    assert transcript.open_segment is None


def test_an_ended_utterance_leaves_the_next_ones_partial() -> None:
    transcript = Transcript()
    transcript.apply(PartialUpdated(2, spoken(" next")))

    transcript.apply(UtteranceEnded(1, 0.6))

    assert join_words(transcript.partial) == " next"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(" a| b| c| d| e", [], id="fits exactly"),
        pytest.param(" a| b| c| d| e| f", [" a b c d e"], id="before the word that does not fit"),
        pytest.param(" a| b| c,| d| e| f", [" a b c,"], id="at a clause end"),
        pytest.param(" a,| b| c| d| e| f", [" a, b c d e"], id="no clause end in the first half"),
        pytest.param(" a| b| c,| d,| e| f", [" a b c, d,"], id="at the last clause end"),
        pytest.param(" a| b| c| d| e|-based| f", [" a b c d e-based"], id="not inside a word"),
        pytest.param(" a| b| c| d| e|,", [], id="glued text always fits"),
    ],
)
def test_cuts_what_gets_too_long(text: str, expected: list[str]) -> None:
    assert completed_texts([committed(text, word_s=1.0)], SegmentRules(max_s=5.0)) == expected


def test_cuts_what_gets_too_long_at_its_longest_pause() -> None:
    words = (
        Word(" a", 0.0, 1.0),
        Word(" b", 1.6, 2.6),  # the longest pause is before it, but in the first half
        Word(" c", 3.0, 3.6),
        Word(" d", 3.8, 4.6),
        Word(" e", 4.7, 5.2),
    )

    assert completed_texts([WordsCommitted(1, words)], SegmentRules(max_s=5.0)) == [
        " a b"[:2] + " b"
    ]


def test_one_endless_word_is_a_segment_of_its_own() -> None:
    events = [committed(" aaaaaah", word_s=9.0), committed(" well", start=9.0)]

    assert completed_texts(events) == [" aaaaaah"]


def test_rounds_times_to_milliseconds_without_overlap() -> None:
    words = (Word(" a", 0.00049, 1.00051), Word(".", 1.00051, 1.00051), Word(" b.", 1.0004, 1.2))
    transcript = Transcript()

    transcript.apply(WordsCommitted(1, (words[0], words[1])))
    first = transcript.apply(UtteranceEnded(1, 1.0))
    transcript.apply(WordsCommitted(2, (words[2],)))
    second = transcript.apply(UtteranceEnded(2, 1.2))

    assert [(s.start, s.end) for s in (*first, *second)] == [(0.0, 1.001), (1.001, 1.2)]


def test_a_word_without_duration_still_makes_a_segment_that_lasts() -> None:
    transcript = Transcript()
    segments: list[Segment] = []

    for utterance_id in (1, 2):
        transcript.apply(WordsCommitted(utterance_id, (Word(" oh", 1.0, 1.0),)))
        segments += transcript.apply(UtteranceEnded(utterance_id, 1.0))

    assert [(s.start, s.end) for s in segments] == [(1.0, 1.02), (1.02, 1.04)]


def test_a_segments_words_are_whole_and_in_order() -> None:
    words = (
        Word(" cloud", 0.0, 0.5, probability=0.9, tokens=(1,)),
        Word("-based", 0.4, 0.8, probability=0.7, tokens=(2, 3)),
        Word(".", 0.8, 0.8, probability=0.1, tokens=(4,)),
        Word(" Go", 0.7, 0.9, probability=0.8, tokens=(5,)),
    )
    transcript = Transcript()
    transcript.apply(WordsCommitted(1, words))

    (segment,) = transcript.apply(UtteranceEnded(1, 1.0))

    assert segment.words == (
        Word(" cloud-based.", 0.0, 0.8, probability=0.7, tokens=(1, 2, 3, 4)),
        Word(" Go", 0.8, 0.9, probability=0.8, tokens=(5,)),
    )


def test_the_open_segment_is_what_is_committed_and_the_partial_after_it() -> None:
    transcript = Transcript()
    transcript.apply(committed(" so| it"))
    transcript.apply(partial(",| goes", start=0.6))

    segment = transcript.open_segment

    assert segment is not None
    assert (segment.text, segment.committed_text) == (" so it, goes", " so it")
    assert [word.text for word in segment.words] == [" so", " it,", " goes"]
    assert (segment.start, segment.end, segment.completed) == (0.0, 1.2, False)


def test_the_committed_segment_is_the_open_one_without_the_partial() -> None:
    transcript = Transcript()
    transcript.apply(partial(" so"))
    assert transcript.committed_segment is None

    transcript.apply(committed(" so| it"))
    transcript.apply(partial(",| goes", start=0.6))

    segment = transcript.committed_segment
    assert segment is not None
    assert (segment.text, segment.committed_text) == (" so it", " so it")
    assert (segment.start, segment.end, segment.completed) == (0.0, 0.6, False)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(" so| it| goes", " goes", id="the newest hypothesis goes on"),
        pytest.param(" so| is", "", id="an older hypothesis says something else"),
    ],
)
def test_committed_words_leave_the_partial(shown: str, expected: str) -> None:
    transcript = Transcript()
    transcript.apply(partial(shown))

    transcript.apply(committed(" so| it"))

    assert join_words(transcript.partial) == expected


def test_words_without_visible_text_are_ignored() -> None:
    transcript = Transcript()

    transcript.apply(committed(" | "))
    transcript.apply(partial(""))

    assert transcript.open_segment is None
    assert transcript.apply(UtteranceEnded(1, 1.0)) == ()


def test_keeps_the_newest_segments_and_counts_all() -> None:
    transcript = Transcript(retain=2)

    for utterance_id in range(5):
        transcript.apply(
            WordsCommitted(
                utterance_id, (Word(f" w{utterance_id}", utterance_id, utterance_id + 0.5),)
            )
        )
        transcript.apply(UtteranceEnded(utterance_id, utterance_id + 0.5))

    assert [segment.text for segment in transcript.completed] == [" w3", " w4"]
    assert transcript.completed_count == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" word", True),
        ("\tword", True),
        ("word", False),
        (".", False),
        ("14", False),
        ("-based", False),
        ("的", True),
        ("《红", True),
        ("。", False),
        ("ไทย", True),
        ("한국", False),
        ("", False),
    ],
)
def test_tells_new_words_from_glued_text(text: str, expected: bool) -> None:
    assert starts_word(text) is expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (" end.", True),
        (" end.)", True),
        (" end.”", True),
        (" «fin!»", True),
        (" 是。", True),
        ("好.", True),
        (" क्या।", True),
        (" no...", True),
        (" 3.", True),
        (" 3.5", False),
        (" Dr.", False),
        ("(Dr.", False),
        (" U.S.", False),
        (" i.e.", False),
        (" z.B.", False),
        (" J.", False),
        (" word", False),
        (" word,", False),
        (".", True),
    ],
)
def test_tells_the_end_of_a_sentence(word: str, expected: bool) -> None:
    assert ends_sentence(word) is expected


@pytest.mark.parametrize("alphabet", [SPACED, CJK], ids=["spaced", "unspaced"])
def test_random_histories_cover_the_rules(alphabet: Sequence[str]) -> None:
    # Guards the property tests: histories that complete nothing would prove nothing.
    found: list[int] = []

    @settings(UNHURRIED, derandomize=True)
    @given(histories(alphabet))
    def count(history: History) -> None:
        found.append(len(completed_texts(history.events)))

    count()
    assert max(found) >= 5


@UNHURRIED
@given(histories(SPACED) | histories(CJK))
def test_every_committed_word_is_in_one_segment_or_open(history: History) -> None:
    transcript = Transcript()
    completed: list[Segment] = []
    words: list[Word] = []

    for event in history.events:
        completed += transcript.apply(event)
        words += event.words if isinstance(event, WordsCommitted) else ()
        text = "".join(segment.text for segment in completed)
        assert text + join_words(transcript.open_committed) == join_words(words)
        assert transcript.completed == tuple(completed)


@UNHURRIED
@given(histories(SPACED) | histories(CJK))
def test_no_segment_begins_inside_a_word(history: History) -> None:
    transcript = Transcript()
    completed: list[Segment] = []
    within_utterance: list[bool] = []

    for event in history.events:
        new = transcript.apply(event)
        completed += new
        within_utterance += [not isinstance(event, UtteranceEnded | SessionEnded)] * len(new)

    for before, after, is_within in zip(completed, completed[1:], within_utterance, strict=False):
        # A believed sentence end is the one place where glued text can come too late.
        if is_within and not ends_sentence(before.words[-1].text):
            assert starts_word(after.text)


@UNHURRIED
@given(histories(SPACED) | histories(CJK))
def test_segments_follow_one_another_and_last(history: History) -> None:
    transcript = Transcript()

    completed = [segment for event in history.events for segment in transcript.apply(event)]

    for segment in completed:
        assert segment.end - segment.start >= MIN_SEGMENT_S - 1e-9
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert segment.start == times[0] and times[-1] <= segment.end
    for before, after in pairwise(completed):
        assert float(f"{after.start:.3f}") >= float(f"{before.end:.3f}")


@UNHURRIED
@given(histories(SPACED), st.floats(min_value=0.5, max_value=10))
def test_no_segment_of_several_words_is_too_long(history: History, max_s: float) -> None:
    transcript = Transcript(SegmentRules(max_s=max_s))

    for event in history.events:
        for segment in transcript.apply(event):
            whole = group_words(segment.words)
            if len(whole) > 1:
                # Glued text is never cut off; the word it belongs to fitted.
                assert segment.words[-1].start - segment.start <= max_s + 0.0011


def test_other_events_complete_nothing() -> None:
    transcript = Transcript()
    transcript.apply(committed(" so| it"))

    assert transcript.apply(SpeechStarted(2, 1.0)) == ()
    assert join_words(transcript.open_committed) == " so it"
