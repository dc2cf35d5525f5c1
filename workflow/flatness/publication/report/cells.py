"""Tables of a page that can be sorted by their columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from flatness.tables.cells import NOTHING, number


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table.

    Args:
        text: as people read it.
        order: the number that it is sorted by; None for its text.
        link: where it leads to on the page, such as "#fig1"; "" for nowhere.
        look: a class of the page's styles.
        shade: from -1 to 1, the strength of its colour; None for none.
    """

    text: str
    order: float | None = None
    link: str = ""
    look: str = ""
    shade: float | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        name: for people who hear the page.
        head: of the columns.
        rows: cells, or texts.
        ids: of the rows, for links; none if left out.
    """

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    ids: Sequence[str] = ()


def numeric(value: float) -> Cell:
    """A number of three digits; a dash, which is sorted last, where there is none."""
    if pd.isna(value):
        return Cell(NOTHING, look="number")
    return Cell(number(value), order=float(value), look="number")
