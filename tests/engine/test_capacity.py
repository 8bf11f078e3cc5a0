"""From decode times to sessions."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.test_calibration import measured, slow
from tests.fakes import FakeClock
from whisper_streaming.backends.base import ModelShape, StreamingProfile
from whisper_streaming.core.hypothesis import WindowRules
from whisper_streaming.engine.calibration import Calibration
from whisper_streaming.engine.capacity import OVERLOAD_WAIT_S, Capacity, estimate_sessions
from whisper_streaming.engine.live_load import LiveWindow
from whisper_streaming.engine.model_cost import (
    STOCK_MODELS,
    largest_live_model,
    predict_rtf,
    stock_shape,
    window_cost,
)
from whisper_streaming.engine.scheduler_stats import SchedulerStats

ONE_BUCKET = (LiveWindow(5.0, 5.0, 1.0),)
TWO_CORES = 2


def calibration(times: dict[int, float], workers: int = 1) -> Calibration:
    return Calibration("m", ONE_BUCKET, {5.0: times}, workers)


@pytest.mark.parametrize(
    ("times", "workers", "sessions"),
    [
        pytest.param({1: 0.05}, 1, 20, id="one after the other, less the share of the rest"),
        pytest.param({1: 0.05, 2: 0.07, 4: 0.1}, 1, 39, id="batches carry more"),
        pytest.param({1: 0.05, 2: 0.07, 4: 0.1}, 2, 72, id="a second worker, the same cores"),
        pytest.param({1: 0.05, 8: 0.11}, 1, 60, id="a full batch is not counted on"),
        pytest.param({1: 0.3, 4: 1.2}, 1, 3, id="a batch that takes too long is not formed"),
        pytest.param({1: 0.3, 4: 0.6}, 1, 4, id="one that just does not is"),
        pytest.param({1: 0.6}, 1, 1, id="just live"),
        pytest.param({1: 3.0}, 1, 1, id="too slow for one, and one is served"),
    ],
)
def test_sessions_that_fit(times: dict[int, float], workers: int, sessions: int) -> None:
    assert estimate_sessions(calibration(times, workers), 8, TWO_CORES) == sessions


@given(
    st.dictionaries(st.sampled_from([1, 2, 4, 8, 16, 32]), st.floats(1e-6, 1e4), min_size=1).map(
        lambda times: {1: 1.0} | times
    ),
    st.integers(1, 64),
    st.integers(1, 32),
    st.integers(1, 256),
)
def test_one_session_is_carried_always(
    times: dict[int, float], workers: int, max_batch: int, cores: int
) -> None:
    assert estimate_sessions(calibration(times, workers), max_batch, cores) >= 1


@given(st.floats(0.001, 2.0), st.floats(1.0, 10.0))
def test_a_slower_machine_carries_no_more(call_s: float, slower: float) -> None:
    fast, slow_one = calibration({1: call_s}), calibration({1: call_s * slower})

    assert estimate_sessions(slow_one, 8, 2) <= estimate_sessions(fast, 8, 2)


def test_a_backend_is_measured_and_its_sessions_follow() -> None:
    """0.1 s a call, however many windows: six at a time."""
    clock = FakeClock()

    found = measured(slow(clock, per_batch=0.1), clock)

    assert estimate_sessions(found, max_batch=8, cores=TWO_CORES) == 56


# -- while it runs


def capacity(stats: list[SchedulerStats]) -> Capacity:
    return Capacity(calibration({1: 0.1, 4: 0.2}), 8, TWO_CORES, lambda: stats[-1])


def test_nothing_changes_before_there_is_something_to_learn_from() -> None:
    stats = [SchedulerStats()]
    before = capacity(stats).sessions

    stats.append(SchedulerStats(batches=10, requests=10, decode_s=0.1))

    assert capacity(stats).sessions == before == 19


def test_real_decodes_that_are_faster_raise_the_estimate() -> None:
    """Something else had slowed the measurement down."""
    stats = [SchedulerStats()]
    found = capacity(stats)

    stats.append(SchedulerStats(batches=100, requests=100, decode_s=5.0))

    assert found.sessions == estimate_sessions(found.calibration, 8, TWO_CORES, speed=2.0)
    assert found.sessions > 19


def test_slower_ones_do_not_lower_it() -> None:
    stats = [SchedulerStats(batches=100, requests=400, decode_s=100.0)]

    assert capacity(stats).sessions == 19


def test_only_what_happened_since_the_last_correction_counts() -> None:
    stats = [SchedulerStats(batches=100, requests=100, decode_s=5.0)]
    found = capacity(stats)
    assert found.sessions > 19

    stats.append(SchedulerStats(batches=200, requests=200, decode_s=15.0))

    assert found.sessions == 19


def test_a_machine_is_overloaded_while_sessions_wait_for_long() -> None:
    waiting = SchedulerStats(waiting=3, queue_wait_p95_s=OVERLOAD_WAIT_S + 0.1)

    assert capacity([waiting]).is_overloaded
    assert not capacity([replace(waiting, queue_wait_p95_s=OVERLOAD_WAIT_S)]).is_overloaded
    assert not capacity([replace(waiting, waiting=0)]).is_overloaded


# -- other models


VOCABULARY = 51_865
MEASURED_10_S_ON_ONE_CORE = {"tiny": 0.166, "base": 0.376, "small": 1.0}
"""Processor seconds of a partial of ``benchmarks.model_latency`` on one thread."""
MEASURED_RTF = {"demo": 0.09, "tiny": 0.21, "base": 0.45, "small": 1.21}
"""By ``calibrate`` on two cores, the stock ones with random weights."""
MEASURED_ON_ONE_CORE = {"demo": 0.059, "tiny": 0.42, "base": 0.84, "small": 2.55}
"""Processor seconds of the same windows on one thread, on a machine with much else to do; the
embedded model with windows trimmed after 3 s."""
EMBEDDED = ModelShape(80, 256, 4, 3, VOCABULARY)
EMBEDDED_PROFILE = StreamingProfile(
    window_buckets_s=(5.0, 7.0, 10.0, 15.0),
    bucket_pad_s=0.0,
    final_bucket_s=5.0,
    window=WindowRules(max_window_s=14.0, trim_window_s=8.0, keep_words=2),
)


def test_the_cost_of_a_window_follows_the_measured_times_of_the_shapes() -> None:
    per_second = {
        name: window_cost(stock_shape(name, VOCABULARY), 10.0, tokens=20.0) / took_s
        for name, took_s in MEASURED_10_S_ON_ONE_CORE.items()
    }

    middle = sorted(per_second.values())[1]
    assert all(abs(each / middle - 1) < 0.3 for each in per_second.values())


@pytest.mark.parametrize("measured_one", MEASURED_RTF)
@pytest.mark.parametrize("asked", ["tiny", "base", "small"])
def test_a_measured_model_predicts_the_others(measured_one: str, asked: str) -> None:
    """Of the embedded model a window is decoded on one of the two cores."""
    is_embedded = measured_one == "demo"
    predicted = predict_rtf(
        asked,
        EMBEDDED if is_embedded else stock_shape(measured_one, VOCABULARY),
        MEASURED_RTF[measured_one],
        EMBEDDED_PROFILE if is_embedded else StreamingProfile(),
        speedup=2**0.5 if is_embedded else 1.0,
    )

    assert predicted == pytest.approx(MEASURED_RTF[asked], rel=0.3)


@pytest.mark.parametrize("asked", ["tiny", "base", "small"])
def test_a_model_with_short_windows_predicts_those_with_long_ones(asked: str) -> None:
    """Windows of 13 s hold four times the committed words of those of 3 s, a step each."""
    short = replace(
        EMBEDDED_PROFILE,
        window_buckets_s=(3.0, *EMBEDDED_PROFILE.window_buckets_s),
        final_bucket_s=3.0,
        window=replace(EMBEDDED_PROFILE.window, trim_window_s=3.0),
    )

    predicted = predict_rtf(asked, EMBEDDED, MEASURED_ON_ONE_CORE["demo"], short)

    assert predicted == pytest.approx(MEASURED_ON_ONE_CORE[asked], rel=0.3)


def test_stock_models_stand_in_the_order_of_their_cost() -> None:
    costs = [window_cost(stock_shape(name, VOCABULARY), 10.0, 20.0) for name in STOCK_MODELS]

    assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("rtf", "largest"),
    [
        pytest.param(5.0, None, id="none"),
        pytest.param(1.0, "base", id="the measured one"),
        pytest.param(0.27, "base", id="the next would only just keep up"),
        pytest.param(0.24, "small", id="the next"),
        pytest.param(0.01, "large-v3", id="all"),
    ],
)
def test_the_largest_live_model_is_the_last_that_keeps_up(rtf: float, largest: str | None) -> None:
    shape = stock_shape("base", VOCABULARY)

    assert largest_live_model(shape, rtf, StreamingProfile(), threads=2, cores=2) == largest


@given(
    measured_one=st.sampled_from(STOCK_MODELS),
    rtf=st.floats(1.0, 4.0, exclude_min=True),
    trim_s=st.floats(2.0, 25.0),
    threads=st.sampled_from([1, 2, 4, 16]),
    cores=st.sampled_from([1, 2, 4, 16, 64]),
)
def test_no_model_as_large_as_one_that_is_too_slow_is_carried(
    measured_one: str, rtf: float, trim_s: float, threads: int, cores: int
) -> None:
    """However many threads it leaves to others, and however it is streamed."""
    shape = stock_shape(measured_one, VOCABULARY)
    profile = StreamingProfile(window=WindowRules(max_window_s=28.0, trim_window_s=trim_s))
    largest = largest_live_model(shape, rtf, profile, threads=threads, cores=cores)

    smaller = STOCK_MODELS[: STOCK_MODELS.index(measured_one)]
    assert largest is None or largest in smaller


def test_nothing_is_carried_where_even_the_embedded_model_is_too_slow() -> None:
    assert largest_live_model(EMBEDDED, 1.05, EMBEDDED_PROFILE, threads=1, cores=64) is None


def test_a_stock_model_that_keeps_up_is_carried_whatever_is_predicted_of_it() -> None:
    """Streamed with short windows, it may do what the same model with long ones could not."""
    shape = stock_shape("base", VOCABULARY)

    largest = largest_live_model(shape, 0.95, EMBEDDED_PROFILE, threads=2, cores=1)

    assert predict_rtf("base", shape, 0.95, EMBEDDED_PROFILE, speedup=0.5**0.5) > 1.0
    assert largest == "base"


def test_a_larger_model_gets_the_cores_that_a_small_one_leaves_to_other_workers() -> None:
    alone = largest_live_model(EMBEDDED, 0.1, EMBEDDED_PROFILE, threads=1, cores=1)
    together = largest_live_model(EMBEDDED, 0.1, EMBEDDED_PROFILE, threads=1, cores=16)

    assert alone is not None
    assert together is not None
    assert STOCK_MODELS.index(alone) < STOCK_MODELS.index(together)
