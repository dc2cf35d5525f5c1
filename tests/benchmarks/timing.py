"""Ratios of times, taken in turns."""

import statistics
import time
from collections.abc import Callable, Mapping

from tests.benchmarks.rows import Row


def compare(
    ways: Mapping[str, Callable[[], object]], base: str, rounds: int = 9, warm_up: int = 2
) -> list[Row]:
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
            taken[name].append(seconds(way))
    return summarised({name: all_[warm_up:] for name, all_ in taken.items()}, base)


def seconds(run: Callable[[], object]) -> float:
    """What one call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def summarised(taken: Mapping[str, list[float]], base: str) -> list[Row]:
    """Medians in ms, and quartiles of the ratios, of times in s that were taken in turns."""
    rows = []
    for name, times in taken.items():
        ratios = [one / other for one, other in zip(times, taken[base], strict=True)]
        quarter, middle, three_quarters = statistics.quantiles(ratios, n=4, method="inclusive")
        median = 1000 * statistics.median(times)
        rows.append(Row(name, median, "ms", middle, quarter, three_quarters))
    return rows
