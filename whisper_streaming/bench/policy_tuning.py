"""The numbers that suit a model best, found by streaming recordings to it on the audio clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean, median
from typing import Final

from whisper_streaming.backends.base import StreamingProfile
from whisper_streaming.bench.metered import MeteredBackend
from whisper_streaming.bench.progress import tracked
from whisper_streaming.bench.recordings import Recording
from whisper_streaming.bench.report import Row, Value
from whisper_streaming.bench.scoring import score, totals
from whisper_streaming.bench.simulation import simulate
from whisper_streaming.config import ServerConfig
from whisper_streaming.core.audio import FloatArray
from whisper_streaming.core.events import WordsCommitted
from whisper_streaming.core.hypothesis import WindowRules, Word
from whisper_streaming.core.policy import CommitPolicy, EdgeCommit, LocalAgreement
from whisper_streaming.core.session import SessionConfig
from whisper_streaming.engine.offline import run_session
from whisper_streaming.errors import BenchmarkError
from whisper_streaming.evaluate import normalised_words, word_errors
from whisper_streaming.live.session_setup import set_up_session
from whisper_streaming.wire.base import Configure

ALLOWED_COST: Final = 0.005
"""Word error rate that soonest words may cost against LocalAgreement."""
WORTHWHILE: Final = 0.005
"""Word error rate that other window rules must save; a few hundred words tell no less apart."""

_WINDOWS: Final = ((8.0, 2), (8.0, 4), (12.0, 4))
_SURE: Final = tuple(product((0.6, 0.8), (0.15, 0.5)))
_CERTAIN: Final = ((None, 0.97), (0.15, 0.97), (0.2, 0.97), (0.3, 0.9))
_NO_PARTIALS_S: Final = 1e6


@dataclass(frozen=True, slots=True)
class Trial:
    """All recordings under one policy.

    Attributes:
        what: What was tried.
        tick_s: New audio that was worth another decode.
        totals: Of :func:`~whisper_streaming.bench.scoring.totals`.
        cpu_s_per_audio_s: Processor seconds of the decodes.
    """

    what: str
    tick_s: float
    totals: Mapping[str, Value]
    cpu_s_per_audio_s: float

    def as_row(self) -> Row:
        return {
            "tried": self.what,
            "tick_s": self.tick_s,
            "cpu_s_per_audio_s": round(self.cpu_s_per_audio_s, 4),
            **self.totals,
        }

    def number(self, name: str) -> float:
        """One of the totals; a latency of no word at all is infinite."""
        value = self.totals[name]
        return float("inf") if value is None else float(value)

    @property
    def lateness_s(self) -> float:
        """How late words become final: half way between the median and the slowest twentieth."""
        return (self.number("commit_p50_s") + self.number("commit_p95_s")) / 2


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was found.

    Attributes:
        profile: The best one.
        trials: All that was tried.
        notes: For the report, a sentence each.
    """

    profile: StreamingProfile
    trials: tuple[Trial, ...]
    notes: tuple[str, ...]


class Stage:
    """A model and recordings, to be played under many rules."""

    def __init__(
        self,
        backend: MeteredBackend,
        recordings: Sequence[Recording],
        speech_probs: Mapping[str, FloatArray],
    ) -> None:
        self.backend = backend
        self._recordings = recordings
        self._speech_probs = speech_probs

    @property
    def profile(self) -> StreamingProfile:
        return self.backend.info.models[0].profile

    def play(
        self, policy: CommitPolicy, window: WindowRules, tick_s: float, what: str = ""
    ) -> Trial:
        """Stream all recordings on the audio clock."""
        scores, before_s = [], self.backend.cpu_s
        for each in self._recordings:
            config = replace(self._config(each), policy=policy, window=window, min_chunk_s=tick_s)
            played = simulate(self.backend, config, each, self._speech_probs[each.name])
            scores.append(score(each, played.captions, played.text))
        audio_s = sum(each.duration_s for each in self._recordings)
        return Trial(what, tick_s, totals(scores), (self.backend.cpu_s - before_s) / audio_s)

    def word_time_error_s(self) -> float:
        """What is missing at the start of a word that was heard right: truth less the model's time.

        Raises:
            BenchmarkError: If not one word was heard right.
        """
        errors: list[float] = []
        for each in self._recordings:
            config = replace(self._config(each), min_chunk_s=_NO_PARTIALS_S)
            heard = [
                (text, word.start)
                for word in self._committed(config, each)
                for text in normalised_words(word.text)
            ]
            said = [
                (text, word.start) for word in each.words for text in normalised_words(word.text)
            ]
            matches = word_errors([text for text, _ in said], [text for text, _ in heard]).matches
            errors += [said[i][1] - heard[j][1] for i, j in matches]
        if not errors:
            raise BenchmarkError("the model heard no word right, so that nothing can be tuned")
        return median(errors)

    def _committed(self, config: SessionConfig, recording: Recording) -> list[Word]:
        probabilities = self._speech_probs[recording.name]
        return [
            word
            for emission in run_session(self.backend, config, recording.samples, probabilities)
            for event in emission.events
            if isinstance(event, WordsCommitted)
            for word in event.words
        ]

    def _config(self, recording: Recording) -> SessionConfig:
        wishes = Configure(
            "bench", language=recording.language, detect_language=recording.language is None
        )
        return set_up_session(wishes, ServerConfig(), self.backend.info).session


