"""The search for the capacity, with measurements that cost nothing."""

import pytest

from whisper_streaming.bench.search import find_capacity

STEPS = (1, 4, 8, 16, 32)


@pytest.mark.parametrize(
    ("truth", "measured"),
    [
        pytest.param(11, [1, 4, 8, 16, 12, 10, 11], id="between two steps"),
        pytest.param(8, [1, 4, 8, 16, 12, 10, 9], id="a step"),
        pytest.param(3, [1, 4, 2, 3], id="in the first interval"),
        pytest.param(0, [1], id="nothing"),
        pytest.param(50, [1, 4, 8, 16, 32], id="more than is tried"),
    ],
)
def test_the_capacity_is_found_with_few_measurements(truth: int, measured: list[int]) -> None:
    asked: list[int] = []

    def carries(count: int) -> bool:
        asked.append(count)
        return count <= truth

    assert find_capacity(carries, STEPS) == min(truth, STEPS[-1])
    assert asked == measured


def test_a_coarse_search_stops_early_and_below_the_truth() -> None:
    asked: list[int] = []

    def carries(count: int) -> bool:
        asked.append(count)
        return count <= 11

    assert find_capacity(carries, STEPS, resolution=4) == 8
    assert asked == [1, 4, 8, 16, 12]
