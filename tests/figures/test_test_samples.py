"""Figure 3: all and misclassified test samples."""

from itertools import combinations

import numpy as np
import pytest

# As a module, or pytest would take the function for a test.
from flatness.figures import test_samples
from flatness.figures.labels import label
from tests.analysis.made_up import ITERATIONS, analysed, analysed_run
from tests.figures.drawn import (
    assert_bands,
    assert_readable,
    bands,
    legend,
    same_files,
    strong,
    texts,
)

LOOK = {"title": "Figure 3", "interpolation_accuracy": 0.999}


def made_up_runs(seeds=3):
    """Seed i has 60 - 7 j - i misclassified test images at checkpoint j."""
    runs = [analysed_run(network="vgg10", seed=seed) for seed in range(seeds)]
    for seed, run in enumerate(runs):
        run["misclassified_total"] = ("checkpoint", 60 - 7 * np.arange(8) - seed)
    return runs


def without_misclassified(run, checkpoints):
    """The same run, but all test images right at some checkpoints."""
    run = run.copy(deep=True)
    wrong = {"checkpoint": checkpoints, "sample_set": 2}
    for name in test_samples.QUANTITIES:
        run[name][wrong] = np.nan
    run["sample_count"] = run["sample_count"].copy(data=np.array(run["sample_count"]))
    run["sample_count"][wrong] = 0
    return run


@pytest.fixture(scope="module")
def runs():
    return made_up_runs()


@pytest.fixture(scope="module")
def figure(runs):
    return test_samples.test_samples_figure(analysed(runs), **LOOK)


def panel_of(figure, name):
    titles = test_samples.TITLES
    return next(
        panel for panel in figure.axes if panel.get_title() == titles.get(name, label(name))
    )


@pytest.mark.parametrize("name", [*test_samples.LOSSES, "misclassified_total"])
def test_what_concerns_all_images_has_one_curve(runs, figure, name):
    expected = np.array([run[name] for run in runs])
    panel = panel_of(figure, name)
    assert np.allclose(strong(panel), expected.mean(0, keepdims=True))
    assert_bands(panel, ITERATIONS, expected[None])
    assert panel.get_yscale() == "log"


@pytest.mark.parametrize("name", test_samples.QUANTITIES)
def test_quantities_are_drawn_on_both_sample_sets(runs, figure, name):
    by_set = np.array(
        [
            [run[name].sel(sample_set=sample_set) for run in runs]
            for sample_set in ("test", "misclassified")
        ]
    )
    panel = panel_of(figure, name)
    assert np.allclose(strong(panel), by_set.mean(1))
    assert_bands(panel, ITERATIONS, by_set)
    assert panel.get_yscale() == ("log" if name == "local_dimension" else "linear")


def test_no_two_panels_lie_on_each_other(figure):
    for one, other in combinations(figure.axes, 2):
        assert not one.bbox.overlaps(other.bbox)
    assert len(figure.axes) == 7


def test_curves_are_named(figure):
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["test samples", "misclassified test samples"]
    looks = [(line.get_color(), line.get_linestyle()) for line in figure.legends[0].get_lines()]
    drawn = [
        (line.get_color(), line.get_linestyle())
        for line in panel_of(figure, "log_volume").lines
        if line.get_linewidth() > 1.2
    ]
    assert looks == drawn
    assert [style for _, style in drawn] == ["-", "--"]
    count = panel_of(figure, "misclassified_total").lines[0]
    assert (count.get_color(), count.get_linestyle()) == drawn[1]


def test_counts_of_zero_have_no_place_on_a_logarithmic_axis(runs):
    run = runs[0].copy()
    run["misclassified_total"] = ("checkpoint", [60, 50, 40, 30, 20, 10, 0, 0])
    panel = panel_of(
        test_samples.test_samples_figure(analysed([run]), **LOOK), "misclassified_total"
    )
    assert list(np.flatnonzero(np.isnan(strong(panel)[0]))) == [6, 7]


def test_the_caption_says_how_many_samples_count(figure):
    assert "`test` (n = 100, solid)" in texts(figure)
    assert "at each checkpoint (n = 30, dashed)" in texts(figure)
    assert "gaps" not in texts(figure)
    assert "infinite" not in texts(figure)


def test_checkpoints_without_a_misclassified_sample_are_gaps(runs):
    figure = test_samples.test_samples_figure(
        analysed([runs[0], without_misclassified(runs[1], [5, 7]), runs[2]]), **LOOK
    )
    panel = panel_of(figure, "sqrt_sharpness")
    shown = [run["sqrt_sharpness"].values[5, 2] for run in (runs[0], runs[2])]
    assert np.allclose(bands(panel)[1][ITERATIONS[5]], (min(shown), max(shown)))
    assert [list(np.flatnonzero(np.isnan(line))) for line in strong(panel)] == [[], [5, 7]]
    assert "At 2 of 24 checkpoints no test image is misclassified" in texts(figure)
    assert "(n = 0 to 30, dashed)" in texts(figure)


def test_no_misclassified_sample_at_any_checkpoint_is_no_failure(runs):
    figure = test_samples.test_samples_figure(
        analysed([without_misclassified(run, range(8)) for run in runs]), **LOOK
    )
    assert "At 24 of 24 checkpoints no test image is misclassified" in texts(figure)
    assert np.isnan(strong(panel_of(figure, "log_volume"))[1]).all()
    assert_readable(figure)


def test_infinite_values_are_counted_and_left_out():
    runs = made_up_runs()
    runs[1]["log_volume"][3:5, 1] = -np.inf
    runs[1]["log_volume"][0, 0] = -np.inf  # on train samples, which the figure does not show
    figure = test_samples.test_samples_figure(analysed(runs), **LOOK)
    assert "2 values are infinite (zero singular values) and not drawn." in texts(figure)
    gaps = np.isnan(strong(panel_of(figure, "log_volume")))
    assert [list(np.flatnonzero(line)) for line in gaps] == [[3, 4], []]


def test_interpolation_is_marked(figure):
    for panel in figure.axes:
        vertical = [line for line in panel.lines if list(line.get_xdata()) == [1000, 1000]]
        assert len(vertical) == 1
    assert "99.9% (3 of 3 runs do)" in texts(figure)
    assert legend(panel_of(figure, "train_loss")) == ["3 of 3 runs"]


def test_caption_and_provenance(figure):
    for expected in (
        "Figure 3: VGG10 (tanh) on numbers, trained with mse",
        "mean over 3 seeds",
        "plain SGD on mse at learning rate 0.1 and batch size 20",
        "3 runs, seeds 0, 1, 2",
        "commit c0ffee",
    ):
        assert expected in texts(figure)


def test_excluded_runs_are_named_and_not_averaged(runs, figure):
    diverged = analysed_run(network="vgg10", seed=9, diverged=True).isel(checkpoint=slice(3))
    with_diverged = test_samples.test_samples_figure(analysed([diverged, *runs]), **LOOK)
    text = "Excluded: mlp_numbers_lr0.1_bs20_seed9: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    for before, after in zip(figure.axes, with_diverged.axes, strict=True):
        assert np.array_equal(strong(before), strong(after))


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = test_samples.test_samples_figure(analysed([analysed_run(diverged=True)]), **LOOK)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert_readable(figure)


def test_all_text_can_be_read(figure):
    assert_readable(figure)


def test_equal_figures_are_equal_files(runs, tmp_path):
    figures = [test_samples.test_samples_figure(analysed(runs), **LOOK) for _ in range(2)]
    assert same_files(figures, tmp_path)
