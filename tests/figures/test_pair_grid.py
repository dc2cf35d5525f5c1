"""Figures D.5 and D.6: pairs of quantities."""

import re

import numpy as np
import pytest
import scipy.stats
from matplotlib.colors import to_hex, to_rgb

from flatness.analysis.correlations import correlations
from flatness.figures.pair_grid import pair_grid_figure
from tests.analysis.made_up import ITERATIONS, analysed, analysed_run
from tests.figures.drawn import assert_readable, inside, same_files, texts

PAIRED = (
    "local_dimension",
    "sqrt_sharpness",
    "log_volume",
    "mean_input_gradient_sq_norm",
    "mls",
    "test_loss",
)
MORE = (*PAIRED, "mls_bound_c", "mls_bound_d")
SETTINGS = ((0.05, 20), (0.1, 8), (0.1, 20), (0.1, 32), (0.2, 20))
INTERVALS = {"confidence": 0.9, "bootstrap_draws": 100}
LOOK = {
    "title": "Figure D.5",
    "quantities": PAIRED,
    "seeds": None,
    "sample_set": "train",
    "interpolation_accuracy": 0.999,
    **INTERVALS,
}


def made_up_runs(seeds=2):
    runs = [
        analysed_run(learning_rate=rate, batch_size=size, seed=seed)
        for rate, size in SETTINGS
        for seed in range(seeds)
    ]
    for position, run in enumerate(runs):
        run["test_loss"] = ("checkpoint", np.linspace(1, 0.1 + 0.01 * (position % 7), 8))
    return runs


def final(runs, name, sample_set=0):
    """Means over the last fifth of the 6000 iterations, by hand: the checkpoints 5000 and 6000."""
    assert ITERATIONS[-3:] == (4000, 5000, 6000)
    values = []
    for run in runs:
        last = run[name].values[-2:]
        values.append((last if last.ndim == 1 else last[:, sample_set]).sum() / 2)
    return np.array(values)


def panel_at(figure, row, column, size=6):
    return figure.axes[row * size + column]


def points(panel):
    return np.concatenate([collection.get_offsets() for collection in panel.collections])


def cell(figure, row, column, size=6):
    """What the cell of a pair writes, None for what it lacks.

    Returns:
        rho, its intervals over seeds and over settings, n, and runs and rho of all seeds.
    """
    text = inside(panel_at(figure, min(row, column), max(row, column), size))
    number = r"(-?\d\.\d\d)"
    pair = f"{number}, {number}"
    found = re.fullmatch(
        rf"\$\\rho\$ = {number}(?: \[{pair}\])?(?: \({pair}\))?"
        rf"(?: n = (\d+))?(?: (\d+) runs: {number})?",
        text.replace("\N{MINUS SIGN}", "-"),
    )
    assert found, text
    rho, *ends, n, runs, every = found.groups()
    over_seeds, over_settings = (
        ends[start] and [float(end) for end in ends[start : start + 2]] for start in (0, 2)
    )
    of_all = runs and (int(runs), float(every))
    return float(rho), over_seeds, over_settings, n and int(n), of_all


@pytest.fixture(scope="module")
def runs():
    return made_up_runs()


@pytest.fixture(scope="module")
def figure(runs):
    return pair_grid_figure(analysed(runs), **LOOK)


def test_any_quantity_may_be_an_axis(runs):
    names = ("hessian_trace", "train_loss", "log_volume_top3")
    figure = pair_grid_figure(analysed(runs), **LOOK | {"quantities": names})
    for row, lower in enumerate(names):
        for column, left in enumerate(names[:row]):
            drawn = points(panel_at(figure, row, column, 3))
            expected = np.stack([final(runs, left), final(runs, lower)], axis=1)
            assert np.allclose(sorted(map(tuple, drawn)), sorted(map(tuple, expected)))
    rho = scipy.stats.pearsonr(final(runs, names[0]), final(runs, names[2]))[0]
    assert f"{rho:.2f}".replace("-", "\N{MINUS SIGN}") in inside(panel_at(figure, 0, 2, 3))


