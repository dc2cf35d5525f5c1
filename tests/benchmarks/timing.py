"""Ratios of times, taken in turns."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Compared:
    """How long something takes, and how many times as long as the base of its comparison.

    Args:
        name: of it.
        seconds: median over rounds.
        ratio: median over rounds of its time over that of the base in the same round.
        least, most: quartiles of that ratio.
    """

    name: str
    seconds: float
    ratio: float
    least: float
    most: float


def compare(
    ways: Mapping[str, Callable[[], object]], base: str, rounds: int = 9, warm_up: int = 2
) -> list[Compared]:
    """Time all ways in turns, so that whatever disturbs the machine disturbs all.

    Args:
        ways: what to time, by name.
        base: the way that others are compared with.
        rounds: that are counted.
        warm_up: rounds before.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(warm_up + rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - started)
    return summarised({name: seconds[warm_up:] for name, seconds in taken.items()}, base)


def summarised(taken: Mapping[str, list[float]], base: str) -> list[Compared]:
    """Medians, and quartiles of the ratios, of times that were taken in turns."""
    rows = []
    for name, seconds in taken.items():
        ratios = [one / other for one, other in zip(seconds, taken[base], strict=True)]
        quarter, middle, three_quarters = statistics.quantiles(ratios, n=4, method="inclusive")
        rows.append(Compared(name, statistics.median(seconds), middle, quarter, three_quarters))
    return rows
