"""Trend figures (1, 2, E.7, E.8): quantities over training, one curve per setting."""

from collections.abc import Sequence
from math import ceil

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatness.analysis.absent import NOT_ANALYSED
from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.groups import by_value, excluded, that_count
from flatness.analysis.training_in_words import WORDS, name_in_words, value_in_words
from flatness.figures import STYLE, curves, interpolation, scales
from flatness.figures.annotation import (
    excluded_runs,
    headline,
    lay_out,
    provenance,
    training,
    wrap,
)
from flatness.figures.labels import label, words

COLUMNS = 3
# In inches: of each row of panels, and of the text around them.
ROW, AROUND = 3.1, 1.4
# The part of the iterations in which accuracy rises from chance; its axis shows what follows.
RISE = 0.2
_ACCURACY = "test_accuracy"
# Its curves fall, late on a logarithmic axis: a corner of its panel is free.
_LOSS = "train_loss"
# Characters of a line of a panel's title, its mathematics as it is written.
_TITLE = 40
_OF_TRAINING = {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}


def trends_figure(
    runs: Sequence[AnalysedRun],
    *,
    title: str,
    compare: str,
    sample_set: str,
    panels: Sequence[str],
    logarithmic: Sequence[str],
    x: str,
    interpolation_accuracy: float,
) -> Figure:
    """Draw one panel for each quantity against the iteration.

    One line for each setting, the mean over its seeds, in a band from the smallest to the largest
    seed. A vertical line marks the median iteration at which the runs of a setting begin to
    interpolate; the panel of the train loss, if there is one, counts these runs. Diverged runs are
    left out and named below.

    Args:
        runs: analysed runs.
        title: such as "Figure 1".
        compare: "learning_rate" or "batch_size", what differs between curves.
        sample_set: "train" or "test", where the quantities are measured.
        panels: names from `flatness.glossary.curves.curves`.
        logarithmic: those with a logarithmic vertical axis, where they have positive values.
        x: "linear" or "log", the axis of the iterations.
        interpolation_accuracy: training accuracy from which a run interpolates.
    """
    counted = that_count(runs)
    groups = by_value(counted, compare)
    loss, outputs = runs[0].trained_on, runs[0].outputs
    infinite = 0
    handles, interpolating = [], {}
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10.5, AROUND + ROW * ceil(len(panels) / COLUMNS)))
        axes, lowest = _axes(figure, panels)
        looks = curves.looks()
        for position, (value, members) in enumerate(groups.items()):
            look = looks[position % len(looks)]
            drawn = _drawn(members[0].iteration, x)
            names = [run.id for run in members]
            for name, panel in axes.items():
                values = np.stack([_values(run, name, sample_set) for run in members])
                infinite += int(np.isinf(values).sum())
                iteration = members[0].iteration[drawn]
                line = curves.draw_seeds(panel, iteration, values[:, drawn], look, names)
            interpolation.mark_interpolation(
                axes.values(), members, interpolation_accuracy, look["color"]
            )
            line.set_label(value_in_words(compare, value, loss, outputs))
            handles.append(line)
            interpolating[f"{value:g}"] = (members, look["color"])
        for name, panel in axes.items():
            panel.set_title("\n".join(wrap(label(name), _TITLE)))
            if name in logarithmic and any(
                (_values(run, name, sample_set) > 0).any() for run in counted
            ):
                scales.logarithmic_height(panel)
        for panel in lowest:
            panel.tick_params(labelbottom=True)
            _label_iterations(panel, x)
        if counted:
            if _ACCURACY in axes:
                _leave_out_the_rise(axes[_ACCURACY], counted)
            if _LOSS in axes:
                corner = "lower left" if x == "log" else "upper right"
                interpolation.count_interpolating(
                    axes[_LOSS], interpolating, interpolation_accuracy, corner
                )
        seeds = {len(members) for members in groups.values()}
        caption = (
            f"{training(runs)} {_on_which_images(runs[0], panels, sample_set)}"
            f"{curves.meaning(seeds)} {interpolation.meaning(counted, interpolation_accuracy)}"
        )
        if _ACCURACY in axes:
            caption += (
                " The axis of the test accuracy shows what is reached after "
                f"{100 * RISE:g}% of the iterations."
            )
        caption += _absences(counted, panels, sample_set)
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


def _axes(figure: Figure, panels: Sequence[str]) -> tuple[dict[str, Axes], list[Axes]]:
    """A panel for each name, and the lowest one of each column."""
    columns = min(len(panels), COLUMNS)
    grid = figure.subplots(ceil(len(panels) / columns), columns, sharex=True, squeeze=False)
    for panel in grid.flat[len(panels) :]:
        panel.remove()
    lowest = [grid[(len(panels) - 1 - column) // columns, column] for column in range(columns)]
    return dict(zip(panels, grid.flat, strict=False)), lowest


def _label_iterations(panel: Axes, x: str) -> None:
    if x == "log":
        scales.logarithmic_width(panel)
        panel.set_xlabel("iteration")
    else:
        scales.count_iterations(panel)


def _values(run: AnalysedRun, name: str, sample_set: str) -> np.ndarray:
    """A curve of one run, (K,); NaN where its file has none, as those of earlier versions."""
    if name not in run:
        return np.full(len(run.iteration), np.nan)
    return run.curve(name, sample_set).astype(float)


def _drawn(iteration: np.ndarray, x: str) -> np.ndarray:
    """Which checkpoints have a place on the axis, (K,) booleans."""
    return iteration > 0 if x == "log" else np.ones(len(iteration), bool)


def _on_which_images(run: AnalysedRun, panels: Sequence[str], sample_set: str) -> str:
    """Where what is drawn is measured."""
    on_all = [name for name in panels if name in run and "sample_set" not in run.data[name].dims]
    others = f"those on the fixed sample set “{sample_set}”. "
    if not on_all:
        return f"The quantities are {others}"
    if on_all == list(panels):
        return "All are those on all images. "
    named = ", ".join(words(name).lower() for name in on_all)
    if set(on_all) <= _OF_TRAINING:
        named = "loss and accuracy"
    return f"{named[0].upper()}{named[1:]} are those on all images, the other quantities {others}"


def _absences(runs: Sequence[AnalysedRun], panels: Sequence[str], sample_set: str) -> str:
    """Quantities that no run has, with the reason."""
    text = ""
    for name in panels:
        if runs and all(np.isnan(_values(run, name, sample_set)).all() for run in runs):
            reason = runs[0].absent(name) if name in runs[0] else NOT_ANALYSED
            text += f" {words(name)} is absent{f': {reason}' if reason else ''}".rstrip(".") + "."
    return text


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
