"""How far a measurement is, on one line of a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from flatness.progress.share import heard, listening

# Seconds before the line appears, so that what is quick stays silent.
_DELAY = 2.0
_FORMAT = (
    "{desc}: {percentage:3.0f} %|{bar}| {n:.1f} of {total} in {elapsed}, "
    "{remaining} left, {rate_fmt}"
)


class Line:
    """What `progress` shows.

    Args:
        bar: None to show nothing.
        units: how many units of the bar one measurement has.
    """

    def __init__(self, bar: tqdm | None, units: int):
        self._bar, self._units, self._finished = bar, units, 0

    def move(self, share: float) -> None:
        """Add a share of one measurement that is newly done."""
        self._to(min(self._bar.n + share * self._units, self._finished + self._units))

    def finish(self) -> None:
        """One measurement is done."""
        self._finished += self._units
        if self._bar is not None:
            self._to(self._finished)

    def _to(self, position: float) -> None:
        self._bar.update(position - self._bar.n)


@contextmanager
def progress(
    shown: bool | None, what: str, unit: str, total: int, *, units: int = 1
) -> Iterator[Line]:
    """A line with the share that is done, the time taken, the time left and the rate.

    Where somebody listens already, such as a line around this one, that one alone is moved.

    Args:
        shown: whether it is; None for yes if the standard error is a terminal and it takes more
            than two seconds.
        what: is done.
        unit: what is counted.
        total: how many of these there are.
        units: how many of these one measurement has.
    """
    wanted = sys.stderr.isatty() if shown is None else shown
    if not wanted or heard():
        yield Line(None, units)
        return
    bar = tqdm(
        total=total,
        desc=what,
        unit=unit,
        smoothing=0,
        delay=_DELAY if shown is None else 0,
        bar_format=_FORMAT,
    )
    line = Line(bar, units)
    try:
        with listening(line.move):
            yield line
    finally:
        bar.close()
