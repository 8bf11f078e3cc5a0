"""Tells voices apart as they are heard: embeddings in, stable numbers of speakers out. No I/O.

An online clustering with three safeguards. A voice is new only if enough speech is unlike all known
ones; who spoke before goes on unless another voice fits clearly better; and what was labelled a
short while ago is judged again when more is known, which gives explicit corrections.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from whisper_streaming.core.audio import FloatArray

_MAX_WEIGHT_S: Final = 60.0
"""Speech that makes up a voice; older speech fades, because a voice changes with its distance."""

_STEP: Final = 4
"""Words that are learnt together."""

_FAMILIAR_S: Final = 4.0
"""Speech after which the centre of a voice hardly moves any more."""

_FULL_STRETCH_S: Final = 1.6
"""From here on more speech makes an embedding hardly surer."""

_ANY_SIMILARITY: Final = 2.0  # from one end of the cosine to the other

_SHORTEST_WORD_S: Final = 0.1
_LONGEST_WORD_S: Final = 1.0

MAX_STRETCHES: Final = 200
"""Stretches that are judged again at the most, whatever the look-back: bounds work and memory."""


@dataclass(frozen=True, slots=True)
class VoiceRules:
    """When a voice is another one. Similarities are cosines, a matter of the embedding.

    Attributes:
        new_below: Speech that is less similar than this to every known voice is a new one.
        same_above: Two voices that are more similar than this are one.
        switch_cost: By how much another voice must fit better, within a run of words.
        pause_switch_cost: The same after a pause.
        doubt: By how much less similar speech may be to a voice that was hardly heard, and by how
            much if it is short: one stretch varies more than the centre of many.
        min_new_s: Less speech founds no new voice, except the first one.
        min_speakers: While fewer are known, a new one is believed more easily.
        eagerness: By how much more easily.
        max_speakers: With so many known, none is new.
        look_back_s: Older labels are never corrected.
    """

    new_below: float = 0.5
    same_above: float = 0.8
    switch_cost: float = 0.12
    pause_switch_cost: float = 0.03
    doubt: float = 0.15
    min_new_s: float = 0.8
    min_speakers: int = 1
    eagerness: float = 0.15
    max_speakers: int = 8
    look_back_s: float = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """What was heard around one word.

    Attributes:
        start: Of the word, in seconds on the session's audio clock.
        end: Of the word.
        embedding: float32, shape (size,), of length 1.
        speech_s: How much speech the embedding is made of.
        follows_pause: Nobody spoke for a moment before the word.
    """

    start: float
    end: float
    embedding: FloatArray
    speech_s: float
    follows_pause: bool


@dataclass(frozen=True, slots=True)
class Correction:
    """The words from ``start`` to ``end`` were spoken by ``speaker`` and not by who was named."""

    start: float
    end: float
    speaker: int


@dataclass(slots=True, eq=False)
class _Voice:
    """A known voice: the sum of what was heard of it, weighted by seconds."""

    number: int
    total: FloatArray
    weight_s: float

    def learn(self, stretch: Stretch) -> None:
        # The word's own length: stretches of neighbours are largely the same speech.
        word_s = min(max(stretch.end - stretch.start, _SHORTEST_WORD_S), _LONGEST_WORD_S)
        self.total = self.total + stretch.embedding * word_s
        self.weight_s += word_s
        if self.weight_s > _MAX_WEIGHT_S:
            self.total = self.total * (_MAX_WEIGHT_S / self.weight_s)
            self.weight_s = _MAX_WEIGHT_S

    def allowance(self, rules: VoiceRules) -> float:
        """By how much less similar speech may be and still be of this voice.

        A sound that would have founded no voice excludes nobody.
        """
        if self.weight_s < rules.min_new_s:
            return _ANY_SIMILARITY
        return rules.doubt * max(0.0, 1.0 - self.weight_s / _FAMILIAR_S)

    @property
    def centre(self) -> FloatArray:
        return _unit(self.total)


class Voices:
    """The voices of one session, numbered from 0 in the order in which they were first heard.

    A number is never given to another voice. Keeps ``rules.max_speakers`` voices and the stretches
    of the last ``rules.look_back_s``.

    Args:
        rules: When a voice is another one.
        max_stretches: Stretches that are kept at the most; None keeps all.
    """

    def __init__(self, rules: VoiceRules, *, max_stretches: int | None = MAX_STRETCHES) -> None:
        self._rules = rules
        self._voices: list[_Voice] = []
        self._heard: deque[tuple[Stretch, int]] = deque(maxlen=max_stretches)
        self._next_number = 0

    @property
    def current(self) -> int | None:
        """Who spoke last; None if nobody did."""
        return self._heard[-1][1] if self._heard else None

    @property
    def count(self) -> int:
        """How many voices are known."""
        return len(self._voices)

    def heard_times(self) -> list[tuple[float, float]]:
        """Start and end of each word that can still be corrected, in order."""
        return [(stretch.start, stretch.end) for stretch, _ in self._heard]

    def hear(self, stretches: Sequence[Stretch]) -> list[int]:
        """Who speaks in each of the next stretches, which follow all that were heard before."""
        if not stretches:
            return []
        before = self.current
        # A few at a time, so that a voice is familiar before it is compared with much.
        for begin in range(0, len(stretches), _STEP):
            some = stretches[begin : begin + _STEP]
            self._meet(some)
            for stretch, voice in zip(some, self._follow(some, before), strict=True):
                voice.learn(stretch)
        path = self._follow(stretches, before)
        self._heard += [
            (stretch, voice.number) for stretch, voice in zip(stretches, path, strict=True)
        ]
        self._forget(stretches[-1].end)
        return [voice.number for voice in path]

    def reconsider(self) -> list[Correction]:
        """What was wrongly labelled within the look-back, by what is known now."""
        self._merge()
        if not self._heard:
            return []
        stretches = [stretch for stretch, _ in self._heard]
        path = self._follow(stretches, None)
        corrections: list[Correction] = []
        for index, ((stretch, old), voice) in enumerate(zip(self._heard, path, strict=True)):
            if voice.number != old:
                self._heard[index] = (stretch, voice.number)
                corrections.append(Correction(stretch.start, stretch.end, voice.number))
        return corrections

    def _meet(self, stretches: Sequence[Stretch]) -> None:
        """Found the voices that are new in ``stretches``."""
        if not self._voices:
            longest = max(stretches, key=lambda stretch: stretch.speech_s)
            self._found(self._alike(stretches, longest))
        while len(self._voices) < self._rules.max_speakers:
            strangers = self._strangers(stretches)
            if not strangers:
                return
            self._found(strangers)

    def _strangers(self, stretches: Sequence[Stretch]) -> list[Stretch]:
        """Those that are unlike all known voices and like the strangest of them."""
        rules = self._rules
        below = rules.new_below
        if len(self._voices) < rules.min_speakers:
            below += rules.eagerness
        long = [each for each in stretches if each.speech_s >= rules.min_new_s]
        if not long:
            return []
        allowances = np.array([voice.allowance(rules) for voice in self._voices])
        # A short stretch varies more, too.
        brevity = np.array([max(0.0, 1.0 - each.speech_s / _FULL_STRETCH_S) for each in long])
        known = (self._similarities(long) + allowances).max(axis=1) + brevity * rules.doubt
        strangers = [each for each, best in zip(long, known, strict=True) if best < below]
        return self._alike(strangers, long[int(known.argmin())]) if strangers else []

    def _alike(self, stretches: Sequence[Stretch], one: Stretch) -> list[Stretch]:
        """Those that are of the same voice as ``one``, itself included."""
        limit = self._rules.new_below - self._rules.doubt
        return [each for each in stretches if each.embedding @ one.embedding >= limit]

    def _found(self, stretches: Sequence[Stretch]) -> None:
        weight_s = max(each.speech_s for each in stretches)
        centre = _unit(np.stack([each.embedding for each in stretches]).sum(axis=0))
        self._voices.append(_Voice(self._next_number, centre * weight_s, weight_s))
        self._next_number += 1

    def _follow(self, stretches: Sequence[Stretch], before: int | None) -> list[_Voice]:
        """The best path through the voices, where a change has its price (Viterbi)."""
        rules = self._rules
        similarities = self._similarities(stretches)
        scores = np.zeros(len(self._voices))
        if before is not None:
            scores -= [0.0 if voice.number == before else 1.0 for voice in self._voices]
            # Only this once: its price is that of the first stretch's change.
            scores *= rules.pause_switch_cost if stretches[0].follows_pause else rules.switch_cost
        came_from: list[FloatArray] = []
        for index, stretch in enumerate(stretches):
            if index:
                cost = rules.pause_switch_cost if stretch.follows_pause else rules.switch_cost
                leader = int(scores.argmax())
                changes = scores[leader] - cost > scores
                came_from.append(np.where(changes, leader, np.arange(len(scores))))
                scores = np.where(changes, scores[leader] - cost, scores)
            scores = scores + similarities[index]
        path = [int(scores.argmax())]
        for step in reversed(came_from):
            path.append(int(step[path[-1]]))
        return [self._voices[index] for index in reversed(path)]

    def _similarities(self, stretches: Sequence[Stretch]) -> FloatArray:
        """float32, shape (stretches, voices)."""
        embeddings = np.stack([each.embedding for each in stretches])
        return np.asarray(embeddings @ np.stack([each.centre for each in self._voices]).T)

    def _merge(self) -> None:
        """Let the younger of two voices that turned out to be one go; its words follow later."""
        while len(self._voices) > max(1, self._rules.min_speakers):
            centres = np.stack([voice.centre for voice in self._voices])
            alike = np.tril(centres @ centres.T, -1)
            younger, older = np.unravel_index(int(alike.argmax()), alike.shape)
            if alike[younger, older] <= self._rules.same_above:
                return
            gone, kept = self._voices.pop(int(younger)), self._voices[int(older)]
            kept.total = kept.total + gone.total
            kept.weight_s += gone.weight_s

    def _forget(self, now: float) -> None:
        while self._heard and self._heard[0][0].end < now - self._rules.look_back_s:
            self._heard.popleft()


def speaker_label(number: int) -> str:
    """``"SPEAKER_00"`` of 0, as pyannote and WhisperLive write it."""
    return f"SPEAKER_{number:02d}"


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)
