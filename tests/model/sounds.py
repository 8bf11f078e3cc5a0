"""Sounds without a word in them, computed: noise, tones, clicks, breath, music.

All are float32, mono, 16 kHz, and the same for the same arguments. ``scaled`` sets the level.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of

Signal = npt.NDArray[np.float64]

_DTMF_HZ: Final = tuple(
    (low, high) for low in (697.0, 770.0, 852.0, 941.0) for high in (1209.0, 1336.0, 1477.0)
)
_CHORDS_HZ: Final = (
    (261.6, 329.6, 392.0),  # C
    (220.0, 261.6, 329.6),  # A minor
    (174.6, 220.0, 261.6),  # F
    (196.0, 246.9, 293.7),  # G
)


def scaled(samples: npt.NDArray[np.floating], dbfs: float) -> FloatArray:
    """``samples`` with a root mean square of ``dbfs``; clipped where that goes beyond full scale.

    Digital silence stays what it is.
    """
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    gain = 10 ** (dbfs / 20) / rms if rms else 0.0
    louder: FloatArray = np.clip(samples * gain, -1.0, 1.0).astype(np.float32)
    return louder


def silence(duration_s: float, seed: int = 0) -> Signal:
    return np.zeros(samples_of(duration_s))


def white_noise(duration_s: float, seed: int = 0) -> Signal:
    return np.random.default_rng(seed).normal(size=samples_of(duration_s))


def pink_noise(duration_s: float, seed: int = 0) -> Signal:
    return _shaped(white_noise(duration_s, seed), lambda hz: 1 / np.sqrt(np.maximum(hz, 20.0)))


def hum(duration_s: float, seed: int = 0) -> Signal:
    """Mains hum: 50 Hz and its overtones."""
    overtones = range(1, 9)
    return sum((_tone(50.0 * n, duration_s) / n for n in overtones), silence(duration_s))


def tones(duration_s: float, seed: int = 0) -> Signal:
    """Steady tones of a second each, with gaps, over the range of a voice and beyond."""
    pitches_hz = 100.0 * 2 ** np.random.default_rng(seed).uniform(0, 5, round(duration_s) + 1)
    return _joined((_fade(_tone(hz, 0.8)) for hz in pitches_hz), 1.0, duration_s)


def sweeps(duration_s: float, seed: int = 0) -> Signal:
    """Sirens: up from 150 to 3,500 Hz and down again, every 4 s."""
    time_s = np.arange(samples_of(duration_s)) / SAMPLE_RATE
    position = np.abs((time_s / 2.0) % 2 - 1)
    hz = 150.0 * (3500.0 / 150.0) ** position
    wave: Signal = np.sin(2 * np.pi * np.cumsum(hz) / SAMPLE_RATE)
    return wave


def dtmf(duration_s: float, seed: int = 0) -> Signal:
    """A telephone that dials: 0.15 s each, five a second."""
    keys = np.random.default_rng(seed).integers(len(_DTMF_HZ), size=round(duration_s * 5) + 1)
    pairs = (_DTMF_HZ[key] for key in keys)
    pulses = (_fade(_tone(low, 0.15) + _tone(high, 0.15)) for low, high in pairs)
    return _joined(pulses, 0.2, duration_s)


def clicks(duration_s: float, seed: int = 0) -> Signal:
    """Key strokes: bursts of 2 to 12 ms at random times, six a second."""
    random = np.random.default_rng(seed)
    track = silence(duration_s)
    for at in np.sort(random.integers(0, len(track), round(6 * duration_s))):
        length = min(int(random.integers(32, 192)), len(track) - at)
        burst = random.normal(size=length) * np.exp(-np.linspace(0, 5, length))
        track[at : at + length] += burst * random.uniform(0.3, 1.0)
    return track


def breath(duration_s: float, seed: int = 0) -> Signal:
    """Somebody breathing into the microphone: noise of 300 to 3,000 Hz, in and out."""
    noise = _shaped(
        white_noise(duration_s, seed),
        lambda hz: np.where((hz > 300) & (hz < 3000), 1 / np.sqrt(np.maximum(hz, 1.0)), 0.01),
    )
    time_s = np.arange(len(noise)) / SAMPLE_RATE
    breaths: Signal = noise * np.clip(np.sin(2 * np.pi * time_s / 1.7), 0.0, 1.0) ** 2
    return breaths


def chords(duration_s: float, seed: int = 0) -> Signal:
    """An organ that changes its chord every two seconds."""
    bars = (_CHORDS_HZ[n % len(_CHORDS_HZ)] for n in range(round(duration_s / 2) + 1))
    sounds = (sum((_note(hz, 2.0) for hz in bar), silence(2.0)) for bar in bars)
    return _joined((_fade(sound) for sound in sounds), 2.0, duration_s)


def arpeggios(duration_s: float, seed: int = 0) -> Signal:
    """A plucked melody over broken chords: seven notes a second."""
    random = np.random.default_rng(seed)
    decay = np.exp(-np.linspace(0, 4, samples_of(0.4)))
    track = silence(duration_s + 0.5)
    for number in range(round(duration_s * 7)):
        at = samples_of(number / 7)
        hz = random.choice(_CHORDS_HZ[number // 14 % len(_CHORDS_HZ)]) * random.choice([1, 2, 4])
        track[at : at + len(decay)] += _note(float(hz), 0.4) * decay
    return track[: samples_of(duration_s)]


def drums(duration_s: float, seed: int = 0) -> Signal:
    """Bass drum, snare and hi-hat at 120 beats a minute."""
    random = np.random.default_rng(seed)
    time_s = np.arange(samples_of(0.2)) / SAMPLE_RATE
    kick = np.sin(2 * np.pi * (50 * time_s + 6 * (1 - np.exp(-25 * time_s)))) * np.exp(-20 * time_s)
    track = silence(duration_s + 0.5)
    for number in range(round(duration_s * 4)):
        at = samples_of(number / 4)
        noise = random.normal(size=len(time_s))
        track[at : at + len(time_s)] += 0.2 * noise * np.exp(-60 * time_s)
        if number % 4 == 0:
            track[at : at + len(time_s)] += kick
        elif number % 4 == 2:
            track[at : at + len(time_s)] += 0.6 * noise * np.exp(-25 * time_s)
    return track[: samples_of(duration_s)]


def band(duration_s: float, seed: int = 0) -> Signal:
    """Drums, chords and a melody together."""
    parts = (drums(duration_s, seed), chords(duration_s, seed), arpeggios(duration_s, seed))
    return sum((scaled(part, -20.0).astype(np.float64) for part in parts), silence(duration_s))


SOUNDS: Final[Mapping[str, Callable[[float, int], Signal]]] = {
    make.__name__: make
    for make in (
        silence,
        white_noise,
        pink_noise,
        hum,
        tones,
        sweeps,
        dtmf,
        clicks,
        breath,
        chords,
        arpeggios,
        drums,
        band,
    )
}


def _tone(hz: float, duration_s: float) -> Signal:
    wave: Signal = np.sin(2 * np.pi * hz * np.arange(samples_of(duration_s)) / SAMPLE_RATE)
    return wave


def _note(hz: float, duration_s: float) -> Signal:
    """A tone with the overtones of an instrument, below half of the sampling rate."""
    overtones = range(1, 7)
    parts = (_tone(n * hz, duration_s) / n**1.5 for n in overtones if n * hz < SAMPLE_RATE / 2)
    return sum(parts, silence(duration_s))


def _fade(samples: Signal, ramp_s: float = 0.01) -> Signal:
    ramp = np.linspace(0, 1, samples_of(ramp_s))
    faded = samples.copy()
    faded[: len(ramp)] *= ramp
    faded[-len(ramp) :] *= ramp[::-1]
    return faded


def _joined(pieces: Iterator[Signal], step_s: float, duration_s: float) -> Signal:
    """``pieces``, one every ``step_s``."""
    track = silence(duration_s)
    for number, piece in enumerate(pieces):
        at = samples_of(number * step_s)
        room = track[at : at + len(piece)]
        room += piece[: len(room)]
    return track


def _shaped(samples: Signal, gain: Callable[[Signal], Signal]) -> Signal:
    """``samples`` with the spectrum ``gain`` of the frequency in hertz."""
    spectrum = np.fft.rfft(samples)
    hz: Signal = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE).astype(np.float64)
    shaped: Signal = np.fft.irfft(spectrum * gain(hz), len(samples))
    return shaped
