"""Trend figures: what is drawn is what was measured."""

import numpy as np
import pytest
from matplotlib import colors

from flatness.figures.trends import trends_figure
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

PANELS = (
    "train_loss",
    "test_accuracy",
    "sqrt_sharpness",
    "log_volume",
    "mean_input_gradient_sq_norm",
    "local_dimension",
)
LOOK = {
    "title": "Figure 1",
    "compare": "learning_rate",
    "sample_set": "train",
    "panels": PANELS,
    "logarithmic": ("train_loss", "local_dimension"),
    "x": "linear",
    "interpolation_accuracy": 0.999,
}


def made_up_runs(seeds):
    return [
        analysed_run(learning_rate=rate, seed=seed) for rate in (0.05, 0.1, 0.2) for seed in seeds
    ]


@pytest.fixture(scope="module")
def runs():
    return made_up_runs(range(3))


@pytest.fixture(scope="module")
def figure(runs):
    return trends_figure(analysed(runs), **LOOK)


def test_lines_are_means_over_seeds_and_bands_their_range(runs, figure):
    for name, panel in zip(PANELS, figure.axes, strict=True):
        chosen = [run.sel(sample_set="train")[name].to_numpy() for run in runs]
        expected = np.array(chosen).reshape(3, 3, -1)
        assert np.allclose(strong(panel), expected.mean(1)), name
        assert_bands(panel, ITERATIONS, expected)
        assert list(panel.lines[0].get_xdata()) == list(ITERATIONS)


def test_two_seeds_have_bands_too_and_one_has_none():
    two = trends_figure(analysed(made_up_runs(range(2))), **LOOK)
    assert [len(bands(panel)) for panel in two.axes] == [3] * 6
    assert "mean over 2 seeds" in texts(two)
    one = trends_figure(analysed(made_up_runs(range(1))), **LOOK)
    assert [len(bands(panel)) for panel in one.axes] == [0] * 6
    assert "Lines: one seed each." in texts(one)


def test_loss_and_dimensionality_have_logarithmic_axes(figure):
    scales = {name: panel.get_yscale() for name, panel in zip(PANELS, figure.axes, strict=True)}
    logarithmic = {name for name, scale in scales.items() if scale == "log"}
    assert logarithmic == {"train_loss", "local_dimension"}


def test_the_axis_of_the_accuracy_begins_where_the_first_iterations_end():
    """By hand: 20% of 6000 iterations are over at the checkpoint at 2000, not at that at 1000."""
    values = np.array([0.1, 0.3, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9])
    runs = [analysed_run(seed=seed, test_accuracy=values + 0.01 * seed) for seed in range(2)]
    low, high = trends_figure(analysed(runs), **LOOK).axes[1].get_ylim()
    assert np.allclose([low, high], [0.8 - 0.0055, 0.91 + 0.0055])
    constant = [analysed_run(test_accuracy=0.5)]
    assert np.allclose(trends_figure(analysed(constant), **LOOK).axes[1].get_ylim(), [0.49, 0.51])


def test_curves_are_named_in_increasing_order(figure):
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["0.05", "0.1", "0.2"]
    title = figure.legends[0].get_title().get_text()
    assert title == "learning rate of mse, at batch size 20"


def test_rates_of_another_loss_stand_beside_those_of_mse(runs):
    other = [run.copy() for run in runs]
    for run in other:
        run.attrs["settings"] = run.attrs["settings"].replace('"mse"', '"half_squared_error"')
    figure = trends_figure(analysed(other), **LOOK)
    title = figure.legends[0].get_title().get_text()
    assert title == "learning rate of half_squared_error (in mse), at batch size 20"
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["0.05 (0.25)", "0.1 (0.5)", "0.2 (1)"]
    assert "at learning rates 0.05, 0.1, 0.2 (0.25, 0.5, 1 in mse)" in texts(figure)
    assert "trained with half_squared_error" in texts(figure)
    assert_readable(figure)
    sizes = trends_figure(analysed(other[:2]), **LOOK | {"compare": "batch_size"})
    assert sizes.legends[0].get_title().get_text() == (
        "batch size, at learning rate 0.05 (half_squared_error; 0.25 in mse)"
    )