def test_points_are_final_values(runs, figure):
    for row, lower in enumerate(PAIRED):
        for column, left in enumerate(PAIRED[:row]):
            expected = np.transpose([final(runs, left), final(runs, lower)])
            drawn = points(panel_at(figure, row, column))
            assert np.allclose(drawn, expected)


def test_coefficients_are_those_of_scipy(runs, figure):
    signs = set()
    for row, lower in enumerate(PAIRED):
        for column, left in enumerate(PAIRED[:row]):
            expected = scipy.stats.linregress(final(runs, left), final(runs, lower)).rvalue
            rho, _, _, n, every = cell(figure, row, column)
            assert abs(rho - expected) <= 0.005 + 1e-12
            assert n is None
            assert every is None
            signs.add(np.sign(rho))
    assert {-1, 1} <= signs


def test_intervals_are_those_of_the_tables():
    runs = made_up_runs(seeds=4)
    figure = pair_grid_figure(analysed(runs), **LOOK)
    table = correlations(analysed(runs), sample_set="train", **INTERVALS)
    pearson = table.sel({"group": "pooled", "statistic": "pearson"})
    pair = pearson.sel(quantity="mls", other_quantity="test_loss")
    found = cell(figure, PAIRED.index("mls"), PAIRED.index("test_loss"))
    for name, ends in zip(("", "settings_"), found[1:3], strict=True):
        assert np.allclose(ends, [pair[f"{name}low"], pair[f"{name}high"]], atol=0.005)
    assert "90% intervals (bootstrap over whole seeds in square brackets" in texts(figure)
    assert_readable(figure)


def test_no_minus_stands_before_a_zero():
    """Two quantities whose correlation is just below zero: (1, 2, 1.001) against (1, 2, 3)."""
    runs = made_up_runs()[:3]
    for run, mls, volume in zip(runs, (1.001, 2, 1), (1, 2, 3), strict=True):
        run["mls"][:], run["log_volume"][:] = mls, volume
    found = inside(panel_at(pair_grid_figure(analysed(runs), **LOOK), 2, 4))
    assert found == r"$\rho$ = 0.00"


def test_every_quantity_has_a_column_and_a_row(figure):
    """Below the diagonal points, above it the coefficients of the same pairs."""
    for row in range(6):
        for column in range(6):
            panel = panel_at(figure, row, column)
            assert bool(panel.collections) == (row > column)
            assert bool(panel.patches) == (row < column)
    assert inside(panel_at(figure, 0, 5)).startswith(r"$\rho$ = ")
    assert panel_at(figure, 5, 0).get_ylabel() == "Test loss"


def test_the_tint_grows_with_the_coefficient(figure):
    cells = [(row, column) for row in range(6) for column in range(row)]
    ordered = sorted(cells, key=lambda place: cell(figure, *place)[0])
    tints = [
        to_rgb(panel_at(figure, column, row).patches[0].get_facecolor()) for row, column in ordered
    ]
    redness = [red - blue for red, _, blue in tints]
    assert (np.diff(redness) >= -1e-9).all()
    assert all(np.dot(tint, [0.2126, 0.7152, 0.0722]) > 0.5 for tint in tints)


def test_coefficients_over_all_seeds_stand_below_those_of_the_drawn(runs):
    every = made_up_runs(seeds=3)
    figure = pair_grid_figure(analysed(every), **LOOK | {"seeds": [0, 1]})
    drawn = [run for run in every if "seed2" not in run.attrs["run"]]
    for row, column in ((1, 0), (5, 4)):
        one, other = PAIRED[row], PAIRED[column]
        expected = [
            scipy.stats.linregress(final(of, one), final(of, other)).rvalue for of in (drawn, every)
        ]
        rho, _, _, _, (count, of_all) = cell(figure, row, column)
        assert np.allclose([rho, of_all], expected, atol=0.005 + 1e-12)
        assert count == 15
    assert len(points(panel_at(figure, 1, 0))) == 10
    assert "the same 10 runs" in texts(figure)
    assert "of all 15 runs of the study, which tables and claims give" in texts(figure)
    assert "10 runs, seeds 0, 1;" in texts(figure)
    assert_readable(figure)


