"""What every table of the benchmarks is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A number, and how many times that of the base of its comparison it is.

    Args:
        name: of what was measured.
        value: the median over rounds, if there were several; None if there is none.
        unit: of the value; empty for a pure number; why there is no value.
        ratio: to the base, if there is one: the median over rounds of the ratio in each.
        least, most: quartiles of the ratio, where there were rounds.
    """

    name: str
    value: float | None
    unit: str
    ratio: float | None = None
    least: float | None = None
    most: float | None = None


# By comparison.
Tables = Mapping[str, Sequence[Row]]
