"""Marks of the iteration at which runs begin to interpolate."""

from collections.abc import Iterable, Sequence
from statistics import median

import xarray as xr
from matplotlib.axes import Axes

from flatness.analysis.seeds import interpolation_iteration


def mark_interpolation(
    panels: Iterable[Axes], runs: Sequence[xr.Dataset], accuracy: float, color: str
) -> None:
    """A dotted vertical at the median over the runs that interpolate, if any does."""
    reached = [interpolation_iteration(run, accuracy) for run in runs]
    known = [iteration for iteration in reached if iteration is not None]
    if known:
        for panel in panels:
            panel.axvline(median(known), color=color, linewidth=0.9, linestyle=":", zorder=1)


def meaning(runs: Sequence[xr.Dataset], accuracy: float) -> str:
    """What the verticals mean and how many runs interpolate, for a caption."""
    reached = sum(interpolation_iteration(run, accuracy) is not None for run in runs)
    return (
        "Dotted verticals: median iteration at which training accuracy reaches "
        f"{100 * accuracy:g}% ({reached} of {len(runs)} runs do)."
    )