def test_the_sample_set_is_a_choice_that_losses_do_not_have(runs):
    figure = pair_grid_figure(analysed(runs), **LOOK | {"sample_set": "test"})
    drawn = points(panel_at(figure, 5, 1))
    expected = final(runs, "sqrt_sharpness", 1)
    assert np.allclose(drawn, np.transpose([expected, final(runs, "test_loss")]))
    assert "sample set “test” (test loss: on all images)" in texts(figure)
    without = pair_grid_figure(analysed(runs), **LOOK | {"quantities": PAIRED[:2]})
    assert "on all images" not in texts(without)


def test_settings_differ_in_colour_and_marker_and_are_in_the_legend(figure):
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == [f"{rate:g}, {size}" for rate, size in SETTINGS]
    assert figure.legends[0].get_title().get_text() == (
        "learning rate of mse, batch size; hollow: train accuracy never reaches 99.9%"
    )
    handles = figure.legends[0].legend_handles
    assert len({(h.get_color(), h.get_marker()) for h in handles}) == 5
    assert len({h.get_color() for h in handles}) == 5
    filled = [c for c in panel_at(figure, 1, 0).collections if len(c.get_offsets())]
    for collection, handle in zip(filled, handles, strict=True):
        assert len(collection.get_offsets()) == 2
        assert to_hex(collection.get_facecolor()[0]) == to_hex(handle.get_color())


def test_runs_that_do_not_interpolate_are_hollow_and_counted(runs):
    some = [run.copy() for run in runs]
    for run in some[:3]:
        run["train_accuracy"] = run["train_accuracy"] * 0.99
    figure = pair_grid_figure(analysed(some), **LOOK)
    hollow = [c for c in panel_at(figure, 1, 0).collections if not len(c.get_facecolor())]
    drawn = np.concatenate([collection.get_offsets() for collection in hollow])
    expected = [final(some[:3], name) for name in PAIRED[:2]]
    assert np.allclose(drawn, np.transpose(expected))
    assert "Runs that never reach a train accuracy of 99.9%: 3 of 10." in texts(figure)


def test_ticks_keep_away_from_the_next_panel(figure):
    for row in range(1, 6):
        for column in range(row):
            panel = panel_at(figure, row, column)
            for axis in (panel.xaxis, panel.yaxis):
                low, high = axis.get_view_interval()
                places = (axis.get_majorticklocs() - low) / (high - low)
                assert len(places) == 2
                assert places.min() > 0.1
                assert places.max() < 0.9


def test_the_diagonal_names_the_quantities(figure):
    names = [inside(panel_at(figure, position, position)) for position in range(6)]
    assert names[1] == r"Square root of the sharpness $\sqrt{S}$"
    assert names[5] == "Test loss"
    assert panel_at(figure, 5, 0).get_xlabel() == r"$D_\mathrm{PR}$"


def test_values_that_are_not_finite_are_left_out_and_counted():
    runs = made_up_runs()
    runs[0]["log_volume"][-1, 0] = -np.inf
    runs[1]["log_volume"][-2, 0] = np.nan
    runs[2]["log_volume"][-3, 0] = -np.inf  # before the last fifth of the iterations
    figure = pair_grid_figure(analysed(runs), **LOOK)
    counted = runs[2:]
    expected = scipy.stats.linregress(final(counted, "mls"), final(counted, "log_volume")).rvalue
    rho, _, _, n, _ = cell(figure, 4, 2)
    assert abs(rho - expected) <= 0.005
    assert n == 8
    assert cell(figure, 4, 3)[3] is None
    text = r"Not finite and left out: Log volume $\log\,\mathrm{dVol}$ of 2 runs."
    assert text in texts(figure)
    low, high = panel_at(figure, 4, 2).get_xlim()
    assert low < final(counted, "log_volume").min()
    assert high > final(counted, "log_volume").max()


