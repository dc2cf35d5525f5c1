"""Correlation coefficients of draws of runs, against scipy on the runs that are drawn."""

import numpy as np
import pytest
import scipy.stats

from flatness.analysis.statistics import STATISTICS, coefficients, pearson, spearman

SCIPY = {
    "pearson": scipy.stats.pearsonr,
    "spearman": scipy.stats.spearmanr,
    "kendall": scipy.stats.kendalltau,
}


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_run_drawn_twice_counts_twice(statistic):
    draw = np.random.default_rng(0)
    values = draw.normal(size=(12, 3)).round(1)  # with ties
    weights = draw.integers(0, 4, (40, 12))
    found = coefficients(values, weights, statistic)
    for drawn, matrix in zip(weights, found, strict=True):
        repeated = np.repeat(values, drawn, axis=0)
        for one in range(3):
            for other in range(3):
                wanted = SCIPY[statistic](repeated[:, one], repeated[:, other]).statistic
                assert np.isclose(matrix[one, other], wanted, rtol=0, atol=1e-11)


def test_parts_of_the_draws_make_no_difference(monkeypatch):
    draw = np.random.default_rng(1)
    values, weights = draw.normal(size=(9, 2)), draw.integers(0, 3, (50, 9))
    for statistic in STATISTICS:
        whole = coefficients(values, weights, statistic)
        monkeypatch.setattr("flatness.analysis.statistics._SCORES_AT_ONCE", 500)
        assert np.array_equal(coefficients(values, weights, statistic), whole)
        monkeypatch.undo()


def test_pairs_have_the_shape_of_their_draws():
    draw = np.random.default_rng(2)
    first, second = draw.normal(size=(2, 8))
    assert pearson(first, second).shape == ()
    assert spearman(first, second, np.ones((4, 8))).shape == (4,)
    assert (
        pearson(first, second)
        == coefficients(np.stack([first, second, first], 1), np.ones((1, 8)), "pearson")[0, 0, 1]
    )


@pytest.mark.parametrize("coefficient", [pearson, spearman])
def test_a_constant_has_no_coefficient_even_where_its_mean_rounds(coefficient):
    constant = np.full(7, 0.1)
    assert constant.mean() != 0.1  # the deviations from it are not zero
    rising = np.arange(7.0)
    assert np.isnan(coefficient(constant, rising))
    assert np.isnan(coefficient(rising, constant))
    # Nor has what is constant over the runs that are drawn.
    varying = np.where(rising < 4, 0.1, rising)
    drawn = np.array([[1, 2, 0, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0]])
    assert np.isnan(coefficient(varying, rising, drawn)).tolist() == [True, False]


def test_perfect_order_is_exactly_one():
    draw = np.random.default_rng(0)
    for rising in np.sort(draw.uniform(size=(200, 7))):
        assert spearman(rising, rising**2) == 1
        assert spearman(rising, -rising) == -1
        assert pearson(rising, 3 * rising - 1) == 1
