"""Correlations of a study as a table that can be sorted."""

from itertools import combinations

import numpy as np
import xarray as xr

from flatness.analysis.correlations import POOLED
from flatness.publication.report.cells import Cell, Table
from flatness.tables.cells import NOTHING
from flatness.tables.correlation_sentences import STATISTICS, TERMS, number


def correlation_table(of_study: xr.Dataset, study: str) -> Table:
    """A row for each pair of final quantities, over all runs of the study.

    Args:
        of_study: `coefficient`, intervals and counts over (group, statistic, quantity,
            other_quantity), as `flatness.analysis.correlations.correlations` gives them.
        study: its name.
    """
    pooled = of_study.sel(group=POOLED)
    coefficients = {
        name: pooled["coefficient"].sel({"statistic": name}).to_numpy() for name in STATISTICS
    }
    pearson = pooled.sel({"statistic": "pearson"})
    ends = [pearson[name].to_numpy() for name in ("low", "high", "settings_low", "settings_high")]
    names, counts = pooled["quantity"].to_numpy(), pooled["n"].to_numpy()
    rows = []
    for one, other in combinations(range(len(names)), 2):
        place = (one, other)
        if all(np.isnan(each[place]) for each in coefficients.values()):
            continue
        low, high, settings_low, settings_high = (each[place] for each in ends)
        rows.append(
            (
                TERMS[names[one]].long_name,
                TERMS[names[other]].long_name,
                *(_coefficient(each[place]) for each in coefficients.values()),
                _interval(low, high),
                _interval(settings_low, settings_high),
                Cell(str(int(counts[place])), order=int(counts[place]), look="number"),
            )
        )
    head = (
        "quantity",
        "and",
        *STATISTICS.values(),
        "Pearson, interval over seeds",
        "Pearson, interval over settings",
        "runs",
    )
    return Table(f"Correlations of {study}", head, rows)


def _coefficient(value: float) -> Cell:
    if np.isnan(value):
        return Cell(NOTHING, look="number")
    return Cell(number(value), order=float(value), look="number", shade=float(value))


def _interval(low: float, high: float) -> str:
    return NOTHING if np.isnan(low) else f"[{number(low)}, {number(high)}]"
