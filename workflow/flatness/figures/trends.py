"""Trend figures (1, 2, E.7, E.8): six quantities over training, one curve per setting."""

from collections.abc import Sequence

import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from flatness.analysis.seeds import grouped, split_excluded
from flatness.figures import STYLE, curves, interpolation
from flatness.figures.annotation import (
    SETTINGS,
    excluded_runs,
    headline,
    lay_out,
    provenance,
    values_of,
)
from flatness.figures.labels import label

PANELS = (
    "train_loss",
    "test_accuracy",
    "sqrt_sharpness",
    "log_volume",
    "input_gradient_norm",
    "local_dimension",
)


def trend_figure(
    runs: Sequence[xr.Dataset],
    *,
    title: str,
    compare: str,
    sample_set: str,
    confidence: float,
    interpolation_accuracy: float,
) -> Figure:
    """Draw six panels against the iteration.

    Each run is a thin line, the mean over seeds a strong one with its confidence band
    from three seeds on. A vertical line marks the median iteration at which the runs of
    a setting begin to interpolate. Diverged runs are left out and named below.

    Args:
        runs: analysed runs.
        title: such as "Figure 1".
        compare: "learning_rate" or "batch_size", what differs between curves.
        sample_set: "train" or "test", where the quantities are measured.
        confidence: level of the bands.
        interpolation_accuracy: training accuracy from which a run interpolates.
    """
    counted, excluded = split_excluded(runs)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10.5, 7.4))
        axes = figure.subplots(2, 3, sharex=True)
        looks = curves.looks()
        handles = []
        infinite = 0
        for position, (value, members) in enumerate(grouped(counted, compare).items()):
            look = looks[position % len(looks)]
            chosen = [run.sel(sample_set=sample_set) for run in members]
            for name, panel in zip(PANELS, axes.flat, strict=True):
                values = np.stack([run[name].to_numpy() for run in chosen])
                infinite += int(np.isinf(values).sum())
                iteration = members[0]["iteration"]
                line = curves.draw_seeds(panel, iteration, values, look, confidence)
            interpolation.mark_interpolation(
                axes.flat, members, interpolation_accuracy, look["color"]
            )
            line.set_label(f"{SETTINGS[compare]} {value:g}")
            handles.append(line)
        for name, panel in zip(PANELS, axes.flat, strict=True):
            panel.set_title(label(name))
        for panel in axes[-1]:
            curves.count_iterations(panel)
        axes[0, 0].set_yscale("log")
        figure.legend(
            handles=handles,
            loc="upper right",
            bbox_to_anchor=(0.995, 0.995),
            ncols=len(handles) or 1,
        )
        other = "batch_size" if compare == "learning_rate" else "learning_rate"
        seeds = {len(members) for members in grouped(counted, compare).values()}
        caption = (
            f"Training with plain SGD at {values_of(counted, other)}. Loss and accuracy are those "
            "on all images, the other quantities those on the fixed sample set "
            f"`{sample_set}`. {curves.meaning(seeds, confidence)} "
            f"{interpolation.meaning(counted, interpolation_accuracy)}"
        )
        if infinite:
            caption += f" {infinite} values are infinite (zero singular values) and not drawn."
        lay_out(figure, headline(title, runs), (caption, excluded_runs(excluded), provenance(runs)))
    return figure
