"""Figure D.4: the chain of bounds."""

import numpy as np
import pytest

from flatness.figures.chain import CHAIN, chain_figure
from tests.analysis.made_up import ITERATIONS, analysed, analysed_run
from tests.figures.drawn import assert_bands, assert_readable, same_files, strong, texts

LOOK = {"title": "Figure D.4", "sample_set": "train"}
VALUES = {"mls": 1, "mls_bound_b": 2, "mls_bound_c": 2.5, "mls_bound_d": 25}


def constant_run(**changes):
    return analysed_run(**VALUES | changes)


def without_bounds(seed):
    run = analysed_run(seed=seed, mls_bound_b=np.nan, mls_bound_c=np.nan, mls_bound_d=np.nan)
    for name in ("mls_bound_b", "mls_bound_c", "mls_bound_d"):
        run[name].attrs["absent"] = "the first layer is a convolution"
    return run


@pytest.fixture(scope="module")
def runs():
    return [analysed_run(seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def figure(runs):
    return chain_figure(analysed(runs), **LOOK)


def entries(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_both_axes_show_the_mean_and_the_range_of_the_seeds(runs, figure):
    expected = np.array(
        [[run[name].sel(sample_set="train") for run in runs] for name in CHAIN.values()]
    )
    for panel in figure.axes:
        assert np.allclose(strong(panel), expected.mean(1))
        assert_bands(panel, ITERATIONS, expected)
    assert entries(figure) == ["A (MLS)", "B", "C", "D"]


def test_one_axis_is_linear_from_zero_the_other_logarithmic(figure):
    linear, logarithmic = figure.axes
    assert (linear.get_yscale(), logarithmic.get_yscale()) == ("linear", "log")
    assert linear.get_ylim()[0] == 0


def test_the_caption_gives_the_letters_meaning(figure):
    assert "A = 1/n sum_i sigma_i1; B = ||W||_2 / n sum_i ||K_i^W||_F / ||x_i||_2" in texts(figure)
    assert "D = ||W||_2 sqrt(1/n sum_i 1/||x_i||_2^2) sqrt(S)." in texts(figure)
    assert "zero" not in texts(figure)


def test_the_sample_set_is_a_choice(runs):
    figure = chain_figure(analysed(runs), **LOOK | {"sample_set": "test"})
    expected = np.mean([run["mls"].sel(sample_set="test") for run in runs], axis=0)
    assert np.allclose(strong(figure.axes[0])[0], expected)
    assert "Sample set “test”" in texts(figure)


def test_absent_bounds_leave_a_alone_and_the_caption_says_why():
    runs = [without_bounds(seed) for seed in range(3)]
    figure = chain_figure(analysed(runs), **LOOK)
    assert "B, C and D are absent: the first layer is a convolution." in texts(figure)
    assert entries(figure) == ["A (MLS)"]
    for panel in figure.axes:
        expected = np.mean([run["mls"].sel(sample_set="train") for run in runs], axis=0)
        assert np.allclose(strong(panel), [expected])
    assert "B = " not in texts(figure)
    assert_readable(figure)


def test_a_network_without_sensitivity_is_counted():
    mls = np.ones((8, 1))
    mls[6:] = 0
    figure = chain_figure(analysed([constant_run(mls=mls)]), **LOOK)
    assert "2 values are zero and not drawn on the logarithmic axis." in texts(figure)
    linear, logarithmic = figure.axes
    assert list(strong(linear)[0][5:]) == [1, 0, 0]
    assert list(np.isnan(strong(logarithmic)[0])) == [False] * 6 + [True] * 2


def test_caption_and_provenance(figure):
    for expected in (
        "Figure D.4: MLP (tanh) on numbers, trained with mse",
        "mean over 3 seeds",
        "plain SGD on mse at learning rate 0.1 and batch size 20",
        "3 runs, seeds 0, 1, 2",
        "commit c0ffee",
    ):
        assert expected in texts(figure)


def test_excluded_runs_are_named_and_not_averaged(runs, figure):
    diverged = analysed_run(seed=9, diverged=True).isel(checkpoint=slice(3))
    with_diverged = chain_figure(analysed([diverged, *runs]), **LOOK)
    text = "Excluded: mlp_numbers_lr0.1_bs20_seed9: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    for before, after in zip(figure.axes, with_diverged.axes, strict=True):
        assert np.array_equal(strong(before), strong(after))


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = chain_figure(analysed([analysed_run(diverged=True)]), **LOOK)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert_readable(figure)


def test_all_text_can_be_read(figure):
    assert_readable(figure)


def test_equal_figures_are_equal_files(runs, tmp_path):
    assert same_files([chain_figure(analysed(runs), **LOOK) for _ in range(2)], tmp_path)
