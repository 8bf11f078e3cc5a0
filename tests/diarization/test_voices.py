"""Voices from embeddings that are made up: directions in space, and what lies between them."""

import pickle
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whisper_streaming.core.audio import FloatArray
from whisper_streaming.diarization.voices import Correction, Stretch, VoiceRules, Voices

RULES = VoiceRules(new_below=0.5, same_above=0.85)
SIZE = 8


def unit(*values: float) -> FloatArray:
    vector = np.zeros(SIZE, np.float32)
    vector[: len(values)] = values
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


ANNA, BEN, CLARA = unit(1), unit(0, 1), unit(0, 0, 1)


def stretch(
    embedding: FloatArray, start: float, *, speech_s: float = 1.6, after_pause: bool = False
) -> Stretch:
    return Stretch(start, start + 0.3, embedding, speech_s, after_pause)


def talk(voices: Voices, embeddings: Sequence[FloatArray], start: float = 0.0) -> list[int]:
    """Who speaks in words of 0.3 s, one after the other."""
    return voices.hear(
        [stretch(each, start + 0.3 * n, after_pause=n == 0) for n, each in enumerate(embeddings)]
    )


def test_numbers_speakers_as_they_appear_and_knows_them_again() -> None:
    voices = Voices(RULES)

    assert talk(voices, [ANNA, ANNA]) == [0, 0]
    assert talk(voices, [BEN, BEN], 1) == [1, 1]
    assert talk(voices, [CLARA], 2) == [2]
    assert talk(voices, [ANNA], 3) == [0]
    assert talk(voices, [BEN], 4) == [1]


def test_a_change_within_one_run_is_found() -> None:
    voices = Voices(RULES)

    assert talk(voices, [ANNA, ANNA, unit(1, 1), BEN, BEN])[3:] == [1, 1]
    assert talk(voices, [BEN, ANNA, ANNA], 2) == [1, 0, 0]


def test_one_unclear_word_within_a_run_changes_nobody() -> None:
    voices = Voices(RULES)
    talk(voices, [ANNA, ANNA])
    talk(voices, [BEN, BEN], 1)

    assert talk(voices, [ANNA, unit(1, 1.1), ANNA], 2) == [0, 0, 0]


def test_a_short_stretch_founds_no_voice() -> None:
    voices = Voices(RULES)
    talk(voices, [ANNA])

    assert voices.hear([stretch(BEN, 1.0, speech_s=0.4, after_pause=True)]) == [0]
    assert voices.count == 1


def test_no_more_speakers_than_allowed() -> None:
    voices = Voices(VoiceRules(new_below=0.5, max_speakers=2))

    heard = [*talk(voices, [ANNA]), *talk(voices, [BEN], 1), *talk(voices, [CLARA], 2)]

    assert heard[:2] == [0, 1]
    assert heard[2] in (0, 1)


def test_while_too_few_are_known_a_new_voice_is_believed_more_easily() -> None:
    like_anna = unit(0.55, 0.8352)  # a cosine of 0.55: not below 0.5, but below 0.5 + 0.15
    usual, eager = Voices(RULES), Voices(VoiceRules(new_below=0.5, min_speakers=2))
    talk(usual, [ANNA])
    talk(eager, [ANNA])

    assert (talk(usual, [like_anna], 1), talk(eager, [like_anna], 1)) == ([0], [1])


def test_two_voices_that_turn_out_to_be_one_become_the_older_one() -> None:
    voices = Voices(VoiceRules(new_below=0.95, same_above=0.9, doubt=0.0))
    talk(voices, [ANNA])
    assert talk(voices, [unit(1, 0.4)], 1) == [1]
    # Between the two, so that it draws the second one near.
    talk(voices, [unit(1, 0.15)] * 8, 2)

    corrections = voices.reconsider()

    assert voices.count == 1
    assert {each.speaker for each in corrections} == {0}
    assert talk(voices, [unit(1, 0.4)], 6) == [0] or voices.count == 2


