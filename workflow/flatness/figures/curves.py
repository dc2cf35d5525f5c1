"""Curves over training: a line for the mean over seeds, a band for their range."""

from collections.abc import Collection, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from flatness.analysis.statistics import band
from flatness.figures.naming import name_line


def looks() -> list[dict]:
    """Colour and line style of each curve, in the order of the style file."""
    return list(matplotlib.rcParams["axes.prop_cycle"])


def draw_seeds(
    panel: Axes, iteration, values: np.ndarray, look: Mapping, runs: Sequence[str] = ()
) -> Line2D:
    """Draw one quantity of runs that differ in their seed.

    The band goes from the smallest to the largest seed. What is not finite is left out of it; the
    mean has a gap where any seed has.

    Args:
        panel: where to draw.
        iteration: (K,).
        values: (seeds, K).
        look: colour and line style of the mean.
        runs: ids of the seeds' runs, which the curves are then named by; see `naming`.

    Returns:
        The mean's line.
    """
    drawn = np.where(np.isfinite(values), values, np.nan)
    if len(drawn) > 1:
        panel.fill_between(iteration, *band(values), color=look["color"], alpha=0.2, lw=0)
    mean = drawn.mean(0)
    if len(runs) > 1:
        name_line(panel, iteration, mean, runs)
    for run, own in zip(runs, drawn, strict=bool(runs)):
        name_line(panel, iteration, own, [run])
    return panel.plot(iteration, mean, **look, **_markers(mean))[0]


def meaning(seeds: Collection[int]) -> str:
    """What lines and bands mean, for a caption.

    Args:
        seeds: how many there are behind each line.
    """
    if not seeds or max(seeds) == 1:
        return "Lines: one seed each."
    counts = " or ".join(f"{count}" for count in sorted(set(seeds)))
    return f"Lines: mean over {counts} seeds; shaded: from the smallest to the largest of these."


def _markers(values: np.ndarray) -> dict:
    """Markers for values with a gap on both sides, which a line does not show."""
    known = np.pad(np.isfinite(values), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    return {"marker": ".", "markevery": alone} if alone.any() else {}
