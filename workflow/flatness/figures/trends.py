"""Trend figures (1, 2, E.7, E.8): six quantities over training, one curve per setting."""

from collections.abc import Sequence

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.groups import by_value, excluded, that_count
from flatness.figures import STYLE, curves, interpolation, scales
from flatness.figures.annotation import (
    excluded_runs,
    headline,
    lay_out,
    provenance,
    training,
)
from flatness.figures.labels import label
from flatness.figures.training import WORDS, name_in_words, value_in_words

PANELS = (
    "train_loss",
    "test_accuracy",
    "sqrt_sharpness",
    "log_volume",
    "input_gradient_norm",
    "local_dimension",
)
LOGARITHMIC = ("train_loss", "local_dimension")
# The part of the iterations in which accuracy rises from chance; its axis shows what follows.
RISE = 0.2


def trend_figure(
    runs: Sequence[AnalysedRun],
    *,
    title: str,
    compare: str,
    sample_set: str,
    interpolation_accuracy: float,
) -> Figure:
    """Draw six panels against the iteration.

    One line for each setting, the mean over its seeds, in a band from the smallest to the largest
    seed. A vertical line marks the median iteration at which the runs of a setting begin to
    interpolate; the first panel counts these runs. Diverged runs are left out and named below.

    Args:
        runs: analysed runs.
        title: such as "Figure 1".
        compare: "learning_rate" or "batch_size", what differs between curves.
        sample_set: "train" or "test", where the quantities are measured.
        interpolation_accuracy: training accuracy from which a run interpolates.
    """
    counted = that_count(runs)
    groups = by_value(counted, compare)
    loss, outputs = runs[0].loss, runs[0].outputs
    infinite = 0
    handles, interpolating = [], {}
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10.5, 7.6))
        axes = figure.subplots(2, 3, sharex=True)
        panels = dict(zip(PANELS, axes.flat, strict=True))
        looks = curves.looks()
        for position, (value, members) in enumerate(groups.items()):
            look = looks[position % len(looks)]
            for name, panel in panels.items():
                values = np.stack([run.curve(name, sample_set) for run in members])
                infinite += int(np.isinf(values).sum())
                line = curves.draw_seeds(panel, members[0].iteration, values, look)
            interpolation.mark_interpolation(
                axes.flat, members, interpolation_accuracy, look["color"]
            )
            line.set_label(value_in_words(compare, value, loss, outputs))
            handles.append(line)
            interpolating[f"{value:g}"] = (members, look["color"])
        for name, panel in panels.items():
            panel.set_title(label(name))
        for panel in axes[-1]:
            scales.count_iterations(panel)
        for name in LOGARITHMIC:
            scales.logarithmic_height(panels[name])
        if counted:
            _leave_out_the_rise(panels["test_accuracy"], counted)
            interpolation.count_interpolating(
                panels["train_loss"], interpolating, interpolation_accuracy
            )
        seeds = {len(members) for members in groups.values()}
        caption = (
            f"{training(runs)} Loss and accuracy are those on all images, the other quantities "
            f"those on the fixed sample set `{sample_set}`. {curves.meaning(seeds)} "
            f"{interpolation.meaning(counted, interpolation_accuracy)} The axis of the test "
            f"accuracy shows what is reached after {100 * RISE:g}% of the iterations."
        )
        if infinite:
            caption += f" {infinite} values are infinite (zero singular values) and not drawn."
        lay_out(
            figure,
            headline(title, runs),
            (caption, excluded_runs(excluded(runs)), provenance(runs)),
            handles=handles,
            legend_title=f"{name_in_words(compare, loss, outputs)}, at {_fixed(runs, compare)}",
        )
    return figure


def _fixed(runs: Sequence[AnalysedRun], compare: str) -> str:
    """What all curves have in common, such as "batch size 20"."""
    if compare == "learning_rate":
        return f"{WORDS['batch_size']} {runs[0].batch_size}"
    return f"{WORDS['learning_rate']} {runs[0].rate_in_words}"


def _leave_out_the_rise(panel: Axes, runs: Sequence[AnalysedRun]) -> None:
    """Fit the vertical axis to the test accuracies after the `RISE`."""
    reached = np.concatenate(
        [run.curve("test_accuracy")[run.iteration >= RISE * run.iteration[-1]] for run in runs]
    )
    low, high = np.nanmin(reached), np.nanmax(reached)
    margin = 0.05 * (high - low) or 0.01
    panel.set_ylim(low - margin, high + margin)
