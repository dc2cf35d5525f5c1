"""Marks of interpolation."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from flatness.figures.interpolation import count_interpolating, mark_interpolation, meaning
from tests.analysis.made_up import ITERATIONS, analysed, analysed_run
from tests.figures.drawn import legend


def run_that_interpolates(at: int | None):
    accuracy = [0.5 if at is None else float(i >= at) for i in ITERATIONS]
    return analysed_run(train_accuracy=np.array(accuracy))


def runs_that_interpolate(*at: int | None):
    return analysed(run_that_interpolates(each) for each in at)


@pytest.mark.parametrize(
    ("reached", "mark"),
    [([1000, 2000, 6000], 2000), ([1000, None, 2000], 1500), ([None, None], None)],
)
def test_the_mark_is_the_median_of_the_runs_that_interpolate(reached, mark):
    panels = Figure().subplots(1, 2)
    mark_interpolation(panels, runs_that_interpolate(*reached), 0.999, "black")
    for panel in panels:
        assert [line.get_xdata() for line in panel.lines] == ([[mark, mark]] if mark else [])


def test_each_setting_says_in_the_panel_how_many_runs_interpolate():
    panel = Figure().subplots()
    settings = {
        "0.1": (runs_that_interpolate(1000, None, 2000), "red"),
        "0.2": (runs_that_interpolate(None, None), "blue"),
    }
    count_interpolating(panel, settings, 0.995)
    assert legend(panel) == ["0.1: 2 of 3 runs", "0.2: never"]
    assert panel.get_legend().get_title().get_text() == "reach 99.5% train accuracy"
    lines = panel.get_legend().get_lines()
    assert [line.get_linestyle() for line in lines] == [":", "None"]
    assert lines[0].get_color() == "red"
    count_interpolating(panel, {"": settings["0.2"]}, 0.995)
    assert legend(panel) == ["never"]


def test_the_caption_counts_the_runs_that_interpolate():
    text = meaning(runs_that_interpolate(1000, None, 2000), 0.995)
    assert "reaches 99.5% (2 of 3 runs do)." in text
    assert meaning(runs_that_interpolate(None), 0.995) == (
        "No vertical marks interpolation: no run reaches a train accuracy of 99.5%."
    )
