"""Whether the input itself is at fault: muted, clipped, or without the upper half of the voice.

A transcript cannot be better than its audio, and a person can often mend the audio at once.
What is judged lies in the stream itself; nobody's words are needed for it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.core.events import InputFault

QUIETEST_LINE: Final = 2.0**-14
"""A line that moves no further (two steps of 16-bit audio) is off: the best microphones hiss."""

_PAUSE_OF_A_SWITCH: Final = samples_of(1.0)
"""A line that was off for so long and came back is switched by somebody who knows it."""
_UNJUDGED: Final = samples_of(4.0)  # kept for a detector that answers late

# A clipped voice touches its ceiling often and never passes it; a loud one has a few peaks.
_CEILING_BAND: Final = 0.95
_LOWEST_CEILING: Final = 0.1

_SPECTRUM_FRAME: Final = 512
_BIN_HZ: Final = SAMPLE_RATE / _SPECTRUM_FRAME


@dataclass(frozen=True, slots=True)
class QualityRules:
    """When an input is at fault.

    Attributes:
        muted_start_s: A line that was never on is muted after so long.
        muted_later_s: The same for a line that was on, if it is not one that somebody switches.
        judges_speech: Whether the detector knows speech from other sound. If it does not, only
            muted lines are noticed: a siren may well be clipped.
        speech_probability: What has it is judged as speech.
        clipped_speech_s: Speech that a judgement on clipping needs.
        clipped_share: Share of its samples at the ceiling that makes speech clipped.
        spectrum_speech_s: Speech that the judgement on the bandwidth needs.
        narrow_db: Power above 5 kHz against that of the voice below 3.4 kHz; less is narrow. The
            recordings of the tests have -6 to -30 dB, an old tape has -52, a telephone that was
            resampled -75 and less (-65 in 16 bits when it is quiet).
    """

    muted_start_s: float = 10.0
    muted_later_s: float = 60.0
    judges_speech: bool = True
    speech_probability: float = 0.5
    clipped_speech_s: float = 3.0
    clipped_share: float = 0.01
    spectrum_speech_s: float = 5.0
    narrow_db: float = -60.0


class QualityMonitor:
    """Listens along with a session and reports each fault of its input once.

    Costs about 15 microseconds per 0.1 s of speech, once the bandwidth is judged, and 5 of silence.
    """

    def __init__(self, rules: QualityRules, frame_samples: int) -> None:
        """Take the rules, and how many samples each speech probability stands for."""
        self._rules = rules
        self._frame_samples = frame_samples
        self._line = _Line(rules)
        self._ceiling = _Ceiling(rules) if rules.judges_speech else None
        self._spectrum = _Spectrum(rules) if rules.judges_speech else None
        self._unjudged: FloatArray = np.zeros(0, dtype=np.float32)

    def receive(self, samples: FloatArray, speech_probs: FloatArray) -> list[InputFault]:
        """Take the next audio; gives the faults that are known now and were not told before.

        Args:
            samples: float32, shape (n,), mono, 16 kHz, in [-1, 1].
            speech_probs: float32, shape (k,): probabilities of the next k frames of the stream.
        """
        faults = [InputFault.MUTED] if self._line.is_muted_after(samples) else []
        if self._ceiling is None and self._spectrum is None:
            return faults
        speech = self._speech(samples, speech_probs)
        if len(speech):
            if self._ceiling is not None and self._ceiling.is_reached_by(speech):
                self._ceiling = None
                faults.append(InputFault.CLIPPED)
            if self._spectrum is not None:
                self._spectrum.add(speech)
                if self._spectrum.is_complete:
                    faults += [InputFault.NARROW_BAND] if self._spectrum.is_narrow else []
                    self._spectrum = None
        return faults

    def _speech(self, samples: FloatArray, speech_probs: FloatArray) -> FloatArray:
        """The judged frames that hold speech, one after the other."""
        frame_samples = self._frame_samples
        waiting = np.concatenate((self._unjudged, samples)) if len(self._unjudged) else samples
        judged = min(len(speech_probs), len(waiting) // frame_samples)
        rest = waiting[judged * frame_samples :]
        self._unjudged = rest[-_UNJUDGED:].copy()
        frames = waiting[: judged * frame_samples].reshape(judged, frame_samples)
        is_speech = speech_probs[:judged] >= self._rules.speech_probability
        return frames[is_speech].reshape(-1)


class _Line:
    """Whether anything comes over the line at all."""

    def __init__(self, rules: QualityRules) -> None:
        self._limits = samples_of(rules.muted_start_s), samples_of(rules.muted_later_s)
        self._off = 0  # samples since the line was last on
        self._was_on = False
        self._is_settled = False  # told, or switched by somebody

    def is_muted_after(self, samples: FloatArray) -> bool:
        """Whether ``samples`` make it certain that the line is muted; true once at most."""
        if self._is_settled or not len(samples):
            return False
        if _moves(samples):
            # Push to talk, or a mute button: silence will come again, and is meant.
            self._is_settled = self._off >= _PAUSE_OF_A_SWITCH
            self._was_on = True
            self._off = 0
            return False
        self._off += len(samples)
        self._is_settled = self._off >= self._limits[self._was_on]
        return self._is_settled


class _Ceiling:
    """Whether speech runs into a level that it never passes."""

    def __init__(self, rules: QualityRules) -> None:
        self._needed = samples_of(rules.clipped_speech_s)
        self._share = rules.clipped_share
        self._level = _LOWEST_CEILING
        self._heard = self._touched = 0

    def is_reached_by(self, speech: FloatArray) -> bool:
        """Whether ``speech`` makes it certain that the input is clipped."""
        peak = max(float(speech.max()), -float(speech.min()))
        if peak * _CEILING_BAND > self._level:
            self._level, self._heard, self._touched = peak, 0, 0  # that was no ceiling
        self._heard += len(speech)
        touching = self._level * _CEILING_BAND
        if peak >= touching:
            self._touched += int(np.count_nonzero(np.abs(speech) >= touching))
        if self._heard < self._needed:
            return False
        is_reached = self._touched >= self._share * self._heard
        self._heard = self._touched = 0
        return is_reached


class _Spectrum:
    """The mean power spectrum of the first speech."""

    def __init__(self, rules: QualityRules) -> None:
        self._needed = samples_of(rules.spectrum_speech_s)
        self._narrow_db = rules.narrow_db
        self._heard = 0
        self._window = np.hanning(_SPECTRUM_FRAME).astype(np.float32)
        self._power: npt.NDArray[np.float64] = np.zeros(_SPECTRUM_FRAME // 2 + 1)

    def add(self, speech: FloatArray) -> None:
        """Take speech; of more than is needed only the beginning."""
        whole = min(len(speech), self._needed - self._heard) // _SPECTRUM_FRAME
        self._heard += min(len(speech), self._needed - self._heard)
        frames = speech[: whole * _SPECTRUM_FRAME].reshape(whole, _SPECTRUM_FRAME)
        bins = np.fft.rfft(frames * self._window, axis=1)
        self._power += np.sum(bins.real**2 + bins.imag**2, axis=0)

    @property
    def is_complete(self) -> bool:
        return self._heard >= self._needed

    @property
    def is_narrow(self) -> bool:
        """Whether there is nothing where a telephone has nothing."""
        voice, above = self._mean(300.0, 3400.0), self._mean(5000.0, 7600.0)
        return above < voice * 10 ** (self._narrow_db / 10)

    def _mean(self, low_hz: float, high_hz: float) -> float:
        return float(self._power[round(low_hz / _BIN_HZ) : round(high_hz / _BIN_HZ)].mean())


def _moves(samples: FloatArray) -> bool:
    """Whether there is anything but a constant."""
    # Two samples tell it for nearly every chunk, at a tenth of the price.
    if abs(float(samples[0]) - float(samples[len(samples) // 2])) > QUIETEST_LINE:
        return True
    return float(samples.max()) - float(samples.min()) > QUIETEST_LINE
