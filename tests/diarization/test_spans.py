from whisper_streaming.core.hypothesis import Word
from whisper_streaming.diarization.spans import Span, SpanFinder


def word(text: str, start: float, end: float) -> Word:
    return Word(f" {text}", start, end)


def seconds(spans: list[Span]) -> list[tuple[float, float]]:
    return [(span.start_sample / 16_000, span.end_sample / 16_000) for span in spans]


def test_words_of_a_short_run_share_all_of_it() -> None:
    spans = SpanFinder().find([word("so", 1.0, 1.2), word("it", 1.2, 1.4), word("is", 1.5, 2.0)])

    assert seconds(spans) == [(1.0, 2.0)] * 3
    assert [span.follows_pause for span in spans] == [True, False, False]


def test_no_stretch_bridges_a_pause() -> None:
    spans = SpanFinder().find([word("so", 1.0, 1.4), word("no", 2.0, 2.5)])

    assert seconds(spans) == [(1.0, 1.4), (2.0, 2.5)]
    assert [span.follows_pause for span in spans] == [True, True]


def test_a_run_goes_on_over_commits_and_over_what_is_not_committed() -> None:
    finder = SpanFinder()

    first = finder.find([word("so", 1.0, 1.2)], [word("it", 1.3, 1.5), word("far", 3.0, 3.2)])
    second = finder.find([word("it", 1.3, 1.5), word("is", 1.6, 1.9)])

    assert seconds(first) == [(1.0, 1.5)]
    assert seconds(second) == [(1.0, 1.9)] * 2
    assert not second[0].follows_pause


def test_an_utterance_that_ended_ends_its_run() -> None:
    finder = SpanFinder()
    finder.find([word("so", 1.0, 1.2)])
    finder.end_run()

    spans = finder.find([word("it", 1.2, 1.5)])

    assert seconds(spans) == [(1.2, 1.5)]
    assert spans[0].follows_pause


def test_a_long_run_is_seen_around_each_word() -> None:
    words = [word(str(n), n / 2, n / 2 + 0.5) for n in range(12)]

    spans = SpanFinder().find(words)

    assert seconds(spans)[0] == (0.0, 1.6)
    assert seconds(spans)[6] == (2.4, 4.0)  # the middle of the word is at 3.25
    assert seconds(spans)[-1] == (4.4, 6.0)


def test_glued_punctuation_needs_no_audio() -> None:
    finder = SpanFinder()

    spans = finder.find([word("so", 1.0, 1.4), Word(",", 1.4, 1.5), word("it", 1.6, 2.0)])

    assert [span.word for span in spans] == [0, 2]
    assert not spans[1].follows_pause


def test_a_word_without_length_still_has_some_audio() -> None:
    assert seconds(SpanFinder().find([word("so", 1.0, 1.0)])) == [(1.0, 1.1)]
