"""Trend figures: what is drawn is what was measured."""

import numpy as np
import pytest
from drawn import assert_readable, same_files, strong, texts, thin
from matplotlib import colors

from flatness.figures.trends import PANELS, trend_figure
from made_up import ITERATIONS, analysed_run

LOOK = {
    "title": "Figure 1",
    "compare": "learning_rate",
    "sample_set": "train",
    "confidence": 0.95,
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
    return trend_figure(runs, **LOOK)


def test_each_seed_is_a_thin_line_and_the_mean_a_strong_one(runs, figure):
    for name, panel in zip(PANELS, figure.axes, strict=True):
        chosen = [run.sel(sample_set="train")[name].to_numpy() for run in runs]
        expected = np.array(chosen)
        assert np.array_equal(thin(panel), expected), name
        assert np.allclose(strong(panel), expected.reshape(3, 3, -1).mean(1)), name
        assert all(list(line.get_xdata()) == list(ITERATIONS) for line in panel.lines[:3])


def test_curves_are_named_in_increasing_order(figure):
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["learning rate 0.05", "learning rate 0.1", "learning rate 0.2"]


def test_the_sample_set_is_a_choice(runs, figure):
    test = trend_figure(runs, **LOOK | {"sample_set": "test"})
    expected = np.array([run["sqrt_sharpness"].sel(sample_set="test") for run in runs])
    assert np.array_equal(thin(test.axes[2]), expected)
    assert not np.allclose(thin(figure.axes[2]), expected)


def test_bands_from_three_seeds_on(figure):
    assert len(figure.axes[0].collections) == 3
    assert "95% confidence interval of the mean" in texts(figure)
    two_seeds = trend_figure(made_up_runs(range(2)), **LOOK)
    assert len(two_seeds.axes[0].collections) == 0
    assert "no confidence band with fewer than 3 seeds" in texts(two_seeds)


def test_levels_near_one_are_not_rounded_to_it():
    close = {"confidence": 0.995, "interpolation_accuracy": 0.9995}
    shown = texts(trend_figure(made_up_runs(range(3)), **LOOK | close))
    assert "99.5% confidence interval" in shown
    assert "99.95% (" in shown


def test_every_commit_is_named():
    runs = made_up_runs(range(3))
    runs[-1].attrs["commit"] = "feedbee"
    assert "commit c0ffee, feedbee." in texts(trend_figure(runs, **LOOK))


def test_interpolation_is_marked_in_every_panel(figure):
    for panel in figure.axes:
        vertical = [line for line in panel.lines if list(line.get_xdata()) == [1000, 1000]]
        assert len(vertical) == 3
    assert "99.9% (9 of 9 runs do)" in texts(figure)


def test_caption_and_provenance(figure):
    for expected in (
        *("Figure 1: MLP on numbers", "at batch size 20", "sample set `train`"),
        *("9 runs, seeds 0, 1, 2", "6,000 iterations", "mlp (activation tanh)"),
        *("loss mse", "dataset numbers (SHA-256 0123456789ab)", "commit c0ffee"),
    ):
        assert expected in texts(figure)


def test_the_other_setting_is_named_when_batch_sizes_are_compared():
    runs = [analysed_run(batch_size=size) for size in (32, 8)]
    figure = trend_figure(runs, **LOOK | {"compare": "batch_size"})
    assert "at learning rate 0.1." in texts(figure)
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["batch size 8", "batch size 32"]


def test_excluded_runs_are_named_and_not_averaged(runs, figure):
    diverged = analysed_run(learning_rate=0.2, seed=9, diverged=True)
    with_diverged = trend_figure([*runs, diverged], **LOOK)
    text = "Excluded: mlp_numbers_lr0.2_bs20_seed9: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    for before, after in zip(figure.axes, with_diverged.axes, strict=True):
        assert np.array_equal(strong(before), strong(after))


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = trend_figure([analysed_run(diverged=True)], **LOOK)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert "at batch size none left" in texts(figure)


def test_infinite_values_are_counted_and_left_out():
    runs = made_up_runs(range(3))
    runs[0]["log_volume"][2, 0] = -np.inf
    figure = trend_figure(runs, **LOOK)
    assert "1 values are infinite (zero singular values) and not drawn" in texts(figure)
    panel = figure.axes[PANELS.index("log_volume")]
    assert np.isnan(thin(panel)[0, 2])
    assert np.isnan(thin(panel)).sum() == 1


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
    assert same_files([trend_figure(runs, **LOOK) for _ in range(2)], tmp_path, ending)