def test_the_sample_set_is_a_choice(runs, figure):
    test = trends_figure(analysed(runs), **LOOK | {"sample_set": "test"})
    expected = np.array([run["sqrt_sharpness"].sel(sample_set="test") for run in runs])
    means = expected.reshape(3, 3, -1).mean(1)
    assert np.allclose(strong(test.axes[2]), means)
    assert not np.allclose(strong(figure.axes[2]), means)


def test_levels_near_one_are_not_rounded_to_it():
    close = {"interpolation_accuracy": 0.9995}
    assert "99.95% (" in texts(trends_figure(analysed(made_up_runs(range(3))), **LOOK | close))


def test_every_commit_is_named():
    runs = made_up_runs(range(3))
    runs[-1].attrs["commit"] = "feedbee"
    assert "commits: training c0ffee; measuring c0ffee, feedbee; analysis c0ffee." in texts(
        trends_figure(analysed(runs), **LOOK)
    )


OTHERS = (
    "mls",
    "generalisation_gap",
    "hessian_trace",
    "nmls",
    "log_volume_top3",
    "train_loss",
    "mls_bound_d",
)


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_any_quantities_may_be_panels(runs, count):
    figure = trends_figure(
        analysed(runs), **LOOK | {"panels": OTHERS[:count], "logarithmic": ("mls",)}
    )
    assert len(figure.axes) == count
    assert [panel.get_yscale() for panel in figure.axes] == ["log"] + ["linear"] * (count - 1)
    for name, panel in zip(OTHERS, figure.axes, strict=False):
        of_set = [run.sel(sample_set="train")[name].to_numpy() for run in runs]
        assert np.allclose(strong(panel), np.array(of_set).reshape(3, 3, -1).mean(1)), name
    labelled = [panel for panel in figure.axes if panel.get_xlabel()]
    assert len(labelled) == min(count, 3)
    assert "The axis of the test accuracy" not in texts(figure)
    assert_readable(figure)


def test_where_quantities_are_measured_is_said_of_those_that_are_drawn(runs):
    def said(*panels):
        return texts(trends_figure(analysed(runs), **LOOK | {"panels": panels, "logarithmic": ()}))

    assert "The quantities are those on the fixed sample set “train”." in said("mls", "nmls")
    assert "All are those on all images." in said("test_loss")
    assert "Generalisation gap, test loss are those on all images, the other" in said(
        "generalisation_gap", "test_loss", "mls"
    )


def test_a_logarithmic_axis_of_iterations_leaves_out_the_first_checkpoint(runs, figure):
    logarithmic = trends_figure(analysed(runs), **LOOK | {"x": "log"})
    assert ITERATIONS[0] == 0
    for panel, linear in zip(logarithmic.axes, figure.axes, strict=True):
        assert panel.get_xscale() == "log"
        assert list(panel.lines[0].get_xdata()) == list(ITERATIONS[1:])
        assert np.array_equal(strong(panel), strong(linear)[:, 1:])
    assert [panel.get_xlabel() for panel in logarithmic.axes[3:]] == ["iteration"] * 3
    assert_readable(logarithmic)


def test_what_has_no_positive_value_stays_on_a_linear_axis(runs):
    negative = [run.assign(log_volume=-abs(run["log_volume"]) - 1) for run in runs]
    look = LOOK | {"panels": ("log_volume",), "logarithmic": ("log_volume",)}
    assert trends_figure(analysed(negative), **look).axes[0].get_yscale() == "linear"


