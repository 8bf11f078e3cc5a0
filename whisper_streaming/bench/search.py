"""Finding the largest load that is carried, with few measurements."""

from collections.abc import Callable, Sequence


def find_capacity(
    carries: Callable[[int], bool], steps: Sequence[int], *, resolution: int = 1
) -> int:
    """The largest number that was measured and is carried; 0 if not even the first step is.

    Goes up the ``steps`` to the first that is not carried, then halves the interval between it
    and the last that is, until it is no wider than ``resolution``.

    Args:
        carries: Measures one number; never called twice with the same.
        steps: Ascending.
        resolution: At least 1.
    """
    carried, too_many = 0, None
    for count in steps:
        if not carries(count):
            too_many = count
            break
        carried = count
    while too_many is not None and too_many - carried > resolution and carried > 0:
        middle = (carried + too_many) // 2
        if carries(middle):
            carried = middle
        else:
            too_many = middle
    return carried
