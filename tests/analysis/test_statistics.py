"""Bootstrap draws, percentile intervals, bands and slopes."""

import warnings

import numpy as np
import pytest

from flatness.analysis.statistics import band, drawn_positions, interval, slope, times_drawn


def test_draws_take_every_run_equally_often():
    positions = drawn_positions(5, 20000)
    assert positions.shape == (20000, 5)
    assert np.allclose(np.bincount(positions.ravel()) / positions.size, 1 / 5, atol=0.005)


def test_draws_are_with_replacement():
    distinct = [len(set(row)) for row in drawn_positions(4, 20000)]
    # 4! / 4^4 of all draws take every run, 4 / 4^4 the same one four times.
    assert abs(distinct.count(4) / 20000 - 24 / 256) < 0.01
    assert abs(distinct.count(1) / 20000 - 4 / 256) < 0.005


def test_draws_are_the_same_every_time():
    assert np.array_equal(drawn_positions(7, 50), drawn_positions(7, 50))


def test_runs_with_one_label_are_drawn_together():
    labels = np.array([7, 3, 7, 5, 3, 7])
    found = times_drawn(labels, 500)
    positions = drawn_positions(3, 500)
    for row, drawn in zip(found, positions, strict=True):
        # In increasing order the labels are 3, 5 and 7.
        repeated = [label for position in drawn for label in (3, 5, 7)[position : position + 1]]
        assert row.tolist() == [repeated.count(label) for label in labels]
    assert (found[:, [0, 4, 3]].sum(1) == 3).all()


def test_interval_ends_at_the_percentiles():
    values = np.random.default_rng(0).permutation(101).astype(float)
    low, high = interval(np.stack([values, 2 * values], axis=1), 0.9)
    assert np.allclose(low, [5, 10])
    assert np.allclose(high, [95, 190])


def test_draws_without_a_value_do_not_count():
    values = np.array([np.nan, 0, 1, 2, 3, 4, np.nan])
    low, high = interval(values, 0.5)
    assert (low, high) == (1, 3)


def test_no_draw_with_a_value_gives_no_interval_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = interval(np.array([[np.nan, 1.0], [np.nan, 1.0]]), 0.95)
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert low[1] == high[1] == 1


def test_interval_of_the_mean_covers_it_as_often_as_it_says():
    samples = np.random.default_rng(1).normal(3, 2, (600, 50))
    positions = drawn_positions(50, 1000)
    ends = [interval(sample[positions].mean(1), 0.9) for sample in samples]
    covered = np.mean([low <= 3 <= high for low, high in ends])
    assert abs(covered - 0.9) < 0.035


def test_a_band_goes_from_the_smallest_to_the_largest_finite_value():
    values = np.array([[1, np.inf, np.nan], [3, 5, np.nan], [2, np.nan, np.inf]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = band(values)
    np.testing.assert_array_equal(low, [1, 5, np.nan])
    np.testing.assert_array_equal(high, [3, 5, np.nan])


def test_a_slope_is_that_of_the_line_with_the_least_squares():
    draw = np.random.default_rng(3)
    x, y = draw.normal(size=(2, 9))
    assert np.isclose(slope(x, y), np.polyfit(x, y, 1)[0], rtol=1e-12)
    assert slope(x, 3 - 2 * x) == pytest.approx(-2, rel=1e-14)