def test_a_number_is_not_given_again_after_a_merge() -> None:
    voices = Voices(VoiceRules(new_below=0.5, same_above=0.3))
    talk(voices, [ANNA])
    talk(voices, [unit(0.45, 1)], 1)
    voices.reconsider()
    assert voices.count == 1

    assert talk(voices, [CLARA], 2) == [2]


def test_what_is_older_than_the_look_back_is_never_corrected() -> None:
    voices = Voices(VoiceRules(new_below=0.5, min_new_s=1.0, look_back_s=5.0))
    talk(voices, [ANNA])
    # Too short to be anybody new; then it turns out who that was.
    unheard = stretch(BEN, 1.0, speech_s=0.5, after_pause=True)
    assert voices.hear([unheard]) == [0]
    assert talk(voices, [BEN, BEN], 2) == [1, 1]
    assert voices.reconsider() == [Correction(1.0, 1.3, 1)]
    assert voices.reconsider() == []

    late = Voices(VoiceRules(new_below=0.5, min_new_s=1.0, look_back_s=5.0))
    talk(late, [ANNA])
    assert late.hear([unheard]) == [0]
    assert talk(late, [BEN, BEN], 20) == [1, 1]
    assert late.reconsider() == []


def test_nothing_heard_is_nobody() -> None:
    voices = Voices(RULES)

    assert (voices.hear([]), voices.current, voices.reconsider()) == ([], None, [])


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[list[int], float]]:
    """Turns: the true speaker of each word, and how far the words are from the pure voice."""
    turns = draw(st.lists(st.integers(0, 5), min_size=1, max_size=12))
    return [([who] * draw(st.integers(1, 6)), draw(st.floats(0, 0.15))) for who in turns]


@given(conversations(), st.integers(0, 2**16))
def test_clear_voices_are_told_apart_whatever_the_turns(
    turns: list[tuple[list[int], float]], seed: int
) -> None:
    numbers, voices = np.random.default_rng(seed), Voices(RULES)
    truth: list[int] = []
    heard: list[int] = []
    for words, blur in turns:
        noise = numbers.normal(size=(len(words), SIZE)) / np.sqrt(SIZE)
        rows = [unit(*(np.eye(SIZE)[who] + blur * n)) for who, n in zip(words, noise, strict=True)]
        truth += words
        heard += talk(voices, rows, start=len(truth) * 0.4)
        assert voices.reconsider() == []

    order = list(dict.fromkeys(truth))
    assert heard == [order.index(who) for who in truth]


@given(
    st.lists(
        st.tuples(
            st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=5),
            st.floats(0.1, 1.6),
            st.booleans(),
        ),
        max_size=15,
    ),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_any_sound_keeps_the_promises(
    batches: list[tuple[list[list[float]], float, bool]], low: int, high: int
) -> None:
    """Bounded speakers, every word one of them, and corrections only of what was said lately."""
    rules = VoiceRules(min_speakers=min(low, high), max_speakers=high, look_back_s=6.0)
    voices, said, clock = Voices(rules), dict[float, int](), 0.0
    for rows, speech_s, reconsiders in batches:
        words = []
        for row in rows:
            embedding = unit(*row) if np.linalg.norm(row) > 0.01 else unit(1)
            words.append(stretch(embedding, clock, speech_s=speech_s))
            clock += 0.5
        said |= dict(zip((word.start for word in words), voices.hear(words), strict=True))
        assert voices.count <= high
        for correction in voices.reconsider() if reconsiders else []:
            assert correction.end >= words[-1].end - rules.look_back_s
            assert said[correction.start] != correction.speaker
            said[correction.start] = correction.speaker

    assert all(isinstance(number, int) and number >= 0 for number in said.values())


def test_an_endless_session_needs_no_more_memory() -> None:
    voices = Voices(RULES)
    sizes = []
    for second in range(600):
        talk(voices, [ANNA, BEN], float(second))
        sizes.append(len(pickle.dumps(voices)))

    assert max(sizes[60:]) <= max(sizes[:60])