def test_absent_quantities_are_named_with_the_reason(runs):
    lacking = [run.drop_vars("nmls") for run in runs]
    for run in lacking:
        run["mls_bound_b"] = run["mls_bound_b"] * np.nan
        run["mls_bound_b"].attrs["absent"] = "the first layer is a convolution."
    figure = trends_figure(analysed(lacking), **LOOK | {"panels": ("nmls", "mls", "mls_bound_b")})
    assert "Network-wide maximum local sensitivity is absent: not known to the" in texts(figure)
    assert "sensitivity is absent: the first layer is a convolution." in texts(figure)
    assert "Maximum local sensitivity is absent" not in texts(figure)
    assert_readable(figure)


def test_interpolation_is_marked_in_every_panel(figure):
    for panel in figure.axes:
        vertical = [line for line in panel.lines if list(line.get_xdata()) == [1000, 1000]]
        assert len(vertical) == 3
    assert "99.9% (9 of 9 runs do)" in texts(figure)
    assert legend(figure.axes[0]) == [f"{rate}: 3 of 3 runs" for rate in (0.05, 0.1, 0.2)]


def test_a_setting_that_never_interpolates_says_so_in_the_panel():
    runs = made_up_runs(range(2))
    for run in runs[:2]:
        run["train_accuracy"] = run["train_accuracy"] * 0.9
    figure = trends_figure(analysed(runs), **LOOK)
    assert legend(figure.axes[0]) == ["0.05: never", "0.1: 2 of 2 runs", "0.2: 2 of 2 runs"]
    assert "(4 of 6 runs do)" in texts(figure)
    assert_readable(figure)


def test_caption_and_provenance(figure):
    for expected in (
        "Figure 1: MLP (tanh) on numbers, trained with mse",
        "sample set “train”",
        "plain SGD on mse at learning rates 0.05, 0.1, 0.2 and batch size 20",
        "after 20% of the iterations",
        "9 runs, seeds 0, 1, 2",
        "6,000 iterations",
        "mlp (activation tanh)",
        "loss mse",
        "dataset numbers (SHA-256 0123456789ab)",
        "commit c0ffee",
    ):
        assert expected in texts(figure)


def test_the_other_setting_is_named_when_batch_sizes_are_compared():
    runs = [analysed_run(batch_size=size) for size in (32, 8)]
    figure = trends_figure(analysed(runs), **LOOK | {"compare": "batch_size"})
    assert "at learning rate 0.1 and batch sizes 8, 32." in texts(figure)
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["8", "32"]
    assert figure.legends[0].get_title().get_text() == "batch size, at learning rate 0.1 (mse)"


def test_excluded_runs_are_named_and_not_averaged(runs, figure):
    diverged = analysed_run(learning_rate=0.2, seed=9, diverged=True)
    with_diverged = trends_figure(analysed([*runs, diverged]), **LOOK)
    text = "Excluded: mlp_numbers_lr0.2_bs20_seed9: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    for before, after in zip(figure.axes, with_diverged.axes, strict=True):
        assert np.array_equal(strong(before), strong(after))


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = trends_figure(analysed([analysed_run(diverged=True)]), **LOOK)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert_readable(figure)


def test_infinite_values_are_counted_and_left_out():
    runs = made_up_runs(range(3))
    runs[0]["log_volume"][2, 0] = -np.inf
    figure = trends_figure(analysed(runs), **LOOK)
    assert "1 values are infinite (zero singular values) and not drawn" in texts(figure)
    panel = figure.axes[PANELS.index("log_volume")]
    assert np.isnan(strong(panel)[0, 2])
    assert np.isnan(strong(panel)).sum() == 1


def test_colours_differ_in_grey_and_lines_in_style(figure):
    lines = [line for line in figure.axes[0].lines if line.get_linewidth() > 1.5]
    luminance = sorted(
        np.dot(colors.to_rgb(line.get_color()), [0.2126, 0.7152, 0.0722]) for line in lines
    )
    assert min(np.diff(luminance)) > 0.05
    assert len({line.get_linestyle() for line in lines}) == 3


def test_all_text_can_be_read(figure):
    assert_readable(figure)


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_equal_figures_are_equal_files(runs, tmp_path, ending):
    assert same_files([trends_figure(analysed(runs), **LOOK) for _ in range(2)], tmp_path, ending)
