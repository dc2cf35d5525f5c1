"""The slack of every inequality over training."""

import json

import numpy as np
import pytest

from flatness.figures.slack import FAMILIES, SAME_AS_DRAWN, slack_figure
from tests.analysis.made_up import ITERATIONS, analysed, analysed_run
from tests.figures.drawn import assert_bands, assert_readable, legend, same_files, strong, texts

LOOK = {"title": "Slack of the inequalities", "sample_set": "train"}
NAMES = [
    "eq5_frobenius",
    "eq5_spectral",
    "eq11",
    "unshared_frobenius",
    "eq6_k1_input",
    "eq6_k1_all",
    "eq6_k2_input",
    "eq6_k2_all",
    "eq7_k1_input",
    "eq7_k1_all",
    "eq7_k2_input",
    "eq7_k2_all",
    "eq12_frobenius",
    "eq12_sharpness",
    "a_b",
    "b_c",
    "c_d",
    "eq13",
    "unshared_a_u",
    "unshared_u_v",
    "nmls",
    "nmls_unshared",
    "volume",
    "volume_mean",
    "volume_schwarz",
    "adaptive",
    "adaptive_input",
    "adaptive_all",
]
NO_LINEAR_LAYER = "the first layer is a convolution"
ABSENT = [name for name in NAMES if name[:3] in ("eq5", "eq6", "eq7", "a_b", "b_c", "c_d")]
ABSENT += ["eq13", "eq12_sharpness"]
ABSENT += [name for name in NAMES if name.startswith(("volume", "adaptive"))]


def made_up_run(seed=0, absent=(), **changes):
    """Slacks that differ between inequalities, checkpoints, sample sets and seeds."""
    draw = np.random.default_rng(seed)
    slack = {name: draw.uniform(0.2, 3, (8, 3)) for name in NAMES} | changes
    slack |= {f"eq7_k{k}_all": slack[f"eq6_k{k}_all"] for k in (1, 2)}
    slack |= dict.fromkeys(absent, np.nan)
    run = analysed_run(seed=seed, slack=slack)
    run["slack"].attrs["absent"] = json.dumps(dict.fromkeys(absent, NO_LINEAR_LAYER))
    return run


