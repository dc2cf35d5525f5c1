"""Marks of interpolation."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from flatness.figures.interpolation import mark_interpolation, meaning
from made_up import ITERATIONS, analysed_run


def run_that_interpolates(at: int | None):
    accuracy = [0.5 if at is None else float(i >= at) for i in ITERATIONS]
    return analysed_run(train_accuracy=np.array(accuracy))


@pytest.mark.parametrize(
    ("reached", "mark"),
    [([1000, 2000, 6000], 2000), ([1000, None, 2000], 1500), ([None, None], None)],
)
def test_the_mark_is_the_median_of_the_runs_that_interpolate(reached, mark):
    panels = Figure().subplots(1, 2)
    runs = [run_that_interpolates(at) for at in reached]
    mark_interpolation(panels, runs, 0.999, "black")
    for panel in panels:
        assert [line.get_xdata() for line in panel.lines] == ([[mark, mark]] if mark else [])


def test_the_caption_counts_the_runs_that_interpolate():
    text = meaning([run_that_interpolates(at) for at in (1000, None, 2000)], 0.995)
    assert "reaches 99.5% (2 of 3 runs do)." in text
