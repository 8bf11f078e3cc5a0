"""Silero as a stream: equal to the offline network, whatever the pieces."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from faster_whisper.vad import get_vad_model
from hypothesis import given, settings
from hypothesis import strategies as st

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray
from whisper_streaming.errors import ConfigurationError
from whisper_streaming.vad.base import FRAME_SAMPLES
from whisper_streaming.vad.silero import SETTLE_FRAMES, SileroVad
from whisper_streaming.vad.silero_network import MAX_FRAMES_PER_RUN, SileroNetwork

ALWAYS = SileroVad(skips_silence=False)
SKIPPING = SileroVad()


def recording(name: str, start_s: float, end_s: float) -> FloatArray:
    samples, rate = soundfile.read(f"tests/data/{name}.flac", dtype="float32")
    assert rate == SAMPLE_RATE
    return np.asarray(samples[round(start_s * rate) : round(end_s * rate)])


def offline(samples: FloatArray) -> FloatArray:
    """faster-whisper's own probabilities; it zeroes the end of what it is given."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].copy()
    return np.asarray(get_vad_model()(frames))


def streamed(vad: SileroVad, samples: FloatArray, cuts: list[int]) -> FloatArray:
    stream = vad.open_stream()
    return np.concatenate([stream.process(piece) for piece in np.split(samples, sorted(cuts))])


SPEECH = recording("en-noisy-15db", 0, 4)
PAUSES = recording("en-long-pauses", 0, 12)


@pytest.mark.parametrize("name", ["en-noisy-15db", "en-2-rms", "human-jfk"])
def test_equals_the_offline_network(name: str) -> None:
    samples = recording(name, 0, 11)

    probabilities = ALWAYS.open_stream().process(samples)

    assert probabilities.max() > 0.9
    assert probabilities.min() < 0.1
    # The last frame is left out: the offline network zeroes its last samples.
    np.testing.assert_allclose(probabilities[:-1], offline(samples)[:-1], atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, len(SPEECH)), max_size=30))
def test_any_split_gives_the_same_probabilities(cuts: list[int]) -> None:
    np.testing.assert_allclose(
        streamed(ALWAYS, SPEECH, cuts), streamed(ALWAYS, SPEECH, []), atol=1e-5
    )


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, len(PAUSES)), max_size=30))
def test_any_split_gives_the_same_probabilities_around_skipped_silence(cuts: list[int]) -> None:
    whole = streamed(SKIPPING, PAUSES, [])

    assert (whole == 0).sum() > 50
    np.testing.assert_allclose(streamed(SKIPPING, PAUSES, cuts), whole, atol=1e-5)