@pytest.fixture(scope="module")
def runs():
    return [made_up_run(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def figure(runs):
    return slack_figure(analysed(runs), **LOOK)


@pytest.fixture(scope="module")
def convolutional():
    return slack_figure(analysed([made_up_run(seed, ABSENT) for seed in range(2)]), **LOOK)


def panel_of(figure, start):
    return next(panel for panel in figure.axes if panel.get_title().startswith(start))


def slack_of(run, name, sample_set="train"):
    return run["slack"].sel(inequality=name, sample_set=sample_set).to_numpy()


def test_every_inequality_has_a_place():
    drawn = [name for labels in FAMILIES.values() for name in labels]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) | SAME_AS_DRAWN == set(NAMES)


def test_slacks_are_means_and_ranges_over_the_seeds(runs, figure):
    for panel, (title, labels) in zip(figure.axes, FAMILIES.items(), strict=True):
        expected = np.array([[slack_of(run, name) for run in runs] for name in labels])
        assert panel.get_title() == title
        assert np.allclose(strong(panel), expected.mean(1))
        assert_bands(panel, ITERATIONS, expected)
        assert legend(panel) == list(labels.values())
        assert panel.get_ylabel() == r"$\log_{10}(\mathrm{right}/\mathrm{left})$"
        zero = [line for line in panel.lines if list(line.get_ydata()) == [0, 0]]
        assert len(zero) == 1


def test_the_legend_has_the_look_of_the_curves(figure):
    for panel in figure.axes:
        drawn = [line for line in panel.lines if line.get_linewidth() > 1.2]
        handles = panel.get_legend().get_lines()
        assert [line.get_color() for line in handles] == [line.get_color() for line in drawn]
        assert len({line.get_color() for line in drawn}) == len(drawn)


def test_the_sample_set_is_a_choice(runs):
    figure = slack_figure(analysed(runs), **LOOK | {"sample_set": "test"})
    expected = np.mean([slack_of(run, "eq5_frobenius", "test") for run in runs], axis=0)
    assert np.allclose(strong(figure.axes[0])[0], expected)
    assert "Sample set “test”" in texts(figure)


def test_families_that_are_absent_have_no_panel_and_the_caption_says_why(convolutional):
    titles = [panel.get_title() for panel in convolutional.axes]
    assert titles == [
        "Per sample (tightest): Eq. 5, 11",
        "Averaged volume: Eq. 12",
        "First layer's output: U and V",
        "Network-wide sensitivity: NMLS",
    ]
    assert all(panel.lines and panel.axison for panel in convolutional.axes)
    assert (
        "Absent: Eq. 5, Frobenius norm and Eq. 5, spectral norm of “Per sample (tightest): Eq. 5, "
        "11”; “Means of powers $k$: Eq. 6, 7”; Frobenius norm ≤ sharpness of “Averaged volume: "
        "Eq. 12”; “Volume by the first layer's gradient”; “Maximum local sensitivity: Eq. 13, 28”; "
        f"“Relative to inputs and weights” ({NO_LINEAR_LAYER})."
    ) in texts(convolutional)
    assert "stand for the sides" not in texts(convolutional)
    assert "entry by entry" not in texts(convolutional)
    assert "B to D" not in texts(convolutional)


def test_absent_inequalities_of_a_family_leave_the_others(convolutional):
    panel = panel_of(convolutional, "Per sample")
    assert legend(panel) == ["Eq. 11, volume"]
    assert strong(panel).shape == (1, 8)


def test_different_reasons_in_a_family_are_all_given():
    run = made_up_run(absent=FAMILIES["Network-wide sensitivity: NMLS"])
    run["slack"].attrs["absent"] = json.dumps({"nmls": "one reason.", "nmls_unshared": "another"})
    text = texts(slack_figure(analysed([run]), **LOOK))
    family = "of “Network-wide sensitivity: NMLS”"
    assert f"Absent: bound by the sharpness {family} (one reason)." in text
    assert f"Absent: bound by layers' outputs {family} (another)." in text


def test_inequalities_that_were_not_stored_are_absent(figure):
    partial = slack_figure(analysed([analysed_run(slack={"a_b": 0.1, "b_c": 0.2})]), **LOOK)
    assert len(partial.axes) == 1
    assert "“Averaged volume: Eq. 12”" in texts(partial)
    assert "(no value is stored)." in texts(partial)
    assert np.allclose(strong(panel_of(partial, "Maximum")), [[0.1] * 8, [0.2] * 8])
    assert "Absent" not in texts(figure)
    assert_readable(partial)


def test_inequalities_without_a_place_are_named(figure):
    run = analysed_run(slack=dict.fromkeys([*NAMES, "eq6_k3_input", "eq6_k3_all"], 1))
    assert "Not shown: eq6_k3_all, eq6_k3_input." in texts(slack_figure(analysed([run]), **LOOK))
    assert "Not shown" not in texts(figure)


def test_infinite_slack_is_counted_and_not_drawn(figure):
    vacuous = np.ones((8, 3))
    vacuous[2:5] = np.inf
    runs = [made_up_run(0, nmls=vacuous), made_up_run(1)]
    with_gaps = slack_figure(analysed(runs), **LOOK)
    assert "3 values are infinite, so that the inequality says nothing" in texts(with_gaps)
    drawn = strong(panel_of(with_gaps, "Network-wide"))[0]
    assert list(np.flatnonzero(np.isnan(drawn))) == [2, 3, 4]
    assert "infinite" not in texts(figure)


def test_the_smallest_slack_is_named():
    low = np.ones((8, 3))
    low[3, 0], low[3, 1] = 0.0123, -1
    figure = slack_figure(analysed([made_up_run(0), made_up_run(1, b_c=low)]), **LOOK)
    text = "Smallest slack: 0.0123 (B ≤ C in “Maximum local sensitivity: Eq. 13, 28”)."
    assert text in texts(figure)


def test_a_right_side_of_zero_is_the_smallest_slack_and_does_not_say_nothing():
    violated = np.ones((8, 3))
    violated[3] = -np.inf
    figure = slack_figure(analysed([made_up_run(0, nmls=violated)]), **LOOK)
    assert "Smallest slack: -inf (bound by the sharpness in “Network-wide" in texts(figure)
    assert "says nothing" not in texts(figure)


def test_all_absent_is_no_failure():
    figure = slack_figure(analysed([made_up_run(absent=NAMES)]), **LOOK)
    assert not figure.axes
    assert "Absent: “Per sample" in texts(figure)
    assert "Smallest" not in texts(figure)
    assert_readable(figure)


def test_caption_and_provenance(figure):
    for expected in (
        "Slack of the inequalities: MLP (tanh) on numbers, trained with mse",
        "learning rate 0.1 and batch size 20",
        "mean over 3 seeds",
        "holds where its slack is at least 0",
        "U = t / n sum_i ||df_i/dz||_F",
        "the second step of Eq. 7 has the slack of that of Eq. 6",
        "3 runs, seeds 0, 1, 2",
        "commit c0ffee",
    ):
        assert expected in texts(figure)


def test_excluded_runs_are_named_and_not_averaged(runs, figure):
    diverged = analysed_run(seed=9, diverged=True).isel(checkpoint=slice(3))
    with_diverged = slack_figure(analysed([diverged, *runs]), **LOOK)
    text = "Excluded: mlp_numbers_lr0.1_bs20_seed9: the loss is not finite at iteration 7."
    assert text in texts(with_diverged)
    assert "Excluded" not in texts(figure)
    for before, after in zip(figure.axes, with_diverged.axes, strict=True):
        assert np.array_equal(strong(before), strong(after))


def test_a_figure_of_nothing_but_excluded_runs_says_so():
    figure = slack_figure(analysed([analysed_run(diverged=True)]), **LOOK)
    assert "Excluded: mlp_numbers_lr0.1_bs20_seed0" in texts(figure)
    assert_readable(figure)


def test_all_text_can_be_read(figure, convolutional):
    assert_readable(figure)
    assert_readable(convolutional)


def test_equal_figures_are_equal_files(runs, tmp_path):
    assert same_files([slack_figure(analysed(runs), **LOOK) for _ in range(2)], tmp_path)
