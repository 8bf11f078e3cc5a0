"""Muted, clipped and narrow-band inputs, with noise for a voice; real voices are in tests/model."""

from dataclasses import replace
from typing import Final

import numpy as np
import pytest

from tests.core.builders import FRAME
from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray, samples_of
from whisper_streaming.core.events import InputFault, InputImpaired
from whisper_streaming.core.quality import QualityMonitor, QualityRules
from whisper_streaming.core.session import Session, SessionConfig

RULES: Final = QualityRules()


def voice(duration_s: float, *, below_hz: float = 8000.0, rms: float = 0.05) -> FloatArray:
    """Noise with the crest of a voice, and nothing from ``below_hz`` on."""
    if duration_s == 0:
        return off(0.0)
    noise = np.random.default_rng(0).normal(0, 1, samples_of(duration_s))
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE) >= below_hz] = 0
    noise = np.fft.irfft(spectrum, len(noise))
    return (noise * rms / noise.std()).astype(np.float32)


def off(duration_s: float, value: float = 0.0) -> FloatArray:
    return np.full(samples_of(duration_s), value, dtype=np.float32)


def faults_of(
    *pieces: tuple[FloatArray, bool], chunk_s: float = 0.1, rules: QualityRules = RULES
) -> list[tuple[float, InputFault]]:
    """What is told of ``pieces`` (audio, and whether it is speech), and after how many seconds."""
    audio = np.concatenate([samples for samples, _ in pieces])
    is_speech = np.concatenate([np.full(len(samples), spoken) for samples, spoken in pieces])
    probs = is_speech[: len(audio) // FRAME * FRAME : FRAME].astype(np.float32)
    monitor = QualityMonitor(rules, FRAME)
    step = samples_of(chunk_s)
    told = []
    for start in range(0, len(audio), step):
        end = min(start + step, len(audio))
        found = monitor.receive(audio[start:end], probs[start // FRAME : end // FRAME])
        told += [(end / SAMPLE_RATE, fault) for fault in found]
    return told


@pytest.mark.parametrize("value", [0.0, -1 / 128], ids=["zero", "constant"])
def test_a_line_that_is_never_on_is_muted(value: float) -> None:
    assert faults_of((off(30.0, value), False)) == [(10.0, InputFault.MUTED)]


def test_hiss_of_the_quietest_microphone_is_not_muted() -> None:
    assert faults_of((voice(30.0, rms=1e-4), False)) == []


def test_silence_before_somebody_speaks_is_no_fault() -> None:
    assert faults_of((off(9.9), False), (voice(5.0), True)) == []


def test_a_line_that_was_on_may_be_off_for_longer() -> None:
    said = (voice(2.0), True)

    assert faults_of(said, (off(59.9), False)) == []
    assert faults_of(said, (off(70.0), False)) == [(62.0, InputFault.MUTED)]


@pytest.mark.parametrize("first_s", [0.0, 2.0], ids=["starts silent", "starts with speech"])
def test_who_pushes_to_talk_is_never_told(first_s: float) -> None:
    said = (voice(2.0), True)

    assert faults_of((voice(first_s), True), (off(5.0), False), said, (off(200.0), False)) == []


def test_short_gaps_are_no_switch() -> None:
    said = (voice(2.0), True)

    assert faults_of(said, (off(0.5), False), said, (off(70.0), False)) == [
        (64.5, InputFault.MUTED)
    ]


@pytest.mark.parametrize("gain", [1.0, 0.25], ids=["full scale", "turned down later"])
def test_speech_that_touches_a_ceiling_is_clipped_once(gain: float) -> None:
    clipped = np.clip(voice(12.0, rms=0.5), -1.0, 1.0) * np.float32(gain)

    assert faults_of((clipped, True)) == [(pytest.approx(3.1, abs=0.11), InputFault.CLIPPED)]


@pytest.mark.parametrize("rms", [0.001, 0.05, 0.2])
def test_loud_speech_is_not_clipped(rms: float) -> None:
    assert faults_of((voice(20.0, rms=rms), True)) == []


def test_clipped_noise_is_not_told() -> None:
    assert faults_of((np.clip(voice(20.0, rms=0.5), -1.0, 1.0), False)) == []


def test_clipping_that_begins_later_is_told() -> None:
    good, bad = voice(20.0, rms=0.1), np.clip(voice(20.0, rms=0.6), -1.0, 1.0)

    ((at, fault),) = faults_of((good, True), (bad, True))

    assert fault is InputFault.CLIPPED
    assert 23.0 <= at <= 26.2


def test_a_telephone_is_narrow_band_once() -> None:
    told = faults_of((voice(20.0, below_hz=3600.0), True))

    assert told == [(pytest.approx(5.1, abs=0.11), InputFault.NARROW_BAND)]


def test_sixteen_bits_do_not_hide_a_quiet_telephone() -> None:
    phone = voice(20.0, below_hz=3600.0, rms=10 ** (-40 / 20))
    phone = np.round(phone * 32768).astype(np.float32) / 32768

    assert [fault for _, fault in faults_of((phone, True))] == [InputFault.NARROW_BAND]


def test_a_wide_band_is_no_fault() -> None:
    assert faults_of((voice(20.0), True)) == []
    assert faults_of((voice(20.0, below_hz=6500.0), True)) == []


def test_only_speech_tells_the_band() -> None:
    narrow, wide = voice(20.0, below_hz=3600.0), voice(10.0)

    assert faults_of((narrow, False), (wide, True)) == []


@pytest.mark.parametrize("chunk_s", [0.01, 0.033, 1.0, 60.0])
def test_the_size_of_the_messages_does_not_matter(chunk_s: float) -> None:
    phone = np.clip(voice(20.0, below_hz=3600.0, rms=0.1), -0.1, 0.1)

    told = {fault for _, fault in faults_of((phone, True), chunk_s=chunk_s)}

    assert InputFault.CLIPPED in told


def test_a_detector_that_answers_late_changes_nothing() -> None:
    monitor = QualityMonitor(RULES, FRAME)
    phone = voice(6.0, below_hz=3600.0)
    frames = len(phone) // FRAME

    assert monitor.receive(phone[: samples_of(3.0)], np.zeros(0, dtype=np.float32)) == []
    assert monitor.receive(phone[samples_of(3.0) :], np.ones(frames, dtype=np.float32)) == [
        InputFault.NARROW_BAND
    ]


def test_a_detector_that_only_knows_loud_from_quiet_tells_of_muted_lines_only() -> None:
    rules = replace(RULES, judges_speech=False)
    siren = np.clip(voice(20.0, below_hz=3600.0, rms=0.5), -1.0, 1.0)

    assert faults_of((siren, True), rules=rules) == []
    assert faults_of((off(20.0), False), rules=rules) == [(10.0, InputFault.MUTED)]


def test_no_audio_is_no_fault() -> None:
    assert faults_of((off(0.0), False)) == []


def session_events(config: SessionConfig) -> list[object]:
    session = Session(config)
    for _ in range(200):
        session.receive_audio(off(0.1), np.zeros(0, dtype=np.float32))
    return list(session.events_to_send())


def test_a_session_tells_it_on_its_audio_clock() -> None:
    assert session_events(SessionConfig(quality=RULES)) == [
        InputImpaired(InputFault.MUTED, pytest.approx(10.0))
    ]
    assert session_events(SessionConfig()) == []
