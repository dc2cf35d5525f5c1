"""Lemma A.1: how the trace of the loss Hessian approaches the sharpness."""

from collections.abc import Sequence
from math import ceil

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.groups import by_study, excluded, that_count
from flatness.figures import STYLE, scales
from flatness.figures.annotation import (
    excluded_runs,
    lay_out,
    network_and_dataset,
    provenance,
)
from flatness.figures.labels import symbol, words
from flatness.figures.naming import name_points

COLUMNS = 3
# Without its bright end, which would not show on white.
COLORS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.87, 256)))
# Of each panel's width, in which the error of the estimates is summed up.
BINS = 12


def lemma_figure(runs: Sequence[AnalysedRun], *, title: str, sample_set: str) -> Figure:
    """Draw |Tr Hessian - S| against the mean distance between output and target.

    One point for each checkpoint of each run, coloured by the progress of training, and one panel
    for each study that has any; the caption says why others have none. Lemma A.1: the gap is of
    the order of the distance, a line of slope 1 in these double logarithmic axes. Below the
    shaded height an estimated gap cannot be told from zero.

    Args:
        runs: analysed runs of one or several studies.
        title: of the figure.
        sample_set: "train" or "test", where both are measured.
    """
    studies = by_study(runs)
    counted = {study: that_count(members) for study, members in studies.items()}
    shown = {
        study: members
        for study, members in counted.items()
        if any(_drawable(run, sample_set).any() for run in members)
    }
    columns = min(len(shown), COLUMNS)
    rows = ceil(len(shown) / COLUMNS)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10.5, 1.8 + 4.2 * rows))
        if shown:
            grid = figure.add_gridspec(rows, columns + 1, width_ratios=[*[1] * columns, 0.03])
            for position, (study, members) in enumerate(shown.items()):
                panel = figure.add_subplot(grid[position // COLUMNS, position % COLUMNS])
                panel.set_title(f"{network_and_dataset(members[0])}\n({study})")
                draw_gaps(panel, *_points(members, sample_set))
                for run in members:
                    distances, gaps, *_ = _points([run], sample_set)
                    name_points(panel, distances, gaps, run.id)
            draw_progress(figure, figure.add_subplot(grid[:, -1]))
        caption = (
            f"{words('hessian_gap')} against the {words('mean_residual_norm').lower()}, on the "
            f"fixed sample set “{sample_set}”; the loss in it is that of Eq. 2, whatever the "
            "network was trained with."
        )
        if shown:
            caption += (
                " One point for each checkpoint of each run. Shaded: up to two standard errors, "
                "where the trace is estimated (their median among points side by side); gaps in it "
                "cannot be told from zero. Dashed: slope 1 through the geometric mean of the "
                "points, what Lemma A.1 says of small distances."
            )
        else:
            caption += " There is nothing to draw."
        notes = [
            f"{study}{'' if study in shown else ' has no panel'}: {note}."
            for study, members in counted.items()
            if (note := _note(members, sample_set))
        ]
        sources = [f"{study}: {provenance(members)}" for study, members in studies.items()]
        heading = f"{title}: trace of the loss Hessian and sharpness"
        lay_out(figure, heading, (caption, *notes, excluded_runs(excluded(runs)), *sources))
    return figure


def _drawable(run: AnalysedRun, sample_set: str) -> np.ndarray:
    """Which checkpoints have a place on logarithmic axes, (K,)."""
    return drawable(*(run.curve(n, sample_set) for n in ("mean_residual_norm", "hessian_gap")))


def drawable(residual: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Which points have a place on logarithmic axes."""
    return (gap > 0) & np.isfinite(gap) & (residual > 0)


def _points(runs: Sequence[AnalysedRun], sample_set: str) -> np.ndarray:
    """(4, points) of one study: distances, gaps, their standard errors, progress of training."""
    parts = []
    for run in runs:
        names = ("mean_residual_norm", "hessian_gap", "hessian_trace_standard_error")
        curves = [run.curve(name, sample_set) for name in names]
        together = np.stack([*curves, run.iteration / run.iterations])
        parts.append(together[:, _drawable(run, sample_set)])
    return np.concatenate(parts, axis=1)


def draw_progress(figure: Figure, place: Axes) -> None:
    """Say what the colours of points mean."""
    figure.colorbar(
        ScalarMappable(Normalize(0, 1), COLORS),
        cax=place,
        label="progress of training (fraction of the iterations)",
    )


def draw_gaps(
    panel: Axes, x: np.ndarray, y: np.ndarray, error: np.ndarray, progress: np.ndarray
) -> None:
    """Draw points, the line of slope 1 and the error of the estimates.

    Args:
        panel: where to draw.
        x: (points,), mean distances between output and target, above 0.
        y: (points,), |Tr Hessian - S|, above 0.
        error: (points,), standard errors of the trace; 0 where it is exact.
        progress: (points,), between 0 and 1.
    """
    panel.set_xlabel(symbol("mean_residual_norm"))
    panel.set_ylabel(symbol("hessian_gap"))
    panel.scatter(x, y, c=progress, cmap=COLORS, vmin=0, vmax=1, s=9, lw=0, zorder=3)
    ends = np.array([x.min(), x.max()])
    panel.plot(ends, ends * np.exp(np.log(y / x).mean()), color="#111111", lw=1, ls="--", zorder=4)
    scales.logarithmic_height(panel)
    scales.logarithmic_width(panel)
    bottom = panel.get_ylim()[0]
    edges, heights = _resolution(x, error)
    panel.stairs(
        np.maximum(heights, bottom), edges, baseline=bottom, fill=True, color="#DDDDDD", zorder=1
    )
    panel.set_ylim(bottom=bottom)


def _resolution(x: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two standard errors, summed up by their median in bins of equal width in log x.

    Returns:
        The bins' edges (bins + 1,), and heights (bins,): 0 where nothing is estimated.
    """
    edges = np.geomspace(x.min(), x.max() * (1 + 1e-9), BINS + 1)
    bins = np.digitize(x, edges) - 1
    heights = np.zeros(BINS)
    for position in range(BINS):
        estimated = error[(bins == position) & (error > 0)]
        if len(estimated):
            heights[position] = 2 * np.median(estimated)
    return edges, heights


def _note(runs: Sequence[AnalysedRun], sample_set: str) -> str:
    """How many checkpoints of one study are not drawn, and why."""
    if not runs:
        return "no run is left"
    gaps = np.concatenate([run.curve("hessian_gap", sample_set) for run in runs])
    zero, unknown = int((gaps == 0).sum()), int((~np.isfinite(gaps)).sum())
    notes = []
    if zero:
        notes.append(f"zero at {zero} of {len(gaps)} checkpoints")
        if zero + unknown == len(gaps):
            notes[-1] += ": the network is piecewise linear in the parameters of each layer"
        else:
            notes[-1] += ", not drawn"
    if unknown:
        reason = runs[0].absent("hessian_gap") or "not finite"
        notes.append(f"unknown at {unknown} of {len(gaps)} checkpoints ({reason})")
    return "; ".join(notes)