def test_streams_do_not_share_state() -> None:
    other = ALWAYS.open_stream()
    stream = ALWAYS.open_stream()
    parts = []
    for piece in np.split(SPEECH, 8):
        parts.append(stream.process(piece))
        other.process(PAUSES[: len(piece)])

    np.testing.assert_allclose(np.concatenate(parts), streamed(ALWAYS, SPEECH, []), atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_streams_that_are_judged_together_hear_what_each_hears_alone(seed: int) -> None:
    """Seven streams, in any pieces, in any company; one of them is no audio at all."""
    random = np.random.default_rng(seed)
    noise = (1e4 * random.standard_normal(len(SPEECH))).astype(np.float32)
    noise[::1000] = np.nan
    sounds = [SPEECH, PAUSES[: len(SPEECH)], np.zeros_like(SPEECH)] * 2 + [noise]
    streams = [SKIPPING.open_stream() for _ in sounds]
    positions = np.zeros(len(sounds), dtype=np.int64)
    heard: list[list[FloatArray]] = [[] for _ in streams]
    largest_run = 0
    while (positions < len(SPEECH)).any():
        sizes = random.choice([0, 1, 511, 1600, 5000, 20_000], len(sounds))
        asked = []
        for n, begin in enumerate(positions):
            known = streams[n].push(sounds[n][begin : begin + sizes[n]])
            if known is None:
                asked.append(n)
            else:
                heard[n].append(known)
        positions += sizes
        if asked:
            for n, answer in zip(asked, SKIPPING.judge([streams[n] for n in asked]), strict=True):
                heard[n].append(answer)
        largest_run = max(largest_run, len(asked))

    assert largest_run > 1
    for n, sound in enumerate(sounds[:-1]):
        np.testing.assert_allclose(
            np.concatenate(heard[n]), streamed(SKIPPING, sound, []), atol=1e-5
        )


def test_a_failed_run_changes_no_stream() -> None:
    stream, other = ALWAYS.open_stream(), ALWAYS.open_stream()
    first, second = np.split(SPEECH, 2)
    before = stream.process(first)
    assert stream.push(second) is None
    with pytest.raises(AssertionError):
        ALWAYS.judge([stream, other])  # nothing was pushed into the other

    after = ALWAYS.judge([stream])[0]

    np.testing.assert_allclose(
        np.concatenate((before, after)), streamed(ALWAYS, SPEECH, []), atol=1e-5
    )


def test_a_second_detector_reads_no_weights_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_again(content: bytes) -> None:
        raise AssertionError(f"{len(content)} bytes are read a second time")

    monkeypatch.setattr("whisper_streaming.vad.silero.read_weights", read_again)

    assert len(SileroVad().open_stream().process(np.ones(FRAME_SAMPLES, np.float32))) == 1


def test_refuses_the_weights_of_another_network() -> None:
    with pytest.raises(ConfigurationError, match="forward_basis"):
        SileroNetwork({"encoder.weight": np.zeros((2, 3), dtype=np.float32)})


def test_long_audio_in_one_piece_equals_the_offline_network() -> None:
    samples = recording("en-1-slt", 0, 20)
    assert len(samples) > MAX_FRAMES_PER_RUN * FRAME_SAMPLES

    probabilities = ALWAYS.open_stream().process(samples)

    np.testing.assert_allclose(probabilities[:-1], offline(samples)[:-1], atol=1e-5)


def test_never_writes_into_the_callers_array() -> None:
    samples = SPEECH.copy()
    samples.flags.writeable = False

    SKIPPING.open_stream().process(samples)

    np.testing.assert_array_equal(samples, SPEECH)


def test_keeps_what_does_not_fill_a_frame() -> None:
    stream = ALWAYS.open_stream()

    counts = [len(stream.process(SPEECH[:n])) for n in (0, 511, 1, 100, 1024)]

    assert counts == [0, 0, 1, 0, 2]


def test_digital_silence_is_no_speech_and_costs_no_run() -> None:
    stream = SKIPPING.open_stream()
    silence = np.zeros((SETTLE_FRAMES + 100) * FRAME_SAMPLES, dtype=np.float32)

    probabilities = stream.process(silence)

    assert probabilities[:SETTLE_FRAMES].max() < 0.2
    assert not probabilities[SETTLE_FRAMES:].any()


@pytest.mark.parametrize("silence_s", [1.536, 2.048, 60.032])
def test_after_skipped_silence_the_network_starts_afresh(silence_s: float) -> None:
    before, after = SPEECH[: 60 * FRAME_SAMPLES], SPEECH[60 * FRAME_SAMPLES :]
    silence = np.zeros(round(silence_s * SAMPLE_RATE), dtype=np.float32)
    onset = 60 + len(silence) // FRAME_SAMPLES

    probabilities = SKIPPING.open_stream().process(np.concatenate((before, silence, after)))

    assert probabilities[onset:].max() > 0.9
    fresh = ALWAYS.open_stream().process(after)
    np.testing.assert_allclose(probabilities[onset:], fresh, atol=1e-5)


def test_speech_after_a_minute_of_digital_silence_is_heard_sooner_than_by_the_network_alone() -> (
    None
):
    silence = np.zeros(SAMPLE_RATE * 60, dtype=np.float32)
    samples = np.concatenate((silence, recording("en-1-slt", 1, 3)))
    onset = len(silence) // FRAME_SAMPLES

    skipping = SKIPPING.open_stream().process(samples)[onset:] > 0.5
    alone = ALWAYS.open_stream().process(samples)[onset:] > 0.5

    assert np.argmax(skipping) < np.argmax(alone)
    assert skipping.sum() > alone.sum()


def test_loads_without_a_library_that_runs_models() -> None:
    program = (
        "import sys; from whisper_streaming.vad import create_vad; create_vad('silero'); "
        "print(sorted(sys.modules.keys() & {'faster_whisper', 'onnxruntime', 'ctranslate2'}))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("[]\n", "")
