"""Decode times as they are measured, on a clock of the test's own."""

from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import FakeClock
from whisper_streaming.backends.base import Backend, StreamingProfile
from whisper_streaming.backends.scripted import ScriptedBackend, ScriptedBehaviour
from whisper_streaming.core.hypothesis import DecodeRequest, Hypothesis, WindowRules, Word
from whisper_streaming.engine.calibration import Calibration, Speech, calibrate
from whisper_streaming.engine.live_load import LiveWindow, live_windows

SPEECH = Speech(
    np.random.default_rng(0).normal(0, 0.1, 30 * 16_000).astype(np.float32),
    tuple(Word(f" word{number}", number / 2, number / 2 + 0.4) for number in range(60)),
)
PROFILE = StreamingProfile(
    window_buckets_s=(5.0, 10.0),
    final_bucket_s=5.0,
    bucket_pad_s=0.0,
    prompt_lengths=(0, 16),
    window=WindowRules(max_window_s=10.0, trim_window_s=7.0, keep_words=2),
)


class Recorder(ScriptedBackend):
    """Keeps the batches that it decodes."""

    def __init__(self, behaviour: ScriptedBehaviour | None = None, *, workers: int = 1) -> None:
        super().__init__(behaviour, workers=workers, profile=PROFILE)
        self.batches: list[list[DecodeRequest]] = []

    def decode_batch(self, requests: object) -> list[Hypothesis]:
        assert isinstance(requests, list)
        self.batches.append(requests)
        return super().decode_batch(requests)


def slow(clock: FakeClock, *, per_batch: float = 0.0, per_audio_s: float = 0.0) -> Recorder:
    return Recorder(ScriptedBehaviour(False, per_batch, per_audio_s, sleep=clock.advance))


def measured(backend: Backend, clock: FakeClock, budget_s: float = 1e9) -> Calibration:
    return calibrate(backend, backend.info.models[0], SPEECH, budget_s=budget_s, clock=clock)


# -- what is decoded


def test_a_stream_of_speech_asks_for_all_windows_up_to_the_trimming() -> None:
    assert live_windows(PROFILE) == (LiveWindow(5.0, 5.0, 5 / 8), LiveWindow(10.0, 8.0, 3 / 8))


def test_last_windows_count_where_they_are_padded_further() -> None:
    assert live_windows(replace(PROFILE, final_bucket_s=10.0)) == (
        LiveWindow(5.0, 5.0, pytest.approx(0.8 * 5 / 8)),
        LiveWindow(10.0, 8.0, pytest.approx(0.8 * 3 / 8)),
        LiveWindow(10.0, 5.0, 0.2, is_last=True),
    )


def test_the_shares_of_the_windows_are_all_updates() -> None:
    windows = live_windows(StreamingProfile())

    assert sum(window.share for window in windows) == pytest.approx(1.0)
    assert windows[0].share == max(window.share for window in windows)


def test_windows_are_those_of_the_middle_of_an_utterance() -> None:
    backend = Recorder()

    measured(backend, FakeClock())

    assert {len(batch) for batch in backend.batches} == {1, 2, 4, 8}
    for request in (each for batch in backend.batches for each in batch):
        assert request.duration_s in (5.0, 8.0)
        assert request.start <= request.prefix[0].start
        assert request.prefix[-1].end <= request.end - 1.0
        assert not request.is_last
        assert request.options.language == "en"
    assert len({request.prompt for batch in backend.batches for request in batch}) == 1


def test_no_window_is_decoded_twice() -> None:
    backend = Recorder()

    measured(backend, FakeClock())

    starts = [(r.start_sample, len(r.samples)) for batch in backend.batches for r in batch]
    assert len(starts) > 20
    assert len(set(starts)) == len(starts)


# -- what it takes


def test_the_times_are_those_of_the_backend() -> None:
    clock = FakeClock()

    calibration = measured(slow(clock, per_batch=0.02, per_audio_s=0.004), clock)

    assert calibration.decode_s == {
        5.0: {batch: pytest.approx(0.02 + 0.02 * batch) for batch in (1, 2, 4, 8)},
        10.0: {1: pytest.approx(0.02 + 0.004 * 8)},
    }


def test_the_mean_call_weighs_the_buckets_and_goes_between_and_beyond_the_sizes() -> None:
    calibration = Calibration(
        "m", live_windows(PROFILE), {5.0: {1: 0.1, 2: 0.15, 4: 0.3}, 10.0: {1: 0.2}}, workers=1
    )
    mean = 0.1 * 5 / 8 + 0.2 * 3 / 8

    assert calibration.rtf == pytest.approx(mean)
    assert calibration.call_s(1) == pytest.approx(mean)
    assert calibration.call_s(1.5) == pytest.approx(mean * 1.25)
    assert calibration.call_s(3) == pytest.approx(mean * 2.25)
    assert calibration.call_s(8) == pytest.approx(mean * 6)


def test_what_was_not_measured_is_taken_to_cost_in_proportion() -> None:
    calibration = Calibration("m", live_windows(PROFILE), {5.0: {1: 0.1}}, workers=1)

    assert calibration.call_s(1) == pytest.approx(0.1 * 5 / 8 + 0.2 * 3 / 8)
    assert calibration.call_s(4) == pytest.approx(4 * calibration.call_s(1))


def test_a_call_that_takes_no_time_takes_the_least_there_is() -> None:
    calibration = measured(Recorder(), FakeClock())

    assert set(calibration.decode_s[5.0].values()) == {1e-6}
    assert calibration.rtf > 0


def test_a_slow_model_decodes_one_window_and_no_more() -> None:
    clock = FakeClock()
    backend = slow(clock, per_batch=3.0)

    calibration = measured(backend, clock, budget_s=1.5)

    assert [len(batch) for batch in backend.batches] == [1]
    assert calibration.decode_s == {5.0: {1: 3.0}}
    assert calibration.rtf > 3.0


def test_no_call_begins_that_would_end_after_the_time() -> None:
    clock = FakeClock()
    backend = slow(clock, per_audio_s=0.04)

    measured(backend, clock, budget_s=1.5)

    assert len(backend.batches) > 1
    assert clock() <= 1.5


def test_a_cold_first_call_is_made_again() -> None:
    clock = FakeClock()
    calls: list[float] = []

    def sleep(duration_s: float) -> None:
        calls.append(duration_s)
        clock.advance(1.0 if len(calls) == 1 else 0.1)  # the first one is cold

    calibration = measured(Recorder(ScriptedBehaviour(False, 0.1, sleep=sleep)), clock)

    assert calibration.decode_s[5.0][1] == pytest.approx(0.1)


def test_all_workers_decode_at_the_same_time() -> None:
    backend = Recorder(workers=3)

    calibration = measured(backend, FakeClock())

    sizes = [len(batch) for batch in backend.batches]
    assert sizes[:3] == [1, 1, 1]
    assert len(sizes) % 3 == 0
    assert calibration.workers == 3
