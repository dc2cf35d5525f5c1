"""Figures of one's own checkpoints."""

from itertools import combinations

import numpy as np
import pytest
import xarray as xr

import flatness
import loop
from flatness import measure, measure_checkpoints
from flatness.errors import MeasurementError
from flatness.figures.series import series_figure


@pytest.fixture(scope="module")
def measured():
    inputs, targets = loop.data()
    states = loop.train(loop.network(), None, 12)
    checkpoints = dict(zip(range(0, 13, 4), states, strict=True))
    found = measure_checkpoints(loop.network(), checkpoints, inputs[:10], targets[:10])
    return found.assign(train_loss=("checkpoint", [np.nan, 0.5, 0.4, 0.3]))


def _drawn(figure) -> dict[str, list]:
    return {panel.get_title(): panel.get_lines() for panel in figure.axes}


def test_lines_are_the_quantities(measured):
    drawn = _drawn(
        flatness.plot.trends(measured, ["sqrt_sharpness", "train_loss", "hessian_trace"])
    )
    values = flatness.quantities(measured)
    lines = [lines[0] for lines in drawn.values()]
    assert np.array_equal(lines[0].get_xydata()[:, 0], [0, 4, 8, 12])
    assert np.array_equal(lines[0].get_ydata(), values["sqrt_sharpness"])
    assert np.array_equal(lines[1].get_xydata(), [[4, 0.5], [8, 0.4], [12, 0.3]])
    assert np.array_equal(lines[2].get_ydata(), values["hessian_trace"])


def test_several_networks_have_a_legend(measured):
    both = {"one": measured, "other": measured.isel(checkpoint=slice(2)).drop_vars("train_loss")}
    figure = flatness.plot.trends(both, ["mls", "train_loss"], x="log")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "other"]
    panel = figure.axes[0]
    assert panel.get_xscale() == "log"
    assert [line.get_xdata().tolist() for line in panel.get_lines()] == [[4, 8, 12], [4]]


def test_the_usual_panels_are_those_that_were_measured(measured):
    titles = list(_drawn(flatness.plot.trends(measured)))
    assert titles[0] == "Train loss"
    assert not any("accuracy" in title.lower() for title in titles)
    assert any("sharpness" in title for title in titles)


def test_mistakes_are_named(measured):
    with pytest.raises(
        MeasurementError, match=r"'sharpnes' cannot be drawn\. Allowed: .*sharpness"
    ):
        flatness.plot.trends(measured, ["sharpnes"])
    with pytest.raises(MeasurementError, match="x = 'logarithmic'"):
        flatness.plot.trends(measured, x="logarithmic")
    alone = measure(loop.network().eval(), loop.data()[0][:3])
    with pytest.raises(MeasurementError, match="has no checkpoints"):
        flatness.plot.trends(alone)


def test_titles_lie_within_the_figure():
    """The longest names, too."""
    names = ["nmls", "sqrt_sharpness", "local_dimension", "nvr", "input_gradient_norm"]
    dataset = xr.Dataset(
        {name: ("checkpoint", [1.0, 2.0]) for name in names},
        coords={"iteration": ("checkpoint", [0, 1])},
    )
    figure = series_figure({"": dataset}, names)
    figure.canvas.draw()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert len(boxes) == 5
    assert all(0 <= box.x0 < box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
