"""One step of a slice."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.benchmarks.rows import Row
from tests.gpu.time_left import Clock


class NotInTimeError(Exception):
    """A step was cut off; it is taken anew when the slice is called again."""


@dataclass(frozen=True)
class Step:
    """What gives some rows of a table.

    Args:
        table: the heading.
        row: the name of its last row, by which it is known that it was taken.
        seconds: that must be left for it to begin.
        take: takes the step, within what the clock leaves.
        again: whether it goes on where it was, and so is taken each time.
    """

    table: str
    row: str
    seconds: float
    take: Callable[[Clock], Iterable[Row]]
    again: bool = False
