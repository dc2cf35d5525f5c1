"""Lemma A.1: how the trace of the loss Hessian approaches the sharpness."""

from collections.abc import Sequence
from math import ceil

import matplotlib
import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from flatness.analysis.seeds import settings_of, split_excluded
from flatness.figures import STYLE
from flatness.figures.annotation import (
    excluded_runs,
    lay_out,
    network_and_dataset,
    provenance,
    say_instead,
)
from flatness.figures.labels import symbol, words

COLUMNS = 3
# Without its bright end, which would not show on white.
COLORS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.87, 256)))


def lemma_figure(runs: Sequence[xr.Dataset], *, title: str, sample_set: str) -> Figure:
    """Draw |Tr Hessian - S| against the mean distance between output and target.

    One panel for each study, one point for each checkpoint of each run, coloured by the
    progress of training. Lemma A.1: the gap is of the order of the distance, a line of
    slope 1 in these double logarithmic axes. A panel without a point says why.

    Args:
        runs: analysed runs of one or several studies.
        title: of the figure.
        sample_set: "train" or "test", where both are measured.
    """
    studies: dict[str, list[xr.Dataset]] = {}
    for run in runs:
        studies.setdefault(_study(run), []).append(run)
    columns = min(len(studies), COLUMNS)
    rows = ceil(len(studies) / COLUMNS)
    _, excluded = split_excluded(runs)
    notes = []
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(7.5 if columns == 1 else 10.5, 1.2 + 4.2 * rows))
        grid = figure.add_gridspec(rows, columns + 1, width_ratios=[*[1] * columns, 0.03])
        for position, (study, members) in enumerate(studies.items()):
            panel = figure.add_subplot(grid[position // COLUMNS, position % COLUMNS])
            panel.set_title(f"{network_and_dataset(members[0])} ({study})")
            counted, _ = split_excluded(members)
            chosen = [run.sel(sample_set=sample_set) for run in counted]
            note = _note(chosen)
            if any(_drawable(run).any() for run in chosen):
                _draw(panel, chosen)
                notes += [f"{study}: {note}."] if note else []
            else:
                say_instead(panel, note)
        if any(panel.collections for panel in figure.axes):
            figure.colorbar(
                ScalarMappable(Normalize(0, 1), COLORS),
                cax=figure.add_subplot(grid[:, -1]),
                label="progress of training (fraction of the iterations)",
            )
        caption = (
            f"{words('hessian_gap')} against the {words('mean_residual_norm').lower()}, on the "
            f"fixed sample set `{sample_set}`. One point for each checkpoint; grey lines join "
            "those of one run. Bars: two standard errors, where the trace is estimated. Dashed: "
            "slope 1 through the geometric mean of the points, what Lemma A.1 says of small "
            "distances. The loss is that of Eq. 2, whatever the network was trained with."
        )
        sources = [f"{study}: {provenance(members)}" for study, members in studies.items()]
        lay_out(figure, title, (caption, *notes, excluded_runs(excluded), *sources))
    return figure


def _study(run: xr.Dataset) -> str:
    """The study's name, with which the run's begins."""
    return run.attrs["run"].rpartition("_lr")[0]


def _drawable(run: xr.Dataset) -> np.ndarray:
    """Which checkpoints have a place on logarithmic axes, (K,)."""
    gap = run["hessian_gap"]
    return ((gap > 0) & np.isfinite(gap) & (run["mean_residual_norm"] > 0)).to_numpy()


def _draw(panel: Axes, runs: Sequence[xr.Dataset]) -> None:
    """The points of one study, their error bars and the line of slope 1."""
    panel.set(xscale="log", yscale="log")
    panel.set_xlabel(symbol("mean_residual_norm"))
    panel.set_ylabel(symbol("hessian_gap"))
    every_x, every_y = [], []
    for run in runs:
        drawn = _drawable(run)
        x, y, error = (
            run[name].to_numpy()[drawn]
            for name in ("mean_residual_norm", "hessian_gap", "hessian_trace_standard_error")
        )
        progress = run["iteration"].to_numpy()[drawn] / settings_of(run)["iterations"]
        panel.plot(x, y, color="#D0D0D0", lw=0.6, ls="-", zorder=1)
        estimated = error > 0
        panel.errorbar(
            x[estimated], y[estimated], 2 * error[estimated], fmt="none", ecolor="#777777", lw=0.8
        )
        panel.scatter(x, y, c=progress, cmap=COLORS, vmin=0, vmax=1, s=16, lw=0, zorder=3)
        every_x.append(x)
        every_y.append(y)
    x, y = np.concatenate(every_x), np.concatenate(every_y)
    ends = np.array([x.min(), x.max()])
    panel.plot(ends, ends * np.exp(np.log(y / x).mean()), color="#111111", lw=1, ls="--", zorder=2)


def _note(runs: Sequence[xr.Dataset]) -> str:
    """How many checkpoints of one study are not drawn, and why."""
    if not runs:
        return "no run is left"
    gaps = np.concatenate([run["hessian_gap"].to_numpy() for run in runs])
    zero, unknown = int((gaps == 0).sum()), int((~np.isfinite(gaps)).sum())
    notes = []
    if zero:
        notes.append(f"zero at {zero} of {len(gaps)} checkpoints")
        if zero + unknown == len(gaps):
            notes[-1] += ": the network is piecewise linear in the parameters of each layer"
        else:
            notes[-1] += ", not drawn"
    if unknown:
        reason = runs[0]["hessian_gap"].attrs.get("absent", "not finite")
        notes.append(f"unknown at {unknown} of {len(gaps)} checkpoints ({reason})")
    return "; ".join(notes)
