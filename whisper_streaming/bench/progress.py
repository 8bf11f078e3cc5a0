"""The progress bar of a measurement, on standard error, so that the table can be piped."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn

Item = TypeVar("Item")
Advance = Callable[[float], None]


@contextmanager
def progress_bar(description: str, total: float) -> Iterator[Advance]:
    """Show how far a measurement is; call what is given with how much was done since."""
    columns = (
        *Progress.get_default_columns()[:-1],
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    console = Console(stderr=True)
    # In a log or a pipe there is nothing to move, and Rich would leave empty lines.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.advance(task, done)


def announce(text: str) -> None:
    """Tell a first result of a measurement that takes long, on standard error."""
    Console(stderr=True).print(text, highlight=False, soft_wrap=True)


def tracked(items: Sequence[Item], description: str) -> Iterable[Item]:
    """``items``, with a bar that moves by one after each."""
    with progress_bar(description, len(items)) as advance:
        for item in items:
            yield item
            advance(1)
