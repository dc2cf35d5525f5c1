"""Figures D.5 and D.6: pairs of final quantities, and their correlation."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib
import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.correlations import POOLED, correlations, final_quantities
from flatness.analysis.groups import excluded, that_count
from flatness.analysis.statistics import FEWEST_FOR_COEFFICIENT, FEWEST_FOR_INTERVAL
from flatness.figures import STYLE
from flatness.figures.annotation import excluded_runs, headline, lay_out, provenance, training
from flatness.figures.labels import label, symbol, words
from flatness.figures.naming import name_points
from flatness.figures.points import Setting, by_setting, title_of_settings
from flatness.figures.scales import number

# Violet for -1, white for 0, orange for 1; only its pale middle, on which black text can be read.
TINTS = matplotlib.colormaps["PuOr_r"]
_PALENESS = 0.22
# Around intervals over whole seeds, and over whole settings.
BRACKETS = {"": "[]", "settings_": "()"}
# Of an axis' length, at either end without a tick.
_EDGE = 0.13


def pair_grid_figure(
    runs: Sequence[AnalysedRun],
    *,
    title: str,
    quantities: Sequence[str],
    seeds: Sequence[int] | None,
    sample_set: str,
    interpolation_accuracy: float,
    confidence: float,
    bootstrap_draws: int,
) -> Figure:
    """Draw every pair of final quantities, one point per run, and Pearson's correlation of each.

    The diagonal names the quantities. Below it are the points, above it, mirrored, the
    coefficients with their intervals: each quantity has a row and a column.

    Args:
        runs: all analysed runs of one study.
        title: such as "Figure D.5".
        quantities: two or more names from `flatness.glossary.curves.curves`.
        seeds: of the runs that are drawn; all for None. Where others exist, the coefficient over
            all runs, which tables and claims give, stands below that of the drawn ones.
        sample_set: "train" or "test", where quantities that depend on samples are measured.
        interpolation_accuracy: training accuracy from which a run interpolates.
        confidence: level of the intervals.
        bootstrap_draws: draws of runs that the intervals are made from.
    """
    shown = [run for run in runs if seeds is None or run.seed in seeds]
    counted = that_count(shown)
    found = final_quantities(shown, sample_set, quantities)
    values = {name: found[name].to_numpy() for name in quantities}

    def pearson(of: Sequence[AnalysedRun]) -> xr.Dataset:
        every = correlations(
            of,
            sample_set=sample_set,
            confidence=confidence,
            bootstrap_draws=bootstrap_draws,
            names=quantities,
        )
        pooled = every.sel({"group": POOLED, "statistic": "pearson"})
        # Files of an earlier version may lack a quantity.
        return pooled.reindex(quantity=[*quantities], other_quantity=[*quantities])

    drawn = pearson(shown)
    everything = pearson(runs) if len(shown) < len(runs) else None
    with matplotlib.style.context(STYLE):
        settings = by_setting(counted, interpolation_accuracy)
        figure = Figure(figsize=(10.5, 10.9))
        draw_pairs(figure, values, settings, drawn, everything, [run.id for run in counted])
        lay_out(
            figure,
            headline(title, runs),
            (
                _caption(counted, found, quantities, sample_set)
                + _numbers(drawn, everything, confidence)
                + _count_hollow(settings, interpolation_accuracy),
                training(runs),
                excluded_runs(excluded(shown)),
                provenance(shown) if shown else "",
            ),
            handles=[setting.handle() for setting in settings],
            legend_title=title_of_settings(runs)
            + f"; hollow: train accuracy never reaches {100 * interpolation_accuracy:g}%",
        )
        figure.subplots_adjust(wspace=0.1, hspace=0.1)
    return figure


def draw_pairs(
    figure: Figure,
    values: Mapping[str, np.ndarray],
    settings: Sequence[Setting],
    drawn: xr.Dataset,
    everything: xr.Dataset | None = None,
    runs: Sequence[str] = (),
) -> None:
    """Names on the diagonal, points below it, coefficients above it.

    Args:
        figure: without panels.
        values: by quantity, (runs,).
        settings: which points look how.
        drawn: `coefficient`, intervals and counts over (quantity, other_quantity), as
            `flatness.analysis.correlations.correlations` gives them.
        everything: the same of more runs, whose coefficients stand below.
        runs: ids of the runs, if the points are to be named by them.
    """
    axes = figure.subplots(len(values), len(values), squeeze=False)
    for row, lower in enumerate(values):
        for column, left in enumerate(values):
            panel = axes[row, column]
            pair = {"quantity": lower, "other_quantity": left}
            if row > column:
                _draw(panel, values[left], values[lower], settings)
                for run, x, y in zip(runs, values[left], values[lower], strict=bool(runs)):
                    name_points(panel, [x], [y], run)
                panel.tick_params(
                    labelbottom=row == len(values) - 1, labelleft=column == 0, labelsize=7
                )
            elif row < column:
                _write(panel, drawn.sel(pair), None if everything is None else everything.sel(pair))
            else:
                panel.set_axis_off()
                _name(panel, lower, len(values))
        axes[-1, row].set_xlabel(symbol(lower) or words(lower))
        axes[row, 0].set_ylabel(symbol(lower) or words(lower))


def _draw(panel: Axes, x: np.ndarray, y: np.ndarray, settings: Sequence[Setting]) -> None:
    """The points of one pair."""
    for setting in settings:
        setting.draw(panel, x, y, size=4)
    for axis, values in ((panel.xaxis, x), (panel.yaxis, y)):
        low, high = _limits(values)
        axis.set_view_interval(low, high, ignore=True)
        axis.set_major_locator(FixedLocator(_two_ticks(low, high)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Limits around the finite values."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0, 1
    size = np.ptp(known) or abs(known[0]) or 1
    return known.min() - 0.12 * size, known.max() + 0.12 * size


def _two_ticks(low: float, high: float) -> list[float]:
    """Two round numbers away from the ends, where they would meet those of the next panel."""
    edge = _EDGE * (high - low)
    for bins in range(2, 9):
        ticks = MaxNLocator(bins).tick_values(low, high)
        inner = ticks[(ticks > low + edge) & (ticks < high - edge)]
        if len(inner) >= 2:
            break
    return [float(tick) for tick in inner[[0, -1]]]


def _write(panel: Axes, drawn: xr.Dataset, everything: xr.Dataset | None) -> None:
    """One coefficient in a cell that is tinted with it, its interval, and that over all runs."""
    rho = float(drawn["coefficient"])
    panel.set_axis_off()
    if np.isnan(rho):
        panel.text(0.5, 0.5, "not defined", color="#555555", fontsize=7, **_centred(panel))
        return
    panel.add_patch(
        Rectangle(
            (0, 0),
            1,
            1,
            transform=panel.transAxes,
            facecolor=TINTS(0.5 + _PALENESS * rho),
            edgecolor="none",
        )
    )
    n, runs = int(drawn["n"]), int(drawn["runs"])
    lines = [(rf"$\rho$ = {_decimals(rho)}", 9)]
    for prefix, (left, right) in BRACKETS.items():
        low, high = drawn[f"{prefix}low"], drawn[f"{prefix}high"]
        if np.isfinite(low):
            lines.append((f"{left}{_decimals(low)}, {_decimals(high)}{right}", 7))
    if n < runs:
        lines.append((f"n = {n}", 6.5))
    if everything is not None:
        text = f"{int(everything['n'])} runs: {_decimals(everything['coefficient'])}"
        lines.append((text, 6.5))
    for position, (text, size) in enumerate(lines):
        height = 0.5 + 0.19 * ((len(lines) - 1) / 2 - position)
        panel.text(0.5, height, text, fontsize=size, **_centred(panel))


def _centred(panel: Axes) -> dict:
    return {"transform": panel.transAxes, "ha": "center", "va": "center"}


def _decimals(value) -> str:
    """Two decimals, with the minus sign of axes; none before a zero."""
    return f"{float(value):z.2f}".replace("-", "\N{MINUS SIGN}")


def _name(panel: Axes, name: str, panels: int) -> None:
    """A quantity's name and symbol, in its place on the diagonal."""
    lines = [*textwrap.wrap(words(name), 120 // panels), symbol(name)]
    panel.text(0.5, 0.5, "\n".join(filter(None, lines)), fontsize=8.5, **_centred(panel))


def _caption(
    runs: Sequence[AnalysedRun], final: xr.Dataset, quantities: Sequence[str], sample_set: str
) -> str:
    """What the points are, and which values have no place."""
    on_all = [
        words(name).lower()
        for name in quantities
        if runs and name in runs[0] and "sample_set" not in runs[0].data[name].dims
    ]
    text = (
        f"Below the diagonal: final values of {len(runs)} runs (means over the checkpoints in the "
        f"last fifth of the iterations), one point each, on the fixed sample set “{sample_set}”"
    )
    text += f" ({', '.join(on_all)}: on all images)." if on_all else "."
    for name in quantities:
        missing = int((~np.isfinite(final[name])).sum())
        if missing:
            reason = final[name].attrs.get("absent")
            text += f" Not finite and left out: {label(name)} of {missing} runs"
            text += f" ({reason.rstrip('.')})." if reason else "."
    return text


def _numbers(drawn: xr.Dataset, everything: xr.Dataset | None, confidence: float) -> str:
    """What stands above the diagonal."""
    count = int(drawn["runs"])
    text = f" Above it: Pearson's $\\rho$ of the same {count} runs"
    text += (
        f", its {100 * confidence:g}% intervals (bootstrap over whole seeds in square brackets, "
        f"over whole settings in round ones; none over fewer than {FEWEST_FOR_INTERVAL} of them)"
    )
    if everything is not None:
        text += (
            f", and $\\rho$ of all {int(everything['runs'])} runs of the study, which tables and "
            "claims give"
        )
    return (
        f"{text}; none with fewer than {FEWEST_FOR_COEFFICIENT} points or where a quantity does "
        "not vary."
    )


def _count_hollow(settings: Sequence[Setting], accuracy: float) -> str:
    """How many of the runs that are drawn do not interpolate."""
    hollow = sum(len(setting.hollow) for setting in settings)
    runs = hollow + sum(len(setting.filled) for setting in settings)
    level = f"{100 * accuracy:g}%"
    return f" Runs that never reach a train accuracy of {level}: {hollow} of {runs}."
