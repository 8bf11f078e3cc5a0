import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisper_streaming.core.audio import AudioBuffer, samples_of, seconds


def ramp(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.float32)


def test_keeps_the_clock_position_of_every_sample() -> None:
    buffer = AudioBuffer()
    buffer.append(ramp(0, 10))
    buffer.drop_before(4)
    buffer.append(ramp(10, 5))

    assert (buffer.start_sample, buffer.end_sample) == (4, 15)
    assert buffer.read(6, 12).tolist() == ramp(6, 6).tolist()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(3, 8, id="forgotten start"),
        pytest.param(5, 11, id="end not received"),
        pytest.param(8, 6, id="end before start"),
    ],
)
def test_refuses_to_read_what_it_does_not_hold(start: int, end: int) -> None:
    buffer = AudioBuffer()
    buffer.append(ramp(0, 10))
    buffer.drop_before(4)

    with pytest.raises(IndexError):
        buffer.read(start, end)


def test_a_read_does_not_change_when_more_audio_arrives() -> None:
    buffer = AudioBuffer()
    buffer.append(ramp(0, 10))
    window = buffer.read(0, 10)
    buffer.drop_before(10)
    buffer.append(np.full(40_000, 7.0, dtype=np.float32))

    assert window.tolist() == ramp(0, 10).tolist()


def test_dropping_the_past_or_the_future_is_harmless() -> None:
    buffer = AudioBuffer()
    buffer.append(ramp(0, 10))
    buffer.drop_before(6)
    buffer.drop_before(2)
    assert buffer.start_sample == 6

    buffer.drop_before(99)
    assert (buffer.start_sample, buffer.end_sample) == (10, 10)


def test_gives_memory_back_after_a_burst() -> None:
    buffer = AudioBuffer()
    buffer.append(np.zeros(samples_of(300), dtype=np.float32))
    buffer.drop_before(buffer.end_sample)
    for _ in range(2000):
        buffer.append(np.zeros(1600, dtype=np.float32))
        buffer.drop_before(buffer.end_sample - 1600)

    assert buffer._storage.nbytes < 4 * samples_of(10)


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000))))
def test_behaves_like_a_plain_list(steps: list[tuple[int, int]]) -> None:
    buffer, everything, start = AudioBuffer(), [], 0
    for count, dropped in steps:
        chunk = ramp(len(everything), count)
        everything.extend(chunk.tolist())
        buffer.append(chunk)
        start = min(start + dropped, len(everything))
        buffer.drop_before(start)

        assert buffer.start_sample == start
        assert buffer.read(start, buffer.end_sample).tolist() == everything[start:]


def test_seconds_and_samples_agree() -> None:
    assert samples_of(1.5) == 24_000
    assert seconds(24_000) == 1.5
