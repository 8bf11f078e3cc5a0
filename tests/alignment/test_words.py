"""Words get the times at which their letters are heard."""

import numpy as np
import pytest

from tests.alignment.letters import FRAME_SAMPLES, WrittenModel
from whisper_streaming.alignment.words import MAX_SHIFT_S, align, in_order
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.hypothesis import Word

FRAME_S = FRAME_SAMPLES / 16_000


def audio_of(text: str) -> FloatArray:
    return np.zeros(len(text) * FRAME_SAMPLES, dtype=np.float32)


def guessed(text: str, *times: tuple[float, float]) -> tuple[Word, ...]:
    words = text.split()
    return tuple(
        Word(f" {word}", start, end) for word, (start, end) in zip(words, times, strict=True)
    )


def test_words_begin_with_their_first_letter_and_end_with_the_gap() -> None:
    frames = "__the_|__cat__|____"
    words = guessed("The cat.", (0.0, 0.1), (0.1, 0.3))

    aligned = align(WrittenModel(frames), words, audio_of(frames), 0)

    assert [(w.text, w.is_aligned) for w in aligned] == [(" The", True), (" cat.", True)]
    np.testing.assert_allclose([w.start for w in aligned], [2 * FRAME_S, 9 * FRAME_S])
    np.testing.assert_allclose([w.end for w in aligned], [6 * FRAME_S, 14 * FRAME_S])


def test_times_are_on_the_sessions_clock() -> None:
    frames = "__cat_|__"
    words = guessed("cat", (10.0, 10.1))

    (aligned,) = align(WrittenModel(frames), words, audio_of(frames), 10 * 16_000)

    assert aligned.start == pytest.approx(10 + 2 * FRAME_S)
    assert aligned.end == pytest.approx(10 + 6 * FRAME_S)


def test_nothing_else_of_a_word_changes() -> None:
    frames = "_cat|_"
    word = Word(" Cat,", 0.0, 0.1, 0.5, (1, 2), "SPEAKER_00")

    (aligned,) = align(WrittenModel(frames), (word,), audio_of(frames), 0)

    assert (aligned.text, aligned.probability, aligned.tokens) == (" Cat,", 0.5, (1, 2))
    assert aligned.speaker == "SPEAKER_00"


def test_a_word_without_known_letters_keeps_its_time_between_its_neighbours() -> None:
    frames = "_at_|xyxyx|pm|__"
    words = guessed("at 1000 pm", (0.02, 0.06), (0.01, 0.5), (0.2, 0.3))

    at, number, pm = align(WrittenModel(frames), words, audio_of(frames), 0)

    assert (at.is_aligned, number.is_aligned, pm.is_aligned) == (True, False, True)
    assert at.end == pytest.approx(4 * FRAME_S)
    assert pm.start == pytest.approx(11 * FRAME_S)
    assert (number.start, number.end) == (at.end, pm.start)


def test_letters_that_the_model_lacks_are_passed_over() -> None:
    frames = "_caf__|_"

    (aligned,) = align(WrittenModel(frames), (Word(" café", 0, 0.1),), audio_of(frames), 0)

    assert aligned.is_aligned
    assert aligned.end == pytest.approx(6 * FRAME_S)


def test_words_without_spaces_between_them_end_where_the_next_begins() -> None:
    frames = "_ab__cd_|"
    words = (Word("ab", 0, 0.1), Word("cd", 0.1, 0.2))

    first, second = align(WrittenModel(frames), words, audio_of(frames), 0)

    assert first.end == second.start == pytest.approx(5 * FRAME_S)


def test_a_word_that_would_move_far_is_not_believed() -> None:
    frames = "_a|".ljust(100, "_") + "b|__"
    there, elsewhere = (100 - MAX_SHIFT_S / FRAME_S + 1), (100 - MAX_SHIFT_S / FRAME_S - 1)
    for guess, found in ((there, True), (elsewhere, False)):
        words = guessed("a b", (0.0, 0.1), (guess * FRAME_S, guess * FRAME_S + 0.1))

        a, b = align(WrittenModel(frames), words, audio_of(frames), 0)

        assert a.is_aligned
        assert b.is_aligned is found
        assert b.start == pytest.approx((100 if found else guess) * FRAME_S)


@pytest.mark.parametrize("frames", ["", "_a_", "_abcdef"])
def test_without_enough_audio_words_stay_as_they_are(frames: str) -> None:
    words = guessed("abcdefghijk", (0.0, 0.1))

    assert align(WrittenModel(frames), words, audio_of(frames), 0) == words


def test_a_text_without_letters_asks_no_model() -> None:
    model = WrittenModel("______")
    words = guessed("12 — 13", (0, 0.1), (0.1, 0.1), (0.1, 0.2))

    assert align(model, words, audio_of("______"), 0) == words
    assert model.asked == []


def test_times_never_go_back() -> None:
    words = guessed("a b c", (0.5, 0.2), (0.1, 0.4), (0.3, 0.9))

    ordered = in_order(words, earliest=0.3, latest=0.8)

    assert [(w.start, w.end) for w in ordered] == [(0.5, 0.5), (0.5, 0.5), (0.5, 0.8)]
