"""Words whose text somebody changed."""

from hypothesis import given
from hypothesis import strategies as st

from whisper_streaming.core.hypothesis import Word, Words, join_words
from whisper_streaming.text_hook.rewrite import rewrite

_LETTERS = st.text("ab,.字", min_size=1, max_size=4)
_TEXTS = st.lists(_LETTERS, max_size=8).map(" ".join) | st.text("ab ,字\n", max_size=12)


@st.composite
def _words(draw: st.DrawFn) -> Words:
    words, now = [], 0.0
    for text in draw(st.lists(st.tuples(st.sampled_from(["", " "]), _LETTERS), max_size=8)):
        start = now + draw(st.sampled_from([0.0, 0.25]))
        now = start + draw(st.sampled_from([0.0, 0.5]))
        words.append(Word("".join(text), start, now, 0.5, (1,)))
    return tuple(words)


def _spoken(text: str) -> Words:
    return tuple(
        Word(f" {word}", index * 0.5, index * 0.5 + 0.4, 0.9, (index,), "SPEAKER_00")
        for index, word in enumerate(text.split())
    )


def test_a_text_that_was_not_changed_leaves_the_words_as_they_are() -> None:
    words = _spoken("my name is Ann")
    assert rewrite(words, "my name is Ann") is words
    assert rewrite(words, " my name  is\nAnn ") is words


def test_only_what_was_changed_is_new() -> None:
    words = _spoken("we use cube flow here")
    changed = rewrite(words, "we use Kubeflow here")

    assert [word.text for word in changed] == [" we", " use", " Kubeflow", " here"]
    assert (changed[0], changed[1], changed[3]) == (words[0], words[1], words[4])
    assert 1.0 <= changed[2].start < changed[2].end <= 1.9
    assert changed[2].end > 1.5
    assert (changed[2].probability, changed[2].tokens) == (0.9, ())
    assert changed[2].speaker == "SPEAKER_00"


def test_more_words_share_the_time_of_fewer() -> None:
    changed = rewrite(_spoken("at Q4 then"), "at 1234 5678 then")
    assert [word.text for word in changed] == [" at", " 1234", " 5678", " then"]
    first, second = changed[1:3]
    assert 0.5 <= first.start < first.end <= second.start < second.end <= 0.9


def test_what_is_put_in_takes_no_time() -> None:
    changed = rewrite(_spoken("yes sir"), "yes indeed sir")
    assert [word.text for word in changed] == [" yes", " indeed", " sir"]
    assert changed[1].start == changed[1].end


def test_nothing_is_left_of_a_text_that_is_taken_away() -> None:
    assert rewrite(_spoken("my number is 1234"), "") == ()
    assert rewrite(_spoken("my number is 1234"), " \n") == ()
    assert [word.text for word in rewrite(_spoken("call 1234 now"), "call now")] == [
        " call",
        " now",
    ]


def test_words_of_a_script_without_spaces_stay() -> None:
    words = tuple(Word(text, index, index + 1.0) for index, text in enumerate("東京都"))
    changed = rewrite(words, "東＊都")
    assert [word.text for word in changed] == ["東", "＊", "都"]
    assert changed[0] is words[0]
    assert changed[2] is words[2]
    assert (changed[1].start, changed[1].end) == (1.0, 2.0)


@given(words=_words(), text=_TEXTS)
def test_words_read_as_the_text_in_order(words: Words, text: str) -> None:
    changed = rewrite(words, text)

    if words:
        assert join_words(changed).split() == text.split()
        lead = join_words(words)[:1].isspace()
        assert not changed or join_words(changed)[:1].isspace() == lead
    else:
        assert changed == ()
    times = [time for word in changed for time in (word.start, word.end)]
    assert times == sorted(times)
    if changed:
        assert words[0].start <= times[0]
        assert times[-1] <= words[-1].end
