"""Figure D.4: the chain of bounds."""

import numpy as np
import pytest
from drawn import assert_readable, inside, legend, same_files, strong, texts, thin

from flatness.figures.chain import CHAIN, chain_figure
from made_up import analysed_run

LOOK = {"title": "Figure D.4", "sample_set": "train", "confidence": 0.95}
# By hand: the gaps of 1, 2, 2.5, 25 in log10.
VALUES = {"mls": 1, "mls_bound_b": 2, "mls_bound_c": 2.5, "mls_bound_d": 25}
GAPS = [0.30103, 0.09691, 1]


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
    return chain_figure(runs, **LOOK)


def test_bounds_are_those_of_each_seed_and_their_mean(runs, figure):
    expected = np.array(
        [[run[name].sel(sample_set="train") for run in runs] for name in CHAIN.values()]
    )
    bounds = figure.axes[0]
    assert np.array_equal(thin(bounds), expected.reshape(-1, 8))
    assert np.allclose(strong(bounds), expected.mean(1))
    assert bounds.get_yscale() == "log"
    assert legend(bounds) == ["A", "B", "C", "D"]


def test_gaps_are_logarithms_of_ratios():
    figure = chain_figure([constant_run()], **LOOK)
    gaps = figure.axes[1]
    assert np.allclose(strong(gaps), np.repeat([GAPS], 8, 0).T, atol=1e-5)
    assert legend(gaps) == [
        "A ≤ B",
        "B ≤ C",
        "C ≤ D",
    ]
    zero = [line for line in gaps.lines if list(line.get_ydata()) == [0, 0]]
    assert len(zero) == 1


def test_gaps_are_taken_before_the_mean():
    later = np.full((8, 1), 2500)
    later[0] = 25
    figure = chain_figure([constant_run(seed=0), constant_run(seed=1, mls_bound_d=later)], **LOOK)
    assert np.allclose(strong(figure.axes[1])[2], [1] + 7 * [2])
    assert "Mean gaps at the last checkpoint: 0.301" in texts(figure)
    assert ", 2 (C ≤ D)." in texts(figure)


def test_the_caption_gives_the_letters_meaning(figure):
    assert "A = 1/n sum_i sigma_i1; B = ||W||_2 / n sum_i ||K_i^W||_F / ||x_i||_2" in texts(figure)
    assert "D = ||W||_2 sqrt(1/n sum_i 1/||x_i||_2^2) sqrt(S)." in texts(figure)
    assert "zero" not in texts(figure)


def test_the_sample_set_is_a_choice(runs):
    figure = chain_figure(runs, **LOOK | {"sample_set": "test"})
    expected = np.array([run["mls"].sel(sample_set="test") for run in runs])
    assert np.array_equal(thin(figure.axes[0])[:3], expected)
    assert "sample set `test`" in texts(figure)


def test_absent_bounds_are_replaced_by_the_reason():
    runs = [without_bounds(seed) for seed in range(3)]
    figure = chain_figure(runs, **LOOK)
    bounds, gaps = figure.axes
    assert inside(gaps) == "B, C and D are absent: the first layer is a convolution"
    assert len(gaps.lines) == 0
    assert legend(bounds) == ["A"]
    assert np.array_equal(thin(bounds), [run["mls"].sel(sample_set="train") for run in runs])
    assert "B = " not in texts(figure)
    assert "gaps" not in texts(figure)
    assert_readable(figure)


def test_a_network_without_sensitivity_is_counted():
    mls = np.ones((8, 1))
    mls[6:] = 0
    figure = chain_figure([constant_run(mls=mls)], **LOOK)
    assert "2 values are zero and not drawn on the logarithmic axis." in texts(figure)
    assert list(np.isnan(strong(figure.axes[1])[0])) == [False] * 6 + [True] * 2


def test_bands_from_three_seeds_on(runs, figure):
    assert [len(panel.collections) for panel in figure.axes] == [4, 3]
    assert "95% confidence interval of the mean" in texts(figure)
    two_seeds = chain_figure(runs[:2], **LOOK)
    assert [len(panel.collections) for panel in two_seeds.axes] == [0, 0]
    assert "no confidence band with fewer than 3 seeds" in texts(two_seeds)


def test_caption_and_provenance(figure):
    for expected in (
        *("Figure D.4: MLP on numbers", "at learning rate 0.1 and batch size 20"),
        *("3 runs, seeds 0, 1, 2", "commit c0ffee"),
    ):
        assert expected in texts(figure)


def test_excluded_runs_are_named_and_not_averaged(runs, figure):
    diverged = analysed_run(seed=9, diverged=True).isel(checkpoint=slice(3))
    with_diverged = chain_figure([diverged, *runs], **LOOK)
    text = "Excluded: mlp_numbers_lr0.1_bs20_seed9: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    for before, after in zip(figure.axes, with_diverged.axes, strict=True):
        assert np.array_equal(strong(before), strong(after))


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = chain_figure([analysed_run(diverged=True)], **LOOK)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert_readable(figure)


def test_all_text_can_be_read(figure):
    assert_readable(figure)


def test_equal_figures_are_equal_files(runs, tmp_path):
    assert same_files([chain_figure(runs, **LOOK) for _ in range(2)], tmp_path)
