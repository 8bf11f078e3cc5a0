"""How many threads a worker gets, from times as they were measured on two cores."""

import pytest

from whisper_streaming.backends.thread_choice import WindowTimes, choose_threads

EMBEDDED = {1: WindowTimes(0.042, 0.046), 2: WindowTimes(0.076, 0.076)}
SMALL = {1: WindowTimes(1.0, 1.05), 2: WindowTimes(0.675, 0.675)}
TINY_ON_16 = {
    1: WindowTimes(0.16, 0.20),
    2: WindowTimes(0.10, 0.12),
    4: WindowTimes(0.06, 0.08),
    8: WindowTimes(0.05, 0.07),
    16: WindowTimes(0.05, 0.05),
}


@pytest.mark.parametrize(
    ("times", "cores", "threads", "tried"),
    [
        pytest.param(EMBEDDED, 2, 1, [1, 2], id="small models decode more windows on one thread"),
        pytest.param(SMALL, 2, 2, [1, 2], id="large ones decode a window sooner on all"),
        pytest.param(TINY_ON_16, 16, 2, [1, 2, 4], id="doubling ends where it stops to pay"),
        pytest.param({1: WindowTimes(9.0, 9.0)}, 1, 1, [1], id="one core leaves no choice"),
    ],
)
def test_threads_are_doubled_while_it_pays(
    times: dict[int, WindowTimes], cores: int, threads: int, tried: list[int]
) -> None:
    asked: list[int] = []

    def measure(count: int) -> WindowTimes:
        asked.append(count)
        return times[count]

    assert choose_threads(cores, measure) == threads
    assert asked == tried


def test_all_cores_are_tried_though_they_are_no_power_of_two() -> None:
    asked: list[int] = []

    def measure(count: int) -> WindowTimes:
        asked.append(count)
        return WindowTimes(10.0 / count**2, 10.0 / count**2)

    assert choose_threads(6, measure) == 6
    assert asked == [1, 2, 4, 6]


def test_a_window_in_half_the_time_is_worth_more_only_where_words_wait_for_it() -> None:
    slow, fast = WindowTimes(1.0, 1.0), WindowTimes(0.5, 0.5)
    assert fast.worth(1) > slow.worth(2)

    slow, fast = WindowTimes(0.02, 0.02), WindowTimes(0.01, 0.01)
    assert fast.worth(1) < 1.1 * slow.worth(2)
