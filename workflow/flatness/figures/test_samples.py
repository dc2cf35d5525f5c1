"""Figure 3: quantities on test samples over training, all of them and the misclassified."""

from collections.abc import Sequence

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatness.analysis.analysed_run import AnalysedRun
from flatness.analysis.groups import excluded, that_count
from flatness.figures import STYLE, curves, interpolation, scales
from flatness.figures.annotation import excluded_runs, headline, lay_out, provenance, training
from flatness.figures.labels import label

LOSSES = ("train_loss", "test_loss")
QUANTITIES = ("sqrt_sharpness", "log_volume", "mean_input_gradient_sq_norm", "local_dimension")
LOGARITHMIC = (*LOSSES, "misclassified_total", "local_dimension")
TITLES = {"misclassified_total": "Misclassified test images"}
SAMPLE_SETS = {"test": "test samples", "misclassified": "misclassified test samples"}


def test_samples_figure(
    runs: Sequence[AnalysedRun], *, title: str, interpolation_accuracy: float
) -> Figure:
    """Draw two losses, a count and four quantities against the iteration.

    Each quantity has two curves, one on the sample set `test` and one on `misclassified`. Below
    the test loss stands how many test images are misclassified.

    Args:
        runs: analysed runs that differ in their seed only.
        title: such as "Figure 3".
        interpolation_accuracy: training accuracy from which a run interpolates.
    """
    counted = that_count(runs)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(10.5, 8))
        panels = _panels(figure)
        test, misclassified, train = curves.looks()[:3]
        train = train | {"linestyle": "-"}
        handles = []
        if counted:
            iteration, names = counted[0].iteration, [run.id for run in counted]

            def draw(name: str, values: Sequence[np.ndarray], look: dict):
                return curves.draw_seeds(panels[name], iteration, np.stack(values), look, names)

            for name, look in (
                ("train_loss", train),
                ("test_loss", test),
                ("misclassified_total", misclassified),
            ):
                draw(name, [_positive(run.curve(name)) for run in counted], look)
            for sample_set, look in zip(SAMPLE_SETS, (test, misclassified), strict=True):
                for name in QUANTITIES:
                    line = draw(name, [run.curve(name, sample_set) for run in counted], look)
                line.set_label(SAMPLE_SETS[sample_set])
                handles.append(line)
            interpolation.mark_interpolation(
                panels.values(), counted, interpolation_accuracy, train["color"]
            )
            interpolation.count_interpolating(
                panels["train_loss"], {"": (counted, train["color"])}, interpolation_accuracy
            )
        for name in LOGARITHMIC:
            scales.logarithmic_height(panels[name])
        caption = (
            f"{training(runs)} Losses are those on all images, the number of misclassified images "
            f"is that of all test images. {_samples(counted)}{curves.meaning([len(counted)])} "
            f"{interpolation.meaning(counted, interpolation_accuracy)}{_gaps(counted)}"
        )
        lay_out(
            figure,
            headline(title, runs),
            (caption, excluded_runs(excluded(runs)), provenance(runs)),
            handles=handles,
        )
    return figure


def _panels(figure: Figure) -> dict[str, Axes]:
    """A panel for each variable by name; the two that concern all test images share one place."""
    grid = figure.add_gridspec(2, 3)
    upper = grid[0, 1].subgridspec(2, 1, hspace=0.5)
    places = (grid[0, 0], upper[0], upper[1], grid[0, 2], *(grid[1, column] for column in range(3)))
    panels: dict[str, Axes] = {}
    for name, place in zip((*LOSSES, "misclassified_total", *QUANTITIES), places, strict=True):
        panels[name] = figure.add_subplot(place, sharex=panels.get("train_loss"))
        panels[name].set_title(TITLES.get(name) or label(name))
        lowest = name in QUANTITIES[1:]
        panels[name].tick_params(labelbottom=lowest)
        if lowest:
            scales.count_iterations(panels[name])
    return panels


def _positive(counts: np.ndarray) -> np.ndarray:
    """Values that have a place on a logarithmic axis; the others are gaps."""
    return np.where(counts > 0, counts, np.nan)


def _samples(runs: Sequence[AnalysedRun]) -> str:
    """How many samples the quantities are means over."""
    if not runs:
        return ""
    every, wrong = (
        np.stack([run.curve("sample_count", sample_set) for run in runs])
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


def _gaps(runs: Sequence[AnalysedRun]) -> str:
    """What is not drawn, and why."""
    text = ""
    counts = [run.curve("sample_count", "misclassified") for run in runs]
    empty = sum(int((count == 0).sum()) for count in counts)
    if empty:
        text += (
            f" At {empty} of {sum(count.size for count in counts)} checkpoints no test image is "
            "misclassified: the dashed curves have gaps there, and their mean has one where any "
            "seed has."
        )
    infinite = sum(
        int(np.isinf(run.curve(name, sample_set)).sum())
        for run in runs
        for name in QUANTITIES
        for sample_set in SAMPLE_SETS
    )
    if infinite:
        text += f" {infinite} values are infinite (zero singular values) and not drawn."
    return text
