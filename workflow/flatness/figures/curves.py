"""Curves over training: a thin line for each seed, a strong one for their mean, a band."""

from collections.abc import Collection, Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from flatness.analysis.seeds import FEWEST_FOR_BAND, mean_and_band


def looks() -> list[dict]:
    """Colour and line style of each curve, in the order of the style file."""
    return list(matplotlib.rcParams["axes.prop_cycle"])


def draw_seeds(
    panel: Axes, iteration, values: np.ndarray, look: Mapping, confidence: float
) -> Line2D:
    """Draw one quantity of runs that differ in their seed.

    What is not finite is a gap; the mean has one where any seed has.

    Args:
        panel: where to draw.
        iteration: (K,).
        values: (seeds, K).
        look: colour and line style of the mean.
        confidence: level of the band, which is drawn from three seeds on.

    Returns:
        The mean's line.
    """
    drawn = np.where(np.isfinite(values), values, np.nan)
    for row in drawn:
        thin = {"color": look["color"], "linestyle": "-", "linewidth": 0.6, "alpha": 0.45}
        panel.plot(iteration, row, **thin, **_markers(row))
    band = mean_and_band(drawn, confidence)
    if band.low is not None:
        panel.fill_between(iteration, band.low, band.high, color=look["color"], alpha=0.15, lw=0)
    return panel.plot(iteration, band.mean, **look, **_markers(band.mean))[0]


def meaning(seeds: Collection[int], confidence: float) -> str:
    """What the lines mean, for a caption.

    Args:
        seeds: how many there are behind each mean.
        confidence: level of the bands.
    """
    band = (
        f", shaded: {100 * confidence:g}% confidence interval of the mean (Student's t)"
        if seeds and min(seeds) >= FEWEST_FOR_BAND
        else f"; no confidence band with fewer than {FEWEST_FOR_BAND} seeds"
    )
    return f"Thin lines: one seed each, strong lines: their mean{band}."


def count_iterations(panel: Axes) -> None:
    """Label the horizontal axis in thousands of iterations."""
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g}"))
    panel.set_xlabel("iteration (thousands)")


def _markers(values: np.ndarray) -> dict:
    """Markers for values with a gap on both sides, which a line does not show."""
    known = np.pad(np.isfinite(values), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    return {"marker": ".", "markevery": alone} if alone.any() else {}