def test_an_absent_quantity_is_named_with_the_reason(runs):
    absent = [run.assign(mls_bound_d=run["mls_bound_d"] * np.nan) for run in runs]
    for run in absent:
        run["mls_bound_d"].attrs["absent"] = "the first layer is a convolution."
    figure = pair_grid_figure(
        analysed(absent), **LOOK | {"quantities": ("mls", "mls_bound_d", "nmls")}
    )
    text = (
        "Not finite and left out: Bound D of the maximum local sensitivity $D$ of 10 runs "
        "(the first layer is a convolution)."
    )
    assert text in texts(figure)
    assert inside(panel_at(figure, 0, 1, 3)) == "not defined"
    assert cell(figure, 2, 0, 3)[3] is None


def test_a_quantity_that_the_files_lack_is_named(runs):
    older = [run.drop_vars("nvr") for run in runs]
    figure = pair_grid_figure(analysed(older), **LOOK | {"quantities": ("mls", "nvr", "nmls")})
    text = "NVR of 10 runs (not known to the version that analysed the run)."
    assert text in texts(figure)
    assert inside(panel_at(figure, 0, 1, 3)) == "not defined"
    assert cell(figure, 2, 0, 3)[3] is None


def test_no_correlation_of_two_points_or_of_equal_values(runs):
    two = pair_grid_figure(analysed(runs[:2]), **LOOK)
    assert inside(panel_at(two, 0, 1)) == "not defined"
    equal = [run.assign(mls=run["mls"] * 0 + 3) for run in runs]
    figure = pair_grid_figure(analysed(equal), **LOOK)
    assert inside(panel_at(figure, 0, 4)) == "not defined"
    assert inside(panel_at(figure, 0, 3)) != "not defined"
    assert "none with fewer than 3 points or where a quantity does not vary" in texts(figure)


def test_few_seeds_or_settings_have_no_interval(runs, figure):
    _, over_seeds, over_settings, _, _ = cell(figure, 1, 0)
    assert over_seeds is None  # two seeds, five settings
    assert over_settings is not None
    rho, over_seeds, over_settings, _, _ = cell(pair_grid_figure(analysed(runs[:3]), **LOOK), 1, 0)
    assert -1 <= rho <= 1
    assert over_seeds is over_settings is None
    assert "none over fewer than 4 of them" in texts(figure)


def test_caption_and_provenance(figure):
    for expected in (
        "Figure D.5: MLP (tanh) on numbers, trained with mse",
        "final values of 10 runs",
        "10 runs, seeds 0, 1;",
        "commit c0ffee",
        "learning rates 0.05, 0.1, 0.2 and batch",
    ):
        assert expected in texts(figure)


def test_excluded_runs_are_named_and_not_drawn(runs, figure):
    diverged = analysed_run(learning_rate=0.4, diverged=True).isel(checkpoint=slice(3))
    with_diverged = pair_grid_figure(analysed([diverged, *runs]), **LOOK)
    text = "Excluded: mlp_numbers_lr0.4_bs20_seed0: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    assert len(with_diverged.legends[0].get_texts()) == 5
    one, other = (panel_at(each, 1, 0) for each in (figure, with_diverged))
    assert np.array_equal(points(one), points(other))
    assert cell(figure, 1, 0) == cell(with_diverged, 1, 0)


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = pair_grid_figure(analysed([analysed_run(diverged=True)]), **LOOK)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert "final values of 0 runs" in texts(figure)
    assert_readable(figure)


@pytest.mark.parametrize("quantities", [PAIRED[:2], PAIRED, MORE])
def test_all_text_can_be_read(runs, quantities):
    assert_readable(pair_grid_figure(analysed(runs), **LOOK | {"quantities": quantities}))


def test_equal_figures_are_equal_files(runs, tmp_path):
    assert same_files([pair_grid_figure(analysed(runs), **LOOK) for _ in range(2)], tmp_path)
