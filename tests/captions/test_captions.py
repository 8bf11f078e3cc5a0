"""Cues of a transcript: what is cut where, and what must hold for any of them."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.event_histories import CJK, SPACED, UNHURRIED
from whisper_streaming.captions import CaptionRules, CaptionStream, Cue, Passage, captions
from whisper_streaming.captions.passage import passage_of, passage_of_text, passage_of_words
from whisper_streaming.captions.rules import width
from whisper_streaming.core.hypothesis import Word
from whisper_streaming.core.transcript import Segment

LONG = (
    "The budget is the same as last year, but the committee wants to see the "
    "numbers of the second half before it agrees to anything at all."
)


def passage(
    text: str, start: float = 0.0, end: float | None = None, *, speaker: str | None = None
) -> Passage:
    """A passage that takes a tenth of a second for each word, if nothing else is said."""
    words = text.split(" ")
    end = start + 0.1 * len(words) if end is None else end
    step = (end - start) / len(words)
    found = passage_of_words(
        [
            Word(f" {word}", start + step * i, start + step * (i + 1))
            for i, word in enumerate(words)
        ],
        start,
        end,
        speaker,
    )
    assert found is not None
    return found


def texts(cues: Sequence[Cue]) -> list[tuple[str, ...]]:
    return [cue.texts for cue in cues]


def test_a_sentence_that_fits_is_one_line() -> None:
    assert texts(captions([passage("The budget is the same as last year.")])) == [
        ("The budget is the same as last year.",)
    ]


def test_lines_break_after_a_clause_and_not_after_a_short_word() -> None:
    clause = passage("The budget is the same, but the committee wants numbers.")
    short = passage("Everybody has read all of the numbers by this evening")

    assert texts(captions([clause])) == [
        ("The budget is the same,", "but the committee wants numbers.")
    ]
    assert texts(captions([short])) == [
        ("Everybody has read", "all of the numbers by this evening")
    ]


def test_a_long_sentence_becomes_cues_that_are_about_equally_full() -> None:
    assert texts(captions([passage(LONG)])) == [
        ("The budget is the same as last year,", "but the committee wants"),
        ("to see the numbers of the second half", "before it agrees to anything at all."),
    ]


def test_no_word_stands_alone_where_the_rest_has_room() -> None:
    rules = CaptionRules(line_length=10, max_lines=1)

    assert texts(captions([passage("aaa bbb ccc ddd")], rules)) == [("aaa bbb",), ("ccc ddd",)]


def test_a_word_that_is_longer_than_a_line_has_it_to_itself() -> None:
    long = "x" * 50

    assert texts(captions([passage(f"a {long} b")])) == [("a", long), ("b",)]


def test_characters_of_wide_scripts_count_twice_and_need_no_spaces() -> None:
    text = "我们今天开会讨论预算的问题，因为大家都想知道明年我们还有多少钱。"
    whole = passage_of_text(text, 0.0, 6.0, None)
    assert whole is not None

    assert texts(captions([whole])) == [
        ("我们今天开会讨论预算的问题，", "因为大家都想知道明年我们还有多少钱。")
    ]


def test_a_cue_of_a_long_sentence_takes_its_times_from_its_words() -> None:
    first, second = captions([passage(LONG, 10.0, 12.7)])

    assert (first.start_ms, first.end_ms) == (10_000, second.start_ms)
    assert second.start_ms == 11_200  # twelve words that take a tenth each


def test_a_cue_stays_until_it_is_read_or_the_next_one_comes() -> None:
    rules = CaptionRules(max_cps=10.0, min_duration_s=1.5)
    cues = captions(
        [passage("Yes.", 1.0), passage("Of course it is.", 2.0), passage("No.", 9.0)], rules
    )

    assert [(cue.start_ms, cue.end_ms) for cue in cues] == [
        (1_000, 2_000),  # 1.5 s, but for the next one
        (2_000, 3_600),  # 16 characters
        (9_000, 10_500),
    ]


def test_the_name_of_the_speaker_is_read_too() -> None:
    rules = CaptionRules(max_cps=10.0)
    (cue,) = captions([passage("Yes, of course.", 1.0, speaker="SPEAKER_00")], rules)

    assert cue.end_ms == 3_700  # 15 characters, and 12 of "SPEAKER_00: "


def test_speech_that_takes_long_is_more_than_one_cue() -> None:
    slow = passage("one two three four", 0.0, 16.0)

    cues = captions([slow], CaptionRules(max_duration_s=9.0))

    assert texts(cues) == [("one two",), ("three four",)]


def test_a_lone_word_joins_the_sentence_that_it_was_cut_from() -> None:
    begun = passage("And then the committee of the house", 0.0, 5.9)

    assert texts(captions([begun, passage("agreed.", 6.0)])) == [
        ("And then the committee", "of the house agreed.")
    ]
    assert texts(captions([passage("So,", 0.0, 0.3), passage("it begins.", 0.5)])) == [
        ("So, it begins.",)
    ]


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(passage("agreed.", 6.5), id="after a pause"),
        pytest.param(passage("agreed.", 6.0, speaker="B"), id="of another speaker"),
        pytest.param(passage("they agreed.", 6.0), id="not alone"),
    ],
)
def test_other_passages_stay_apart(later: Passage) -> None:
    begun = passage("And then the house", 0.0, 5.9)

    assert len(captions([begun, later])) == 2


def test_an_answer_of_one_word_stays_apart_from_a_whole_sentence() -> None:
    assert texts(captions([passage("Is it so?", 0.0, 1.0), passage("Yes.", 1.1)])) == [
        ("Is it so?",),
        ("Yes.",),
    ]


def test_the_name_of_the_speaker_has_room_in_the_first_line() -> None:
    spoken = passage("aaaa bbbb cccc", speaker="SPEAKER_00")
    rules = CaptionRules(line_length=22)

    (cue,) = captions([spoken], rules)

    assert cue.texts == ("aaaa bbbb", "cccc")  # "SPEAKER_00: aaaa bbbb" are 21
    assert texts(captions([passage("aaaa bbbb cccc")], rules)) == [("aaaa bbbb cccc",)]


def test_times_of_words_that_lie_outside_of_their_passage_are_mended() -> None:
    found = passage_of_words([Word(" a", 3.0, 4.0), Word(" b", 1.0, 2.0)], 0.0, 3.5, None)

    assert found is not None
    assert [(word.start, word.end) for word in found.words] == [(3.0, 3.5), (3.5, 3.5)]


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_nothing_to_read_is_no_passage(text: str) -> None:
    assert passage_of_text(text, 0.0, 1.0, None) is None
    assert passage_of(Segment(0.0, 1.0, (Word(text, 0.0, 1.0),))) is None


def test_line_breaks_in_a_text_are_spaces() -> None:
    found = passage_of_text(" a\n\nb ", 0.0, 1.0, None)

    assert found is not None
    assert found.text == "a b"


# --- what holds for every transcript --------------------------------------------------------

RULES = st.builds(
    CaptionRules,
    line_length=st.integers(3, 20),
    max_lines=st.integers(1, 3),
    max_cps=st.floats(5.0, 30.0),
    min_duration_s=st.floats(0.0, 2.0),
    max_duration_s=st.floats(0.5, 8.0),
)


@st.composite
def transcripts(draw: st.DrawFn) -> list[Passage]:
    """Passages in order, as segments of a session are."""
    alphabet = draw(st.sampled_from([SPACED, CJK]))
    passages, clock = [], 0.0
    for _ in range(draw(st.integers(0, 5))):
        clock += draw(st.sampled_from([0.0, 0.02, 0.4, 3.0]))
        start, words = clock, []
        for text in draw(st.lists(st.sampled_from(alphabet), min_size=1, max_size=12)):
            end = clock + draw(st.sampled_from([0.0, 0.0004, 0.2, 1.1]))
            words.append(Word(text, clock, end))
            clock = end
        speaker = draw(st.sampled_from([None, None, "A", "SPEAKER_01"]))
        found = passage_of_words(words, start, clock, speaker)
        assert found is not None
        passages.append(found)
    return passages


@UNHURRIED
@given(transcripts(), RULES)
def test_every_word_is_shown_once_and_in_order(
    passages: list[Passage], rules: CaptionRules
) -> None:
    shown = [word for cue in captions(passages, rules) for line in cue.lines for word in line]

    said = [word for passage in passages for word in passage.words]
    assert [word.text.strip() for word in shown] == [word.text.strip() for word in said]
    assert [(word.start, word.end) for word in shown] == [(word.start, word.end) for word in said]


@UNHURRIED
@given(transcripts(), RULES)
def test_limits_hold(passages: list[Passage], rules: CaptionRules) -> None:
    for cue in captions(passages, rules):
        words = [word for line in cue.lines for word in line]
        indent = width(f"{cue.speaker}: ") if cue.speaker else 0
        assert 1 <= len(cue.lines) <= rules.max_lines
        for line, text, before in zip(cue.lines, cue.texts, (indent, 0, 0), strict=False):
            assert before + width(text) <= rules.line_length or len(line) == 1
        assert words[-1].end - words[0].start <= rules.max_duration_s or len(words) == 1


@UNHURRIED
@given(transcripts(), RULES)
def test_cues_follow_one_another_and_stay_as_long_as_they_can(
    passages: list[Passage], rules: CaptionRules
) -> None:
    cues = captions(passages, rules)

    for cue in cues:
        assert cue.start_ms < cue.end_ms
    for cue, following in pairwise(cues):
        assert cue.end_ms <= following.start_ms
        needed_s = max(rules.min_duration_s, sum(map(width, cue.texts)) / rules.max_cps)
        is_read = cue.end_ms - cue.start_ms >= round(needed_s * 1000)
        assert is_read or cue.end_ms == following.start_ms


@UNHURRIED
@given(transcripts(), RULES)
def test_live_cues_become_those_of_the_whole(passages: list[Passage], rules: CaptionRules) -> None:
    stream = CaptionStream(rules)
    settled: list[Cue] = []
    shown: list[Cue] = []
    for count, passage in enumerate(passages, start=1):
        grown = stream.add(passage)
        settled += grown.settled
        shown = [*settled, *grown.open]
        assert shown == captions(passages[:count], rules)

    assert shown == captions(passages, rules)


def test_many_lines_and_words_take_no_time_that_grows_with_their_combinations() -> None:
    words = " ".join(["ab"] * 60)
    rules = CaptionRules(line_length=6, max_lines=10, max_duration_s=60.0)

    cues = captions([passage(words)], rules)

    assert [len(cue.lines) for cue in cues] == [10, 10, 10]
