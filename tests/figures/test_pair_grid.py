"""Figures D.5 and D.6: pairs of quantities."""

import re

import numpy as np
import pytest
import scipy.stats
from drawn import assert_readable, inside, same_files, texts
from matplotlib.colors import to_hex
from matplotlib.markers import MarkerStyle

from flatness.figures.pair_grid import pair_grid_figure
from made_up import analysed_run

QUANTITIES = (
    *("local_dimension", "sqrt_sharpness", "log_volume", "input_gradient_norm", "mls"),
    "test_loss",
)
MORE = (*QUANTITIES, "mls_bound_c", "mls_bound_d")
SETTINGS = ((0.05, 20), (0.1, 8), (0.1, 20), (0.1, 32), (0.2, 20))
LOOK = {"title": "Figure D.5", "quantities": QUANTITIES, "sample_set": "train"}


def made_up_runs():
    runs = [
        analysed_run(learning_rate=rate, batch_size=size, seed=seed)
        for rate, size in SETTINGS
        for seed in range(2)
    ]
    for position, run in enumerate(runs):
        run["test_loss"] = ("checkpoint", np.linspace(1, 0.1 + 0.01 * (position % 7), 8))
    return runs


def final(runs, name):
    """Values at the last checkpoint, by a loop of its own."""
    values = []
    for run in runs:
        last = run[name].values[-1]
        values.append(last if np.ndim(last) == 0 else last[0])
    return np.array(values)


def panel_at(figure, row, column, size=6):
    return figure.axes[row * size + column]


def points(panel):
    return np.concatenate([collection.get_offsets() for collection in panel.collections])


def correlation(panel):
    """What a panel writes, as (rho, n or None)."""
    text = inside(panel).replace("\N{MINUS SIGN}", "-")
    found = re.fullmatch(r"\$\\rho\$ = (-?\d\.\d\d)(?: \(n = (\d+)\))?", text)
    return float(found[1]), found[2] and int(found[2])


@pytest.fixture(scope="module")
def runs():
    return made_up_runs()


@pytest.fixture(scope="module")
def figure(runs):
    return pair_grid_figure(runs, **LOOK)


def test_points_are_the_last_values(runs, figure):
    for row, lower in enumerate(QUANTITIES):
        for column, left in enumerate(QUANTITIES[:row]):
            expected = np.transpose([final(runs, left), final(runs, lower)])
            assert np.array_equal(points(panel_at(figure, row, column)), expected)


def test_correlations_are_those_of_scipy(runs, figure):
    signs = set()
    for row, lower in enumerate(QUANTITIES):
        for column, left in enumerate(QUANTITIES[:row]):
            expected = scipy.stats.linregress(final(runs, left), final(runs, lower)).rvalue
            rho, count = correlation(panel_at(figure, row, column))
            assert abs(rho - expected) <= 0.005 + 1e-12
            assert count is None
            signs.add(np.sign(rho))
    assert {-1, 1} <= signs


def test_the_sample_set_is_a_choice_that_losses_do_not_have(runs):
    figure = pair_grid_figure(runs, **LOOK | {"sample_set": "test"})
    drawn = points(panel_at(figure, 5, 1))
    expected = [run["sqrt_sharpness"].values[-1, 1] for run in runs]
    assert np.array_equal(drawn, np.transpose([expected, final(runs, "test_loss")]))
    assert "sample set `test` (test loss: on all images)" in texts(figure)
    without = pair_grid_figure(runs, **LOOK | {"quantities": QUANTITIES[:2]})
    assert "on all images" not in texts(without)


def test_settings_differ_in_colour_and_marker_and_are_in_the_legend(figure):
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == [
        f"learning rate {rate:g}, batch size {size} (2 runs)" for rate, size in SETTINGS
    ]
    handles = figure.legends[0].legend_handles
    assert len({(h.get_color(), h.get_marker()) for h in handles}) == 5
    assert len({h.get_color() for h in handles}) == 5
    for collection, handle in zip(panel_at(figure, 1, 0).collections, handles, strict=True):
        assert len(collection.get_offsets()) == 2
        assert to_hex(collection.get_facecolor()[0]) == to_hex(handle.get_color())
        marker = MarkerStyle(handle.get_marker())
        path = marker.get_path().transformed(marker.get_transform())
        assert np.array_equal(collection.get_paths()[0].vertices, path.vertices)


