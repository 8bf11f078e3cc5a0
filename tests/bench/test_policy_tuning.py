"""Tuning, with a backend whose errors are known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.backends.scripted import ScriptedBackend, ScriptedBehaviour, spoken
from whisper_streaming.bench.metered import MeteredBackend
from whisper_streaming.bench.policy_tuning import Stage, tune
from whisper_streaming.bench.recordings import Recording, TimedWord
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, Word
from whisper_streaming.core.policy import EdgeCommit
from whisper_streaming.errors import BenchmarkError
from whisper_streaming.vad import create_vad

WORD_S = 0.26
LATE_S = 0.08
"""The model's times are early by this."""
UNHEARD_S = 0.14
"""So close to the end of its audio it hears no word at all."""
TEXT = "one two three four five six seven eight nine ten eleven twelve"


@dataclass
class _Listener:
    """What the backend below makes of a word that ends within ``guesses_s`` of the edge."""

    guesses_s: float
    probability: float


class Early(ScriptedBackend):
    """Times are early, and words at the edge are guessed wrong."""

    def __init__(self, listener: _Listener) -> None:
        super().__init__(
            ScriptedBehaviour(hears_cut_words=False), profile=StreamingProfile(final_bucket_s=0.0)
        )
        self._listener = listener

    def decode_batch(self, requests):  # type: ignore[no-untyped-def]
        heard = zip(requests, super().decode_batch(requests), strict=True)
        return [self._distort(request, hypothesis) for request, hypothesis in heard]

    def _distort(self, request: DecodeRequest, hypothesis: Hypothesis) -> Hypothesis:
        words = []
        for word in hypothesis.words:
            if not request.is_last and request.end - word.end < UNHEARD_S:
                continue
            if not request.is_last and request.end - word.end < self._listener.guesses_s:
                text = f"{word.text}{request.end:.1f}".replace(".", "x")
                word = replace(word, text=text, probability=self._listener.probability)
            start = max(request.start, word.start - LATE_S)
            words.append(replace(word, start=start, end=max(start, word.end - LATE_S)))
        return replace(hypothesis, words=tuple(words))


def stage(backend: ScriptedBackend) -> Stage:
    recording, probabilities = speech()
    return Stage(MeteredBackend(backend), [recording], {recording.name: probabilities})


def speech() -> tuple[Recording, FloatArray]:
    texts = TEXT.split()
    silence = np.zeros(16_000, np.float32)
    samples = np.concatenate((silence, spoken(texts, word_s=WORD_S), silence))
    words = tuple(
        TimedWord(text, 1 + index * WORD_S, 1 + (index + 1) * WORD_S)
        for index, text in enumerate(texts)
    )
    recording = Recording("spoken", samples, "en", TEXT, words, (words[-1].end,))
    return recording, create_vad("energy").open_stream().process(samples)


def test_the_offset_of_word_times_is_measured_and_added() -> None:
    tuned = tune(stage(Early(_Listener(0.0, 1.0))), [0.3])

    assert tuned.profile.word_time_offset_s == pytest.approx(LATE_S)
    assert f"{LATE_S:+.2f} s" in tuned.notes[0]


def test_a_model_that_is_right_at_the_edge_commits_there() -> None:
    tuned = tune(stage(Early(_Listener(0.0, 1.0))), [0.3])

    assert tuned.profile.policy == "edge_commit"
    assert tuned.profile.commit.certain_margin_s == 0.15
    assert all(trial.totals["wer"] == 0 for trial in tuned.trials)


def test_a_model_that_is_sure_of_wrong_words_at_the_edge_keeps_away_from_it() -> None:
    tuned = tune(stage(Early(_Listener(0.25, 1.0))), [0.3])

    rates = [trial.number("wer") for trial in tuned.trials]
    assert max(rates) > min(rates) + 0.1
    assert tuned.profile.commit.certain_margin_s != 0.15


def test_window_rules_stay_where_others_save_nothing() -> None:
    tuned = tune(stage(Early(_Listener(0.0, 1.0))), [0.3])

    assert tuned.profile.window == StreamingProfile().window
    assert len({trial.what for trial in tuned.trials}) > 10


def test_a_model_that_hears_nothing_cannot_be_tuned() -> None:
    class Deaf(ScriptedBackend):
        def decode_batch(self, requests):  # type: ignore[no-untyped-def]
            return [Hypothesis((Word(" uh", r.start, r.end),), "en") for r in requests]

    with pytest.raises(BenchmarkError, match="heard no word right"):
        tune(stage(Deaf()), [0.3])


def test_an_unmeasured_model_is_among_the_candidates() -> None:
    tuned = tune(stage(Early(_Listener(0.0, 1.0))), [1.0])

    careful = EdgeCommit()
    said = f"agreed before {careful.agreed_margin_s:g} s, sure {careful.sure_probability:g}"
    assert any(trial.what.startswith(said) for trial in tuned.trials)
