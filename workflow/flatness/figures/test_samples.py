"""Figure 3: quantities on test samples over training, all of them and the misclassified."""

from collections.abc import Sequence

import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatness.analysis.seeds import split_excluded
from flatness.figures import STYLE, curves, interpolation
from flatness.figures.annotation import excluded_runs, headline, lay_out, provenance, values_of
from flatness.figures.labels import label

LOSSES = ("train_loss", "test_loss")
QUANTITIES = ("sqrt_sharpness", "log_volume", "input_gradient_norm", "local_dimension")
SAMPLE_SETS = {"test": "test samples", "misclassified": "misclassified test samples"}


def test_sample_figure(
    runs: Sequence[xr.Dataset], *, title: str, confidence: float, interpolation_accuracy: float
) -> Figure:
    """Draw two losses and four quantities against the iteration.

    Each quantity has two curves, one on the sample set `test` and one on `misclassified`.
    A second axis beside the test loss shows how many test images are misclassified.

    Args:
        runs: analysed runs that differ in their seed only.
        title: such as "Figure 3".
        confidence: level of the bands.
        interpolation_accuracy: training accuracy from which a run interpolates.
    """
    counted, excluded = split_excluded(runs)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10.5, 7.4))
        axes = figure.subplots(2, 3, sharex=True)
        test, misclassified, train = curves.looks()[:3]
        train = train | {"linestyle": "-"}
        panels = dict(zip((*LOSSES, *QUANTITIES), axes.flat, strict=True))
        for name, panel in panels.items():
            panel.set_title(label(name))
        panels["train_loss"].set_yscale("log")
        right = _second_axis(panels["test_loss"], misclassified["color"])
        for panel in axes[-1]:
            curves.count_iterations(panel)
        if counted:
            iteration = counted[0]["iteration"]

            def draw(panel: Axes, values: Sequence[xr.DataArray], look: dict):
                return curves.draw_seeds(panel, iteration, np.stack(values), look, confidence)

            draw(panels["train_loss"], [run["train_loss"] for run in counted], train)
            draw(panels["test_loss"], [run["test_loss"] for run in counted], test)
            draw(right, [run["misclassified_total"] for run in counted], misclassified)
            for sample_set, look in zip(SAMPLE_SETS, (test, misclassified), strict=True):
                for name in QUANTITIES:
                    values = [run[name].sel(sample_set=sample_set) for run in counted]
                    line = draw(panels[name], values, look)
                line.set_label(SAMPLE_SETS[sample_set])
            interpolation.mark_interpolation(
                axes.flat, counted, interpolation_accuracy, train["color"]
            )
            figure.legend(
                *panels[QUANTITIES[-1]].get_legend_handles_labels(),
                loc="upper right",
                bbox_to_anchor=(0.995, 0.995),
                ncols=2,
            )
        caption = (
            f"Training with plain SGD at {values_of(runs, 'learning_rate')} and "
            f"{values_of(runs, 'batch_size')}. Losses are those on all images; the right axis "
            "beside the test loss counts all misclassified test images (dashed). "
            f"{_samples(counted)}{curves.meaning([len(counted)], confidence)} "
            f"{interpolation.meaning(counted, interpolation_accuracy)}{_gaps(counted)}"
        )
        lay_out(figure, headline(title, runs), (caption, excluded_runs(excluded), provenance(runs)))
    return figure


def _second_axis(panel: Axes, color: str) -> Axes:
    """An axis at the right for the number of misclassified test images."""
    right = panel.twinx()
    right.grid(visible=False)
    right.spines["right"].set(visible=True, color=color)
    right.tick_params(axis="y", colors=color)
    right.set_ylabel("misclassified test images", color=color)
    return right


def _samples(runs: Sequence[xr.Dataset]) -> str:
    """How many samples the quantities are means over."""
    if not runs:
        return ""
    every, wrong = (
        np.stack([run["sample_count"].sel(sample_set=sample_set) for run in runs])
        for sample_set in SAMPLE_SETS
    )
    return (
        f"Other quantities: means over the fixed sample set `test` (n = {_range(every)}, solid) "
        "and over the misclassified test images, the first ones in a fixed order at each "
        f"checkpoint (n = {_range(wrong)}, dashed). "
    )


def _range(counts: np.ndarray) -> str:
    low, high = counts.min(), counts.max()
    return f"{low}" if low == high else f"{low} to {high}"


def _gaps(runs: Sequence[xr.Dataset]) -> str:
    """What is not drawn, and why."""
    text = ""
    counts = [run["sample_count"].sel(sample_set="misclassified") for run in runs]
    empty = sum(int((count == 0).sum()) for count in counts)
    if empty:
        text += (
            f" At {empty} of {sum(count.size for count in counts)} checkpoints no test image is "
            "misclassified: the dashed curves have gaps there, and their mean has one where any "
            "seed has."
        )
    infinite = sum(
        int(np.isinf(run[name].sel(sample_set=list(SAMPLE_SETS))).sum())
        for run in runs
        for name in QUANTITIES
    )
    if infinite:
        text += f" {infinite} values are infinite (zero singular values) and not drawn."
    return text
