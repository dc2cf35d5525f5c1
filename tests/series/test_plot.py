"""Figures of one's own checkpoints."""

from itertools import combinations

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import flatness
from flatness import measure, measure_checkpoints
from flatness.errors import MeasurementError
from flatness.figures.chain import CHAIN
from flatness.figures.labels import label
from flatness.figures.series import series_figure
from flatness.storage import write_dataset
from tests.series import loop


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
    with pytest.raises(MeasurementError, match=r"has no checkpoints"):
        flatness.plot.trends(alone)


def test_titles_lie_within_the_figure():
    """The longest names, too."""
    names = ["nmls", "sqrt_sharpness", "local_dimension", "nvr", "mean_input_gradient_sq_norm"]
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


@pytest.fixture(scope="module")
def dense():
    """Checkpoints of networks whose first layer is linear, at two learning rates, by name."""
    inputs = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    targets = (inputs[:, 0] > 0).long()
    found = {}
    for rate in (0.1, 0.2, 0.4):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)).double()
        recorder = flatness.Recorder(inputs.double(), targets, every=2, progress=False)
        optimiser = torch.optim.SGD(model.parameters(), lr=rate)
        for iteration in range(21):
            recorder(model, iteration)
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(inputs.double()), targets).backward()
            optimiser.step()
        found[f"rate {rate}"] = recorder.dataset
    return found


def _lines(figure) -> dict[str, np.ndarray]:
    """What is drawn, by its entry in a legend."""
    return {
        line.get_label(): line.get_ydata()
        for panel in figure.axes
        for line in panel.get_lines()
        if not line.get_label().startswith("_")
    }


def test_the_chain_is_what_quantities_gives(dense):
    measured = dense["rate 0.1"]
    figure = flatness.plot.chain(measured)
    values = flatness.quantities(measured)
    for panel in figure.axes:
        drawn = [line.get_ydata() for line in panel.get_lines()]
        for ydata, name in zip(drawn, CHAIN.values(), strict=True):
            np.testing.assert_array_equal(ydata, values[name])
        assert panel.get_xlabel() == "iteration"


def test_slack_is_what_bounds_gives(dense):
    measured = dense["rate 0.2"]
    lines = _lines(flatness.plot.slack(measured))
    slack = flatness.bounds(measured)["slack"]
    np.testing.assert_array_equal(lines["A ≤ D (Eq. 13)"], slack.sel(inequality="eq13"))
    np.testing.assert_array_equal(lines["bound by the sharpness"], slack.sel(inequality="nmls"))


def test_the_lemma_has_a_point_for_each_checkpoint(dense):
    measured = dense["rate 0.4"]
    panel = flatness.plot.lemma(measured).axes[0]
    values = flatness.quantities(measured)
    expected = np.stack([values["mean_residual_norm"], values["hessian_gap"]], 1)
    np.testing.assert_array_equal(panel.collections[0].get_offsets(), expected)
    assert (expected > 0).all()


def test_pairs_are_final_values_and_their_correlation(dense):
    """The mean over the last fifth of 20 iterations: those after 16."""
    names = ["sqrt_sharpness", "mls"]
    figure = flatness.plot.pairs(dense, names)
    finals = np.array(
        [
            [float(flatness.quantities(each)[name][-2:].mean()) for name in names]
            for each in dense.values()
        ]
    )
    below = figure.axes[2]
    drawn = [points.get_offsets()[0] for points in below.collections]
    np.testing.assert_allclose(drawn, finals, rtol=1e-12)
    rho = np.corrcoef(finals.T)[0, 1]
    shown = figure.axes[1].texts[0].get_text().replace("\N{MINUS SIGN}", "-")
    assert shown == rf"$\rho$ = {rho:z.2f}"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(dense)


def test_networks_of_one_moment_make_pairs(dense):
    moments = {name: each.isel(checkpoint=-1) for name, each in dense.items()}
    below = flatness.plot.pairs(moments, ["mls", "log_volume"]).axes[2]
    value = float(flatness.quantities(moments["rate 0.1"])["mls"])
    assert below.collections[0].get_offsets()[0][0] == value


def test_what_cannot_be_drawn_is_said(measured, dense):
    with pytest.raises(MeasurementError, match=r"mls_bound_b cannot be drawn: .* Allowed: "):
        flatness.plot.chain(measured)
    for draw in (flatness.plot.chain, flatness.plot.slack, flatness.plot.lemma):
        with pytest.raises(MeasurementError, match=r"has no checkpoints"):
            draw(dense["rate 0.1"].isel(checkpoint=0))
    with pytest.raises(MeasurementError, match=r"hessian_gap cannot be drawn: is zero at every"):
        flatness.plot.lemma(measured)
    with pytest.raises(MeasurementError, match=r"'mls' cannot be drawn\. Allowed: two or more of "):
        flatness.plot.pairs(dense, ["mls"])
    with pytest.raises(MeasurementError, match="'x' cannot be drawn"):
        flatness.plot.pairs(dense, ["mls", "x"])


def test_values_that_are_close_have_a_linear_axis():
    """A logarithmic one would have the same label at every tick."""
    close = xr.Dataset(
        {"local_dimension": ("checkpoint", [1.0001, 1.0002])},
        coords={"iteration": ("checkpoint", [0, 1])},
    )
    for factor, scale in ((1, "linear"), (np.array([1, 3]), "log")):
        figure = series_figure(
            {"": close * factor}, ["local_dimension"], logarithmic=["local_dimension"]
        )
        assert figure.axes[0].get_yscale() == scale


def test_files_will_do(dense, tmp_path):
    write_dataset(dense["rate 0.1"], tmp_path / "run.nc")
    one, other = (
        _lines(flatness.plot.slack(each)) for each in (dense["rate 0.1"], tmp_path / "run.nc")
    )
    assert one.keys() == other.keys()
    names = {"a": str(tmp_path / "run.nc"), "b": dense["rate 0.2"], "c": dense["rate 0.4"]}
    assert len(flatness.plot.pairs(names, ["mls", "sharpness"]).axes) == 4
    assert len(flatness.plot.trends(tmp_path / "run.nc", "mls").axes) == 1
    for wrong in ([dense["rate 0.1"]], dense["rate 0.1"]):
        with pytest.raises(MeasurementError, match="Allowed: a mapping"):
            flatness.plot.pairs(wrong)
    with pytest.raises(MeasurementError, match=r"measured: a int\. Allowed: a Dataset"):
        flatness.plot.chain(3)


def test_squares_are_drawn_where_roots_were_not_asked_for():
    inputs, _ = loop.data()
    model = loop.network()
    found = measure_checkpoints(
        model, {0: model.state_dict()}, inputs[:5], only=("sharpness", "mls")
    )
    assert set(_drawn(flatness.plot.trends(found))) == {
        label("sharpness"),
        label("mls"),
    }
