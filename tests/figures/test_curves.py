"""Curves over seeds, with gaps."""

import numpy as np
import pytest
import scipy.stats
from drawn import strong, thin
from matplotlib.figure import Figure

from flatness.figures.curves import count_iterations, draw_seeds, looks, meaning

ITERATION = np.array([0, 1000, 2000, 3000])


@pytest.fixture
def panel():
    return Figure().subplots()


def test_the_band_is_students_interval(panel):
    values = np.random.default_rng(0).normal(size=(5, 4))
    line = draw_seeds(panel, ITERATION, values, looks()[0], 0.9)
    low, high = scipy.stats.t.interval(
        0.9, 4, loc=values.mean(0), scale=scipy.stats.sem(values, axis=0)
    )
    drawn = panel.collections[0].get_paths()[0].vertices
    for iteration, ends in zip(ITERATION, zip(low, high, strict=True), strict=True):
        heights = drawn[drawn[:, 0] == iteration, 1]
        assert np.allclose([heights.min(), heights.max()], ends)
    assert np.allclose(line.get_ydata(), values.mean(0))


def test_what_is_not_finite_is_a_gap_in_its_line_and_in_the_mean(panel):
    values = np.array([[1, 2, np.inf, 4], [1, np.nan, 3, 4.0]])
    draw_seeds(panel, ITERATION, values, looks()[0], 0.9)
    gap = np.nan
    expected = [[1, 2, gap, 4], [1, gap, 3, 4]]
    assert np.array_equal(thin(panel), expected, equal_nan=True)
    assert np.array_equal(strong(panel), [[1, gap, gap, 4]], equal_nan=True)


def test_values_between_gaps_have_a_marker(panel):
    values = np.array([[1, np.nan, 3, np.nan], [1, 2, 3, 4.0]])
    draw_seeds(panel, ITERATION, values, looks()[0], 0.9)
    with_gaps, whole, mean = panel.lines
    assert with_gaps.get_marker() == "."
    assert list(with_gaps.get_markevery()) == [True, False, True, False]
    assert whole.get_marker() == "None"
    assert list(mean.get_markevery()) == [True, False, True, False]


def test_iterations_are_counted_in_thousands(panel):
    count_iterations(panel)
    assert panel.xaxis.get_major_formatter()(2500, 0) == "2.5"
    assert panel.get_xlabel() == "iteration (thousands)"


def test_the_caption_says_when_there_is_no_band():
    assert "shaded: 80% confidence interval of the mean (Student's t)." in meaning([3, 5], 0.8)
    for seeds in ([2, 5], []):
        assert "no confidence band with fewer than 3 seeds." in meaning(seeds, 0.8)
