"""In which language a session is decoded, while that has to be found out."""

from dataclasses import dataclass
from typing import Final

from whisper_streaming.core.events import LanguageDetected
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis

# So many times as long as a certain language is waited for, then words are shown all the same.
_PATIENCE: Final = 3
# A language that goes on, at this probability, is believed at once.
_SURE: Final = 0.9


@dataclass(frozen=True, slots=True)
class LanguageRules:
    """When a detected language is believed.

    Attributes:
        min_speech_s: Audio heard before a detected language is kept.
        min_probability: Certainty needed to keep it.
        is_per_utterance: It is kept until the utterance ends; else for the session.
    """

    min_speech_s: float = 2.0
    min_probability: float = 0.5
    is_per_utterance: bool = False


@dataclass(frozen=True, slots=True)
class _Impression:
    """What the newest window of an utterance sounded like."""

    language: str
    probability: float
    window_s: float
    is_certain: bool


class LanguageChoice:
    """What is known of a session's language.

    Words may become final once the language of their utterance is fixed, or when the utterance
    ends. The first window of speech says little: a second of Turkish may pass for English. So a
    language is kept when enough was heard of it, in one utterance or in several. It is told with
    the first words, all the same: they are decoded in it.

    Args:
        given: The language that was asked for; None detects it.
        rules: When a detected one is believed.
    """

    def __init__(self, given: str | None, rules: LanguageRules) -> None:
        self._rules = rules
        self._fixed = given  # for this utterance at least
        self._is_kept = given is not None
        self._newest: _Impression | None = None  # of this utterance
        self._heard_s: dict[str, float] = {}  # of each language, in the utterances before
        self._spoken: str | None = None  # in the utterance before
        self._told: str | None = None

    @property
    def fixed(self) -> str | None:
        """The language of the next window; None if the decoder has to detect it."""
        return self._fixed

    @property
    def may_change(self) -> bool:
        """Whether the next utterance may be in another language, however much was heard."""
        return self._rules.is_per_utterance and not self._is_kept

    def follows_another(self, hypothesis: Hypothesis) -> bool:
        """Whether the utterance before was in another language, and so is no context."""
        return self._spoken not in (None, hypothesis.language)

    def hear(self, request: DecodeRequest, hypothesis: Hypothesis) -> LanguageDetected | None:
        """Learn from what was heard in a window; what there is to tell, if anything."""
        if self._fixed is not None or not hypothesis.words:
            return None
        rules, language = self._rules, hypothesis.language
        probability, window_s = hypothesis.language_probability, request.duration_s
        is_certain = probability >= rules.min_probability
        self._newest = _Impression(language, probability, window_s, is_certain)
        if not is_certain:
            self._fixed = self._fallback(request, language)
            return None
        if self._is_enough(self._newest, is_last=request.is_last):
            self._fixed = language
            self._is_kept = not rules.is_per_utterance
        elif not request.is_last:
            return None
        if language == self._told:
            return None
        self._told = language
        return LanguageDetected(language, probability)

    def end_utterance(self) -> None:
        """What follows may be in another language, unless it is kept."""
        newest, self._newest = self._newest, None
        if self._is_kept or newest is None:
            return
        self._spoken = self._fixed or newest.language
        self._fixed = None
        if newest.is_certain:
            self._heard_s[newest.language] = self._total_s(newest)

    def _is_enough(self, newest: _Impression, *, is_last: bool) -> bool:
        """Whether a certain impression is to be kept."""
        if newest.window_s >= self._rules.min_speech_s:
            return True
        if self._rules.is_per_utterance:
            goes_on = newest.language == self._told and newest.probability >= _SURE
            return is_last or goes_on
        # Utterances add up when they are over: the beginning of one is the least certain.
        total_s = self._total_s(newest)
        is_most = total_s >= max(self._heard_s.values(), default=0.0)
        return is_last and is_most and total_s >= self._rules.min_speech_s

    def _total_s(self, newest: _Impression) -> float:
        """Seconds of its language, with those of the utterances before."""
        return newest.window_s + self._heard_s.get(newest.language, 0.0)

    def _fallback(self, request: DecodeRequest, language: str) -> str | None:
        """The language of an utterance that leaves it open, if it has to be decided now."""
        if request.is_last:
            return self._told  # somebody who said a word or two mostly goes on in the same one
        is_long = request.duration_s >= _PATIENCE * self._rules.min_speech_s
        return language if is_long else None