def test_the_diagonal_names_the_quantities(figure):
    names = [inside(panel_at(figure, position, position)) for position in range(6)]
    assert names[1] == r"Square root of the sharpness $\sqrt{S}$"
    assert names[5] == "Test loss"
    assert panel_at(figure, 5, 0).get_xlabel() == r"$D_\mathrm{PR}$"
    assert panel_at(figure, 5, 0).get_ylabel() == "Test loss"
    for row in range(6):
        for column in range(row + 1, 6):
            panel = panel_at(figure, row, column)
            assert not panel.axison
            assert not panel.collections


def test_values_that_are_not_finite_are_left_out_and_counted():
    runs = made_up_runs()
    runs[0]["log_volume"][-1, 0] = -np.inf
    runs[1]["log_volume"][-1, 0] = np.nan
    runs[2]["log_volume"][-2, 0] = -np.inf  # not the last checkpoint
    figure = pair_grid_figure(runs, **LOOK)
    counted = runs[2:]
    expected = scipy.stats.linregress(final(counted, "mls"), final(counted, "log_volume")).rvalue
    rho, count = correlation(panel_at(figure, 4, 2))
    assert abs(rho - expected) <= 0.005
    assert count == 8
    assert correlation(panel_at(figure, 4, 3))[1] is None
    text = r"Not finite and left out: Log volume $\log\,\mathrm{dVol}$ of 2 runs."
    assert text in texts(figure)
    low, high = panel_at(figure, 4, 2).get_xlim()
    assert low < final(counted, "log_volume").min()
    assert high > final(counted, "log_volume").max()


def test_an_absent_quantity_is_named_with_the_reason(runs):
    absent = [run.assign(mls_bound_d=run["mls_bound_d"] * np.nan) for run in runs]
    for run in absent:
        run["mls_bound_d"].attrs["absent"] = "the first layer is a convolution"
    figure = pair_grid_figure(absent, **LOOK | {"quantities": ("mls", "mls_bound_d", "nmls")})
    text = (
        "Not finite and left out: Bound D of the maximum local sensitivity $D$ of 10 runs "
        "(the first layer is a convolution)."
    )
    assert text in texts(figure)
    assert inside(panel_at(figure, 1, 0, 3)) == ""
    assert correlation(panel_at(figure, 2, 0, 3))[1] is None


def test_no_correlation_of_two_points_or_of_equal_values(runs):
    two = pair_grid_figure(runs[:2], **LOOK)
    assert inside(panel_at(two, 1, 0)) == ""
    equal = [run.assign(mls=run["mls"] * 0 + 3) for run in runs]
    figure = pair_grid_figure(equal, **LOOK)
    assert inside(panel_at(figure, 4, 0)) == ""
    assert inside(panel_at(figure, 3, 0)) != ""
    assert "none with fewer than 3 points or where a quantity does not vary" in texts(figure)


def test_caption_and_provenance(figure):
    for expected in (
        *("Figure D.5: MLP on numbers", "Values at the last checkpoint of 10 runs"),
        *("10 runs, seeds 0, 1;", "commit c0ffee"),
    ):
        assert expected in texts(figure)


def test_excluded_runs_are_named_and_not_drawn(runs, figure):
    diverged = analysed_run(learning_rate=0.4, diverged=True).isel(checkpoint=slice(3))
    with_diverged = pair_grid_figure([diverged, *runs], **LOOK)
    text = "Excluded: mlp_numbers_lr0.4_bs20_seed0: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    assert "learning rate 0.4" not in str(with_diverged.legends[0].get_texts())
    one, other = (panel_at(each, 1, 0) for each in (figure, with_diverged))
    assert np.array_equal(points(one), points(other))


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = pair_grid_figure([analysed_run(diverged=True)], **LOOK)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert "Values at the last checkpoint of 0 runs" in texts(figure)
    assert_readable(figure)


@pytest.mark.parametrize("quantities", [QUANTITIES[:2], QUANTITIES, MORE])
def test_all_text_can_be_read(runs, quantities):
    figure = pair_grid_figure(runs, **LOOK | {"quantities": quantities})
    assert_readable(figure)
    for panel in figure.axes:
        if panel.collections:
            box = panel.texts[0].get_window_extent()
            assert not box.count_contains(panel.transData.transform(points(panel)))


def test_equal_figures_are_equal_files(runs, tmp_path):
    assert same_files([pair_grid_figure(runs, **LOOK) for _ in range(2)], tmp_path)