def tune(stage: Stage, ticks: Sequence[float]) -> Tuning:
    """Find the word time offset, the window rules and the policy that suit the model.

    The stage's backend keeps the new word times.

    Raises:
        BenchmarkError: If the model hears nothing of the recordings.
        DecodeError: If the model fails.
    """
    old = stage.profile
    error_s = round(stage.word_time_error_s(), 2)
    stage.backend.time_shift_s = error_s
    agreement = LocalAgreement(old.commit.agreement)

    windows = {old.window: [stage.play(agreement, old.window, t, _say(old.window)) for t in ticks]}
    for trim_s, keep in tracked(_WINDOWS, "window rules"):
        rules = replace(old.window, trim_window_s=trim_s, keep_words=keep)
        if rules not in windows and trim_s < old.window.max_window_s:
            windows[rules] = [stage.play(agreement, rules, t, _say(rules)) for t in ticks]
    window = min(windows, key=lambda rules: _mean(windows[rules], "wer"))
    if _mean(windows[old.window], "wer") - _mean(windows[window], "wer") < WORTHWHILE:
        window = old.window

    margins = {}
    for numbers in tracked(_candidates(old.commit), "margins"):
        margins[numbers] = [stage.play(numbers, window, t, _say(numbers)) for t in ticks]
    commit = _soonest(margins, windows[window])
    profile = replace(
        old,
        word_time_offset_s=round(old.word_time_offset_s + error_s, 2),
        window=window,
        policy="local_agreement" if commit is None else "edge_commit",
        commit=commit or old.commit,
    )
    trials = [trial for tried in (*windows.values(), *margins.values()) for trial in tried]
    notes = (
        f"Word times of the model are {error_s:+.2f} s off its profile.",
        f"Of {len(trials)} trials the best: {_say(window)}; "
        + ("agreement alone" if commit is None else _say(commit))
        + ". With so few words half a point of error rate is chance: listen to the result.",
    )
    return Tuning(profile, tuple(trials), notes)


def _candidates(old: EdgeCommit) -> tuple[EdgeCommit, ...]:
    grid = (
        EdgeCommit(old.agreement, 0.0, sure_s, sure, certain_s, certain)
        for (sure_s, sure), (certain_s, certain) in product(_SURE, _CERTAIN)
    )
    return tuple(dict.fromkeys((old, EdgeCommit(old.agreement), *grid)))


def _soonest(
    margins: Mapping[EdgeCommit, Sequence[Trial]], agreement: Sequence[Trial]
) -> EdgeCommit | None:
    """The numbers with the soonest words among those that cost little; None if agreement wins."""
    bound = _mean(agreement, "wer") + ALLOWED_COST
    cheap = [numbers for numbers, trials in margins.items() if _mean(trials, "wer") <= bound]

    def lateness(trials: Sequence[Trial]) -> float:
        return fmean(trial.lateness_s for trial in trials)

    best = min(cheap, key=lambda numbers: lateness(margins[numbers]), default=None)
    return best if best is not None and lateness(margins[best]) < lateness(agreement) else None


def _mean(trials: Sequence[Trial], name: str) -> float:
    return fmean(trial.number(name) for trial in trials)


def _say(what: WindowRules | EdgeCommit) -> str:
    match what:
        case WindowRules():
            return f"windows trimmed past {what.trim_window_s:g} s to {what.keep_words} words"
        case EdgeCommit():
            certain = (
                "none"
                if what.certain_margin_s is None
                else f"{what.certain_probability:g} before {what.certain_margin_s:g} s"
            )
            return (
                f"agreed before {what.agreed_margin_s:g} s, sure {what.sure_probability:g} before "
                f"{what.sure_margin_s:g} s, certain {certain}"
            )
