"""Figures D.5 and D.6: pairs of quantities at the end of training, and their correlation."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.stats import pearsonr

from flatness.analysis.seeds import split_excluded
from flatness.figures import STYLE
from flatness.figures.annotation import excluded_runs, headline, lay_out, provenance
from flatness.figures.labels import label, symbol, words
from flatness.figures.points import Setting, by_setting

# With fewer points than this every correlation is perfect; none is given.
FEWEST_FOR_CORRELATION = 3


def pair_grid_figure(
    runs: Sequence[xr.Dataset], *, title: str, quantities: Sequence[str], sample_set: str
) -> Figure:
    """Draw every pair of quantities, one point per run, with Pearson's correlation.

    The diagonal names the quantities; panels above it would repeat those below.

    Args:
        runs: analysed runs of one study.
        title: such as "Figure D.5".
        quantities: names of two or more variables of the runs.
        sample_set: "train" or "test", where quantities that depend on samples are measured.
    """
    counted, excluded = split_excluded(runs)
    values = {name: _final(counted, name, sample_set) for name in quantities}
    with matplotlib.style.context(STYLE):
        settings = by_setting(counted)
        figure = Figure(figsize=(10.5, 10.6))
        # The first row holds no more than a name.
        heights = [0.6] + [1] * (len(values) - 1)
        axes = figure.subplots(len(values), len(values), height_ratios=heights)
        for row, lower in enumerate(values):
            for column, left in enumerate(values):
                panel = axes[row, column]
                if row > column:
                    _draw(panel, values[left], values[lower], settings)
                    panel.tick_params(
                        labelbottom=row == len(values) - 1, labelleft=column == 0, labelsize=7
                    )
                else:
                    panel.set_axis_off()
            _name(axes[row, row], lower, len(values))
            axes[-1, row].set_xlabel(symbol(lower) or words(lower))
            axes[row, 0].set_ylabel(symbol(lower) or words(lower))
        figure.legend(
            handles=[Line2D([], [], ls="none", label=each.label, **each.look) for each in settings],
            loc="upper right",
            bbox_to_anchor=(0.995, 0.99),
        )
        lay_out(
            figure,
            headline(title, runs),
            (_caption(counted, values, sample_set), excluded_runs(excluded), provenance(runs)),
        )
        figure.subplots_adjust(wspace=0.1, hspace=0.1)
    return figure


def _final(runs: Sequence[xr.Dataset], name: str, sample_set: str) -> np.ndarray:
    """Values at the last checkpoint, (runs,)."""
    last = [run.sel(sample_set=sample_set)[name].isel(checkpoint=-1) for run in runs]
    return np.array(last, float)


def _draw(panel: Axes, x: np.ndarray, y: np.ndarray, settings: Sequence[Setting]) -> None:
    """One pair: the points, and its correlation in the free top-left corner."""
    for setting in settings:
        panel.scatter(x[setting.positions], y[setting.positions], s=18, lw=0, **setting.look)
    panel.set_xlim(_limits(x, headroom=0.1))
    panel.set_ylim(_limits(y, headroom=0.4))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(2))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(f"{value:g}")))
    rho, count = _correlation(x, y)
    text = "" if rho is None else rf"$\rho$ = {_number(f'{rho:.2f}')}"
    if text and count < len(x):
        text += f" (n = {count})"
    panel.text(
        *(0.04, 0.95, text),
        transform=panel.transAxes,
        va="top",
        fontsize=7.5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def _number(digits: str) -> str:
    """With the minus sign of other axes."""
    return digits.replace("-", "\N{MINUS SIGN}")


def _limits(values: np.ndarray, headroom: float) -> tuple[float, float]:
    """Limits around the finite values, with `headroom` of their range above the largest."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0, 1
    size = np.ptp(known) or abs(known[0]) or 1
    return known.min() - 0.1 * size, known.max() + headroom * size


def _correlation(x: np.ndarray, y: np.ndarray) -> tuple[float | None, int]:
    """Pearson's correlation over the runs in which both are finite, and their number.

    None where it is not defined: fewer than three runs, or all values of one side equal.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < FEWEST_FOR_CORRELATION or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None, len(x)
    return float(pearsonr(x, y).statistic), len(x)


def _name(panel: Axes, name: str, panels: int) -> None:
    """A quantity's name and symbol, in its place on the diagonal."""
    lines = [*textwrap.wrap(words(name), 120 // panels), symbol(name)]
    panel.text(
        *(0.5, 0.5, "\n".join(filter(None, lines))),
        transform=panel.transAxes,
        ha="center",
        va="center",
        fontsize=8.5,
    )


def _caption(runs: Sequence[xr.Dataset], values: Mapping[str, np.ndarray], sample_set: str) -> str:
    on_all = [
        words(name).lower() for name in values if runs and "sample_set" not in runs[0][name].dims
    ]
    text = (
        f"Values at the last checkpoint of {len(runs)} runs, one point each, on the fixed sample "
        f"set `{sample_set}`"
    )
    if on_all:
        text += f" ({', '.join(on_all)}: on all images)"
    text += (
        r". $\rho$: Pearson's correlation over these runs, with n where fewer count; none with "
        f"fewer than {FEWEST_FOR_CORRELATION} points or where a quantity does not vary."
    )
    for name, each in values.items():
        missing = int((~np.isfinite(each)).sum())
        if missing:
            reason = runs[0][name].attrs.get("absent")
            text += f" Not finite and left out: {label(name)} of {missing} runs"
            text += f" ({reason})." if reason else "."
    return text
