"""Curves over seeds, with gaps."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from flatness.figures.curves import draw_seeds, looks, meaning
from tests.figures.drawn import assert_bands, bands, strong

ITERATION = np.array([0, 1000, 2000, 3000])


@pytest.fixture
def panel():
    return Figure().subplots()


@pytest.mark.parametrize("seeds", [2, 5])
def test_the_band_goes_from_the_smallest_to_the_largest_seed(panel, seeds):
    values = np.random.default_rng(0).normal(size=(seeds, 4))
    line = draw_seeds(panel, ITERATION, values, looks()[0])
    assert_bands(panel, ITERATION, values[None])
    assert np.allclose(line.get_ydata(), values.mean(0))
    assert len(panel.lines) == 1


def test_the_band_of_positive_values_is_positive(panel):
    """As no interval around the mean would be: here the spread is as large as the mean."""
    values = np.array([[1e-4], [1e-4], [1.0]]).repeat(4, 1)
    draw_seeds(panel, ITERATION, values, looks()[0])
    assert_bands(panel, ITERATION, values[None])


def test_one_seed_has_no_band(panel):
    draw_seeds(panel, ITERATION, np.ones((1, 4)), looks()[0])
    assert not bands(panel)


def test_what_is_not_finite_is_a_gap_in_the_mean_and_left_out_of_the_band(panel):
    gap = np.nan
    values = np.array([[1, 2, np.inf, 4, gap], [1, gap, 3, 4.0, gap], [3, 1, 3, 4, gap]])
    draw_seeds(panel, range(5), values, looks()[0])
    assert np.allclose(strong(panel), [[5 / 3, gap, gap, 4, gap]], equal_nan=True)
    assert bands(panel) == [{0: (1, 3), 1: (1, 2), 2: (3, 3), 3: (4, 4)}]


def test_values_between_gaps_have_a_marker(panel):
    values = np.array([[1, np.nan, 3, np.nan], [1, 2, 3, 4.0]])
    draw_seeds(panel, ITERATION, values, looks()[0])
    (mean,) = panel.lines
    assert mean.get_marker() == "."
    assert list(mean.get_markevery()) == [True, False, True, False]
    whole = draw_seeds(panel, ITERATION, values[1:], looks()[0])
    assert whole.get_marker() == "None"


def test_the_caption_says_what_the_band_is():
    assert meaning([5]) == (
        "Lines: mean over 5 seeds; shaded: from the smallest to the largest of these."
    )
    assert "mean over 2 or 5 seeds" in meaning([5, 2])
    for seeds in ([1], []):
        assert meaning(seeds) == "Lines: one seed each."
