"""Numbers of one session."""

import math
import tracemalloc

from tests.fakes import FakeClock
from whisper_streaming.core.events import PartialUpdated, WordsCommitted
from whisper_streaming.core.hypothesis import Hypothesis, Word
from whisper_streaming.live.session_stats import (
    RECENT_S,
    LatencyStats,
    RecentLatencies,
    SessionStats,
    percentile,
)


def committed(*ends: float) -> WordsCommitted:
    return WordsCommitted(1, tuple(Word(" w", end - 0.1, end) for end in ends))


def test_commit_latency_counts_from_the_arrival_of_the_last_sample_of_a_word() -> None:
    stats = SessionStats()
    for second in range(1, 4):
        stats.receive(16_000, now=float(second))
    stats.observe([committed(0.5, 1.5)], now=3.5)
    stats.observe([PartialUpdated(1, ()), committed(3.0)], now=4.0)

    assert stats.commits == 3
    # Arrivals at 1, 2 and 3 s: latencies 2.5, 1.5 and 1.0 s.
    assert "commit_latency_p50=1.5s" in stats.summary(speech_s=0.0)


def test_a_word_that_ends_after_the_audio_counts_from_the_last_arrival() -> None:
    stats = SessionStats()
    stats.receive(16_000, now=1.0)
    stats.observe([committed(1.2)], now=3.0)

    assert "commit_latency_p50=2.0s" in stats.summary(speech_s=0.0)


def test_a_flood_of_tiny_messages_leaves_no_entry_for_each() -> None:
    stats = SessionStats()
    tracemalloc.start()
    try:
        for number in range(100_000):
            stats.receive(1, now=number * 1e-5)  # one second of them
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    stats.observe([committed(100_000 / 16_000)], now=2.0)

    assert kept_bytes < 50_000  # each entry of its own would make it 10 MB
    assert "commit_latency_p50=1.0s" in stats.summary(speech_s=0.0)


def test_an_endless_quiet_session_keeps_little() -> None:
    stats = SessionStats()
    tracemalloc.start()
    try:
        for number in range(200_000):
            stats.receive(1600, now=number * 0.1)
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept_bytes < 1_300_000  # 16 bytes for each of 65536 arrivals, and some room
    # What is forgotten counts from the oldest arrival that is not, the rest from its own.
    now = 200_000 * 0.1
    stats.observe([committed(1.0)], now)
    stats.observe([committed(now)], now)
    assert "commit_latency_p50=0.1s" in stats.summary(speech_s=0.0)


def test_the_summary_is_one_line_of_numbers() -> None:
    stats = SessionStats()
    stats.receive(160_000, now=0.0)
    stats.decode(Hypothesis((), "en", decode_s=1.5), lag_s=0.5)
    stats.decode(Hypothesis((), "en", decode_s=0.5), lag_s=0.9)
    stats.fail()

    assert stats.summary(speech_s=8.0) == (
        "audio=10.0s speech=8.0s rtf=0.20 decodes=2 failures=1 commits=0 "
        "lag_p95=0.9s commit_latency_p50=none"
    )


def test_nothing_has_no_real_time_factor() -> None:
    assert "rtf=0.00" in SessionStats().summary(speech_s=0.0)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([3.0, 1.0, 2.0, 4.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0, 4.0], 95) == 4.0
    assert percentile([3.0], 0) == 3.0
    assert math.isnan(percentile([], 50))


def test_sessions_share_the_latencies_of_their_newest_words() -> None:
    clock = FakeClock(100.0)
    shared = RecentLatencies(clock)
    sessions = [SessionStats(shared), SessionStats(shared)]
    for session in sessions:
        session.receive(16_000, now=1.0)
    sessions[0].observe([committed(0.5, 1.0)], now=1.5)
    clock.advance(RECENT_S)
    sessions[1].observe([committed(0.5)], now=3.0)

    assert shared.stats() == LatencyStats(words=3, p50_s=0.5, p95_s=2.0)
    clock.advance(0.1)
    assert shared.stats() == LatencyStats(words=1, p50_s=2.0, p95_s=2.0)
    clock.advance(RECENT_S)
    assert shared.stats() == LatencyStats(words=0, p50_s=None, p95_s=None)


def test_a_word_without_audio_has_no_latency_to_share() -> None:
    shared = RecentLatencies(FakeClock())
    SessionStats(shared).observe([committed(0.5)], now=1.0)

    assert shared.stats().words == 0
