"""How many of the cores one window is decoded on: found by trying, not by a constant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_OTHER_LATENCY_S: Final = 0.3
"""What a final word waits for apart from decodes: about the update interval."""
_DECODES_PER_WORD: Final = 2  # two hypotheses must agree


@dataclass(frozen=True, slots=True)
class WindowTimes:
    """Seconds that one window takes.

    Attributes:
        alone_s: While nothing else is decoded.
        together_s: While each worker decodes one.
    """

    alone_s: float
    together_s: float

    def worth(self, workers: int) -> float:
        """Throughput by latency: twice the windows are worth as much as words in half the time."""
        latency_s = _OTHER_LATENCY_S + _DECODES_PER_WORD * self.alone_s
        return workers / self.together_s / latency_s


def choose_threads(cores: int, measure: Callable[[int], WindowTimes]) -> int:
    """Threads per worker, so that ``cores // threads`` workers serve sessions best.

    Small models do not fill two threads, so a worker per core decodes almost twice as many windows;
    large ones decode a window sooner on several threads. Doubles the threads while it pays.

    Args:
        cores: Threads of all workers together.
        measure: Called with a number of threads; it loads the model with so many.
    """
    best, worth = 1, measure(1).worth(cores)
    for threads in _doubled(cores):
        next_worth = measure(threads).worth(cores // threads)
        if next_worth <= worth:
            break
        best, worth = threads, next_worth
    return best


def _doubled(cores: int) -> list[int]:
    """2, 4, 8 ... and at last all cores."""
    powers = [2**exponent for exponent in range(1, cores.bit_length()) if 2**exponent < cores]
    return [*powers, cores] if cores > 1 else []
