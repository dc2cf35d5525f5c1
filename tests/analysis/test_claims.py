"""The statistics of the claims: against scipy, by hand, and what they leave out."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from flatness.analysis.bootstrap import FEWEST_FOR_INTERVAL, draws
from flatness.analysis.claims import COLUMNS, judge
from flatness.analysis.claims.coefficients import pearson, spearman
from flatness.analysis.claims.curves import FEWEST_CHECKPOINTS, LEVEL
from flatness.analysis.claims.lemma_a1 import VANISHES
from flatness.analysis.claims.the_claims import MLP, PARTS, VGG10
from flatness.analysis.claims.verdicts import (
    CORRELATES,
    DIRECTION,
    HALF,
    NEARLY_THE_SAME,
    NOT_TESTABLE,
    REPRODUCED,
    VERDICTS,
)
from flatness.analysis.seeds import settings_of
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import QUANTITIES
from flatness.tables.claim_table import definitions
from made_up import ITERATIONS, analysed_run

LOOK = {"interpolation_accuracy": 0.999, "confidence": 0.9, "resamples": 60}
SETTINGS = ((0.05, 20), (0.1, 20), (0.2, 20), (0.1, 8), (0.1, 32))
# Sharpness levels off at the fifth checkpoint, within 10 % of its final value.
LEVELLING = np.array([9.0, 7, 5, 3, 1.05, 0.95, 1.02, 1])[:, None]


def study(network: str, seeds: int = 3) -> list[xr.Dataset]:
    """Five settings with random numbers, whose sharpness levels off for all that."""
    runs = []
    for rate, size in SETTINGS:
        for seed in range(seeds):
            draw = np.random.default_rng([len(network), int(1e3 * rate), size, seed])
            runs.append(
                analysed_run(
                    study=network,
                    network=network,
                    learning_rate=rate,
                    batch_size=size,
                    seed=seed,
                    sqrt_sharpness=LEVELLING * draw.uniform(0.98, 1.02, (8, 3)),
                    test_loss=draw.uniform(0.5, 1, 8),
                    slack={name: draw.uniform(0, 2, (8, 3)) for name in ("a_b", "b_c", "c_d")},
                )
            )
    return runs


@pytest.fixture(scope="module")
def studies() -> dict[str, list[xr.Dataset]]:
    return {VGG10: study("vgg10"), MLP: study("mlp")}


@pytest.fixture(scope="module")
def frame(studies) -> pd.DataFrame:
    return judge(studies[VGG10], studies[MLP], **LOOK)


def row_of(frame: pd.DataFrame, network: str, part: str):
    chosen = frame["claim"].astype(str) + frame["part"] == part
    (row,) = frame[chosen & (frame["network"] == network)].itertuples()
    return row


# --- the same numbers, computed another way ---------------------------------------


def values(run: xr.Dataset, name: str, sample_set: str = "train") -> np.ndarray:
    variable = run[name]
    return (variable.sel(sample_set=sample_set) if variable.ndim > 1 else variable).to_numpy()


def trend(first: str, second: str, checkpoints: slice = slice(None), sample_set: str = "train"):
    def of(run: xr.Dataset) -> float:
        pair = [values(run, name, sample_set)[checkpoints] for name in (first, second)]
        return scipy.stats.spearmanr(*pair).statistic

    return lambda runs: np.mean([of(run) for run in runs])


def trend_squared(first: str, second: str, checkpoints: slice):
    def mean(runs: list[xr.Dataset]) -> float:
        return np.mean([trend(first, second, checkpoints)([run]) ** 2 for run in runs])

    return mean


def effect(setting: str, name: str):
    def coefficient(runs: list[xr.Dataset]) -> float:
        settings = [settings_of(run)[setting] for run in runs]
        return scipy.stats.spearmanr(settings, [values(run, name)[-1] for run in runs]).statistic

    return coefficient


def rho(first: str, second: str):
    def coefficient(runs: list[xr.Dataset]) -> float:
        return scipy.stats.pearsonr(
            [values(run, first)[-1] for run in runs], [values(run, second)[-1] for run in runs]
        ).statistic

    return coefficient


def better(first: str, second: str):
    return lambda runs: abs(rho(first, "test_loss")(runs)) - abs(rho(second, "test_loss")(runs))


def misclassified(name: str, compare):
    return lambda runs: np.mean(
        [
            compare(values(run, name, "misclassified")[-1], values(run, name, "test")[-1])
            for run in runs
        ]
    )


def early_share(runs: list[xr.Dataset]) -> float:
    shares = []
    for run in runs:
        start, *others = values(run, "local_dimension")
        (within,) = others[:1]  # 100 of 6000 iterations; the next checkpoint is at 1000
        fall = start - min(others)
        shares.append(max(start - within, 0) / fall if fall > 0 else 0)
    return np.mean(shares)


def slack(run: xr.Dataset, name: str) -> np.ndarray:
    return run["slack"].sel(inequality=name, sample_set="train").to_numpy()


def wider(first: str, second: str):
    return lambda runs: np.mean([np.mean(slack(run, first) - slack(run, second)) for run in runs])


def relative_gap(runs: list[xr.Dataset]) -> float:
    gaps = [values(run, "hessian_gap") / values(run, "sharpness") for run in runs]
    return np.mean([np.log10(gap[-1]) - np.log10(gap[0]) for gap in gaps])


LATE = slice(2, None)
LEVELLED_OFF = slice(4, None)
BETWEEN_QUANTITIES = {
    "7a": rho("input_gradient_norm", "mls"),
    "7b": rho("log_volume", "sqrt_sharpness"),
    "7c": rho("log_volume", "mls"),
    "7d": rho("sqrt_sharpness", "test_loss"),
    "7e": better("mls", "log_volume"),
    "7f": better("mls", "local_dimension"),
}
LEMMA = {"10a": trend("hessian_gap", "mean_residual_norm"), "10b": relative_gap}
EXPECTED = {
    VGG10: {
        "1a": trend("sqrt_sharpness", "log_volume", LATE),
        "1b": trend("iteration", "sqrt_sharpness", LATE),
        "1c": trend("iteration", "log_volume", LATE),
        "2a": effect("learning_rate", "sqrt_sharpness"),
        "2b": effect("learning_rate", "log_volume"),
        "2c": effect("learning_rate", "input_gradient_norm"),
        "3a": effect("batch_size", "sqrt_sharpness"),
        "3b": effect("batch_size", "log_volume"),
        "4a": early_share,
        "4b": trend_squared("sqrt_sharpness", "local_dimension", LATE),
        "5a": trend("iteration", "sqrt_sharpness", sample_set="test"),
        "5b": trend("iteration", "input_gradient_norm", sample_set="test"),
        "5c": trend("iteration", "log_volume", sample_set="test"),
        "5d": misclassified("sqrt_sharpness", lambda one, other: np.log10(one) - np.log10(other)),
        "5e": misclassified("log_volume", lambda one, other: one - other),
        **BETWEEN_QUANTITIES,
        **LEMMA,
    },
    MLP: {
        "6a": lambda runs: min(
            slack(run, name).min() for run in runs for name in ("a_b", "b_c", "c_d")
        ),
        "6b": wider("c_d", "a_b"),
        "6c": wider("c_d", "b_c"),
        **BETWEEN_QUANTITIES,
        "8a": rho("mls_bound_c", "mls"),
        "8b": rho("mls_bound_d", "mls"),
        "9a": effect("learning_rate", "sqrt_sharpness"),
        "9b": effect("learning_rate", "log_volume"),
        "9c": effect("batch_size", "sqrt_sharpness"),
        "9d": effect("batch_size", "log_volume"),
        "9e": trend("input_gradient_norm", "sqrt_sharpness"),
        "9f": trend("iteration", "log_volume", LEVELLED_OFF),
        **LEMMA,
    },
}
KEYS = [(part.network, f"{part.claim}{part.part}") for part in PARTS]
AT_ONE_BATCH_SIZE = ("2a", "2b", "2c", "9a", "9b")
AT_ONE_LEARNING_RATE = ("3a", "3b", "9c", "9d")


def runs_of(studies, network: str, part: str) -> list[xr.Dataset]:
    runs = studies[network]
    if part in AT_ONE_BATCH_SIZE:
        return [run for run in runs if settings_of(run)["batch_size"] == 20]
    if part in AT_ONE_LEARNING_RATE:
        return [run for run in runs if settings_of(run)["learning_rate"] == 0.1]
    return runs


@pytest.mark.parametrize(("network", "part"), KEYS)
def test_every_value_is_what_scipy_gives(studies, frame, network, part):
    runs = runs_of(studies, network, part)
    row = row_of(frame, network, part)
    assert np.isclose(row.value, EXPECTED[network][part](runs), rtol=0, atol=1e-11)
    assert row.n == len(runs) == (9 if part in AT_ONE_BATCH_SIZE + AT_ONE_LEARNING_RATE else 15)
    assert row.reason == ""


@pytest.mark.parametrize(("network", "part"), [key for key in KEYS if key[1] != "6a"])
def test_every_interval_is_that_of_a_plain_bootstrap(studies, frame, network, part):
    runs = runs_of(studies, network, part)
    drawn = [
        EXPECTED[network][part]([runs[position] for position in positions])
        for positions in draws(len(runs), LOOK["resamples"])
    ]
    row = row_of(frame, network, part)
    assert np.allclose([row.low, row.high], np.nanquantile(drawn, [0.05, 0.95]), rtol=0, atol=1e-11)
    assert row.low < row.value < row.high


@pytest.mark.parametrize(("dtype", "eps"), [("float32", 2.0**-23), ("float64", 2.0**-52)])
def test_the_interval_of_6a_is_the_rounding_of_the_run(dtype, eps):
    below = {"a_b": 0.1, "b_c": -1e-6, "c_d": 0.9}
    runs = [analysed_run(slack=below, seed=seed) for seed in range(2)]
    for run in runs:
        run.attrs["dtype"] = dtype
    row = row_of(judge([], runs, **LOOK), MLP, "6a")
    assert (row.value, row.low, row.n) == (-1e-6, -1e-6, 2)
    assert np.isclose(row.high - row.low, 100 * eps / np.log(10), rtol=1e-4)
    assert row.verdict == {"float32": "undecided", "float64": "not reproduced"}[dtype]


def test_an_infinite_slack_holds_or_fails_all_the_same():
    for infinite, expected in ((np.inf, REPRODUCED), (-np.inf, "not reproduced")):
        runs = [analysed_run(slack={"a_b": 0.1, "b_c": 0.2, "c_d": infinite}) for _ in range(4)]
        frame = judge([], runs, **LOOK)
        assert row_of(frame, MLP, "6a").verdict == expected
        row = row_of(frame, MLP, "6b")
        assert row.verdict == NOT_TESTABLE
        assert row.reason == "Not counted, all 4 runs: the slack of c_d or a_b is infinite."


# --- worked by hand ---------------------------------------------------------------


def hand_made(seed: int) -> xr.Dataset:
    return analysed_run(
        network="vgg10",
        seed=seed,
        # Late ranks 1 to 6 against 4, 1, 5, 6, 2, 3: rho = 1 - 6 * 36 / (6 * 35) = -1 / 35.
        sqrt_sharpness=np.array([[8, 7, 1, 2, 3, 4, 5, 6]]).T * [1, 2, 0.2],
        # Falls from 12 to 9 by iteration 100 of 6000, and by 4 at most: 3 / 4.
        local_dimension=np.array([12, 9, 11, 8, 11.5, 11.8, 9.5, 10])[:, None],
        # Gap / sharpness falls from 8 / 2 to 1 / 5: log10(1 / 20).
        hessian_gap=np.array([8, 7, 6, 5, 4, 3, 2, 1])[:, None],
        sharpness=np.array([2, 3, 3, 3, 3, 3, 3, 5])[:, None],
        mean_residual_norm=np.array([9, 8, 7, 6, 5, 4, 2, 3])[:, None],
        log_volume=[0, -12, -9.5],
    )


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("1b", 1),
        ("4a", 3 / 4),
        # Late ranks of local dimensionality 4, 1, 5, 6, 2, 3.
        ("4b", 1 / 35**2),
        ("5d", -1),
        ("5e", 2.5),
        # All ranks agree but two neighbours: 1 - 6 * 2 / (8 * 63).
        ("10a", 1 - 1 / 42),
        ("10b", np.log10(1 / 20)),
    ],
)
def test_a_case_worked_by_hand(part, expected):
    frame = judge([hand_made(seed) for seed in range(4)], [], **LOOK)
    row = row_of(frame, VGG10, part)
    assert np.allclose([row.value, row.low, row.high], expected)


def test_levelling_off_is_within_a_tenth_of_the_final_value():
    def volume_falls_from(checkpoint: int) -> np.ndarray:
        return np.where(np.arange(8) < checkpoint, np.arange(8), -np.arange(8.0))[:, None]

    for nearest, expected in ((1.09, -1), (1.11, NOT_TESTABLE)):
        sharpness = np.array([9, 9, 9, 9, nearest, 1, 1, 1])[:, None]
        runs = [
            analysed_run(seed=seed, sqrt_sharpness=sharpness, log_volume=volume_falls_from(4))
            for seed in range(4)
        ]
        row = row_of(judge([], runs, **LOOK), MLP, "9f")
        if expected == NOT_TESTABLE:
            assert row.verdict == NOT_TESTABLE
            assert row.reason == (
                "Not counted, all 4 runs: fewer than 4 checkpoints since sqrt_sharpness has "
                "levelled off."
            )
        else:
            assert row.value == expected


@pytest.mark.parametrize(
    "values",
    [
        # To 8 by iteration 300 although back at 10 by iteration 600, and to 4 later.
        [12, 11, 8, 10, 6, 4, 9, 9],
        # To 8 at iteration 600 itself.
        [12, 12, 12, 8, 4, 4, 4, 4],
    ],
)
def test_the_largest_early_fall_counts_up_to_a_tenth_of_the_iterations(values):
    iteration = ("checkpoint", [0, 100, 300, 600, 601, 2000, 4000, 6000])
    runs = [analysed_run(seed=seed, local_dimension=np.array(values)[:, None]) for seed in range(4)]
    runs = [run.assign_coords(iteration=iteration) for run in runs]
    assert row_of(judge(runs, [], **LOOK), VGG10, "4a").value == 4 / 8


def test_a_dimension_that_never_falls_has_no_early_fall():
    rising = np.arange(1.0, 9)[:, None]
    runs = [analysed_run(network="vgg10", seed=seed, local_dimension=rising) for seed in range(4)]
    row = row_of(judge(runs, [], **LOOK), VGG10, "4a")
    assert (row.value, row.verdict, row.n) == (0, "not reproduced", 4)


# --- coefficients -----------------------------------------------------------------


def test_coefficients_of_many_draws_are_scipys():
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(2, 50, 12)).round(1)  # with ties
    for many, one in ((pearson, scipy.stats.pearsonr), (spearman, scipy.stats.spearmanr)):
        expected = [one(*pair).statistic for pair in zip(first, second, strict=True)]
        assert np.allclose(many(first, second), expected, rtol=0, atol=1e-11)


def test_a_constant_has_no_coefficient_even_where_its_mean_rounds():
    constant = np.full((1, 7), 0.1)
    assert constant.mean() != 0.1  # the deviations from it are not zero
    rising = np.arange(7.0)[None]
    for coefficient in (pearson, spearman):
        assert np.isnan(coefficient(constant, rising)).all()
        assert np.isnan(coefficient(rising, constant)).all()


def test_perfect_order_is_exactly_one():
    draw = np.random.default_rng(0)
    rising = np.sort(draw.uniform(size=(200, 7)))
    assert (spearman(rising, rising**2) == 1).all()
    assert (spearman(rising, -rising) == -1).all()
    assert (pearson(rising, 3 * rising - 1) == 1).all()


# --- which runs count -------------------------------------------------------------


@pytest.mark.parametrize("part", ["1a", "1b", "1c", "4b"])
def test_runs_without_a_late_phase_do_not_count(part):
    runs = study("vgg10", seeds=1)
    accuracy = {
        "never": np.full(8, 0.99),
        "too late": np.array([0, 0, 0, 0, 0, 0.9991, 1, 1]),
        "in time": np.array([0, 0, 0, 0, 0.9991, 1, 1, 1]),
    }
    extra = []
    for seed, (name, curve) in enumerate(accuracy.items(), start=7):
        run = analysed_run(network="vgg10", seed=seed, train_accuracy=curve)
        run.attrs["run"] = name
        extra.append(run)
    row = row_of(judge([*runs, *extra], [], **LOOK), VGG10, part)
    assert row.n == 6
    assert row.reason == (
        "Not counted, 1 of 8 runs: never reaches a training accuracy of 0.999 (never). "
        "Not counted, 1 of 8 runs: fewer than 4 late checkpoints (too late)."
    )


def test_the_late_phase_begins_at_the_accuracy_that_is_asked_for():
    curve = np.array([0, 0.9, 0.99, 0.99, 1, 1, 1, 1])
    sharpness = np.array([0, 0, 9, 8, 1, 2, 3, 4])[:, None]
    runs = [
        analysed_run(seed=seed, train_accuracy=curve, sqrt_sharpness=sharpness) for seed in range(4)
    ]
    late, early = (
        row_of(judge(runs, [], **LOOK | {"interpolation_accuracy": accuracy}), VGG10, "1b")
        for accuracy in (1.0, 0.99)
    )
    assert late.value == 1
    # Ranks 6, 5, 1, 2, 3, 4: rho = 1 - 6 * 50 / 210.
    assert np.isclose(early.value, 1 - 10 / 7)


@pytest.mark.parametrize(
    ("network", "part", "changed", "why"),
    [
        ("vgg10", "1c", {"log_volume": -np.inf}, "log_volume (train samples) is not finite"),
        ("vgg10", "7b", {"log_volume": -np.inf}, "log_volume (train samples) is not finite"),
        ("vgg10", "7d", {"test_loss": np.inf}, "test_loss is not finite"),
        ("vgg10", "5c", {"log_volume": -np.inf}, "log_volume (test samples) is not finite"),
        ("vgg10", "1b", {"sqrt_sharpness": 2}, "sqrt_sharpness is constant over late checkpoints"),
        ("vgg10", "5b", {"input_gradient_norm": 2}, "input_gradient_norm is constant over checkp"),
        ("vgg10", "5d", {"sqrt_sharpness": [1, 0, 1]}, "sqrt_sharpness is zero at the last"),
        ("vgg10", "5d", {"sqrt_sharpness": [1, 1, 0]}, "sqrt_sharpness is zero at the last"),
        ("vgg10", "5e", {"log_volume": [1, 1, np.nan]}, "log_volume (misclassified samples) is"),
        ("mlp", "9e", {"input_gradient_norm": 2}, "input_gradient_norm is constant over check"),
        ("mlp", "9f", {"sqrt_sharpness": np.nan}, "sqrt_sharpness (train samples) is not finite"),
        ("mlp", "10a", {"mean_residual_norm": 2}, "mean_residual_norm is constant over check"),
        ("mlp", "10b", {"sharpness": 0}, "sharpness is zero at the first or the last checkpoint"),
        (
            *("mlp", "10b", {"hessian_gap": np.arange(8)[:, None]}),
            "hessian_gap is zero at the first or the last checkpoint",
        ),
    ],
)
def test_a_run_for_which_a_statistic_is_not_defined_is_named(network, part, changed, why):
    runs = study(network, seeds=1)
    odd = analysed_run(study="odd", network=network, **changed)
    given = {network: [*runs, odd], "vgg10" if network == "mlp" else "mlp": []}
    row = row_of(judge(given["vgg10"], given["mlp"], **LOOK), network.upper(), part)
    assert row.n == 5
    assert row.reason.startswith(f"Not counted, 1 of 6 runs: {why}")
    assert row.reason.endswith("(odd_lr0.1_bs20_seed0).")


def test_values_that_a_statistic_does_not_need_may_be_absent():
    runs = study("vgg10", seeds=1)
    for run in runs:
        run["log_volume"][0] = -np.inf  # before the late phase, and not at the end
    frame = judge(runs, [], **LOOK)
    assert [row_of(frame, VGG10, part).n for part in ("1c", "7b", "5e", "5c")] == [5, 5, 5, 0]


def test_a_run_without_misclassified_samples_does_not_count():
    runs = study("vgg10", seeds=1)
    runs[2]["misclassified_total"][-1] = 0
    frame = judge(runs, [], **LOOK)
    for part in ("5d", "5e"):
        row = row_of(frame, VGG10, part)
        assert row.n == 4
        assert row.reason == (
            "Not counted, 1 of 5 runs: no test sample is misclassified at the last checkpoint "
            f"({runs[2].attrs['run']})."
        )
    assert row_of(frame, VGG10, "5a").n == 5


def test_an_absent_quantity_is_not_testable_with_its_own_reason():
    runs = study("mlp", seeds=1)
    for run in runs:
        run["mls_bound_c"][:] = np.nan
        run["mls_bound_c"].attrs["absent"] = "the first layer is a convolution"
    row = row_of(judge([], runs, **LOOK), MLP, "8a")
    assert row.verdict == NOT_TESTABLE
    assert row.reason == (
        "Not counted, all 5 runs: mls_bound_c is absent: the first layer is a convolution."
    )


def test_a_gap_that_is_zero_everywhere_is_not_testable_with_just_that_reason():
    runs = [analysed_run(network="vgg10", seed=seed, hessian_gap=0) for seed in range(5)]
    frame = judge(runs, [], **LOOK)
    for part in ("10a", "10b"):
        row = row_of(frame, VGG10, part)
        assert (row.verdict, row.n) == (NOT_TESTABLE, 0)
        assert row.reason == f"Not counted, all 5 runs: {VANISHES}."
    assert "piecewise linear in each layer's parameters" in VANISHES


def test_noise_in_the_trace_changes_nothing():
    runs = study("mlp", seeds=1)
    before = judge([], runs, **LOOK)
    for run in runs:
        run["hessian_trace_standard_error"][:] = 1e6
    pd.testing.assert_frame_equal(judge([], runs, **LOOK), before)


def test_a_run_without_an_early_checkpoint_has_no_early_fall():
    runs = study("vgg10", seeds=1)
    late = runs[0].isel(checkpoint=[0, *range(2, 8)])
    row = row_of(judge([late, *runs[1:]], [], **LOOK), VGG10, "4a")
    assert row.n == 4
    assert "there is no checkpoint in the first tenth after the start" in row.reason


def test_a_run_with_few_checkpoints_has_no_trend():
    runs = study("vgg10", seeds=1)
    short = runs[0].isel(checkpoint=slice(-3, None))
    row = row_of(judge([short, *runs[1:]], [], **LOOK), VGG10, "5a")
    assert row.n == 4
    assert f"fewer than 4 checkpoints ({short.attrs['run']})" in row.reason


def test_a_setting_that_does_not_differ_has_no_effect_to_test():
    runs = [
        analysed_run(network="vgg10", batch_size=size, seed=seed)
        for size in (8, 20)
        for seed in range(4)
    ]
    row = row_of(judge(runs, [], **LOOK), VGG10, "2a")
    assert (row.verdict, row.n) == (NOT_TESTABLE, 4)
    assert row.reason == "Not defined: learning_rate is the same in all runs that count."


def test_two_runs_on_a_line_are_no_correlation():
    runs = study("mlp", seeds=1)
    assert np.isnan(row_of(judge([], runs[:2], **LOOK), MLP, "8a").value)
    three = row_of(judge([], runs[:3], **LOOK), MLP, "8a")
    assert np.isclose(three.value, rho("mls_bound_c", "mls")(runs[:3]))
    assert np.isnan(three.low)
    assert three.verdict == NOT_TESTABLE
    one = row_of(judge([], runs[:1], **LOOK), MLP, "6b")
    assert np.isclose(one.value, wider("c_d", "a_b")(runs[:1]))


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        # The batch size with the most learning rates,
        ([(0.1, 8), (0.1, 8), (0.1, 8), (0.1, 20), (0.2, 20)], 20),
        # then that with the most runs,
        ([(0.1, 8), (0.2, 8), (0.1, 20), (0.2, 20), (0.2, 20)], 20),
        # then the smallest.
        ([(0.1, 20), (0.2, 20), (0.1, 8), (0.2, 8)], 8),
    ],
)
@pytest.mark.parametrize("diverged", [False, True])
def test_the_setting_is_chosen_by_what_was_planned(settings, chosen, diverged):
    runs = [
        analysed_run(learning_rate=rate, batch_size=size, seed=seed, diverged=diverged)
        for seed, (rate, size) in enumerate(settings)
    ]
    row = row_of(judge(runs, [], **LOOK), VGG10, "2a")
    assert row.statistic.endswith(f"runs at the batch size with the most learning rates ({chosen})")
    selected = sum(size == chosen for _, size in settings)
    assert row.n == (0 if diverged else selected)
    assert f"{selected} runs" in row.reason


# --- the table and the documentation ----------------------------------------------


def test_ten_claims_each_part_once(frame):
    assert tuple(frame.columns) == COLUMNS
    assert sorted(set(frame["claim"])) == list(range(1, 11))
    assert not frame.duplicated(["claim", "part", "network"]).any()
    assert list(frame["claim"]) == sorted(frame["claim"])
    for (_, _), rows in frame.groupby(["claim", "network"]):
        assert list(rows["part"]) == list("abcdef")[: len(rows)]
    assert set(frame["verdict"]) <= set(VERDICTS)
    assert set(frame["figure"]) == {
        *("fig1", "fig2", "fig3", "figD4", "figD5", "figD6", "figE7", "figE8", "figS3"),
    }
    for row in frame.itertuples():
        sign, threshold = row.comparison.split(" ")
        assert sign in (">", ">=", "<")
        assert float(threshold) == row.threshold


def test_statistics_speak_of_quantities_by_their_names(frame):
    known = {*PRIMITIVES, *QUANTITIES, "learning_rate", "batch_size", "a_b", "b_c", "c_d"}
    named = set(re.findall(r"[a-z]+(?:_[a-z]+)+", " ".join(frame["statistic"])))
    assert named <= known, named - known


def test_thresholds_follow_the_wording(frame):
    for row in frame.itertuples():
        wording = row.statement
        if re.search("almost the same|closely", wording):
            assert row.comparison == ">= 0.9", wording
        elif re.search("correlates well|together", wording):
            assert row.comparison == ">= 0.5", wording
        elif re.search("quickly|not explained", wording):
            assert row.threshold == 0.5, wording
        else:
            assert row.threshold == 0, wording


def test_the_same_runs_give_the_same_table(studies, frame):
    untouched = {name: [run.copy(deep=True) for run in runs] for name, runs in studies.items()}
    again = judge(studies[VGG10], studies[MLP], **LOOK)
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    for name, runs in studies.items():
        for run, before in zip(runs, untouched[name], strict=True):
            assert run.identical(before)


def test_the_documentation_lists_the_parts_as_they_are(root):
    text = (root / "docs/claims.md").read_text(encoding="utf-8")
    table = text.split("<!-- begin claims -->\n")[1].split("\n<!-- end claims -->")[0]
    assert table == definitions(), "put what claim_table.definitions() gives between the markers"


def test_the_documentation_states_the_constants(root):
    text = (root / "docs/claims.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r'^\| (".*?) \| .* \| ([\d.]+) \|$', text, re.MULTILINE))
    by_word = {
        word: float(number) for words, number in stated.items() for word in words.split(", ")
    }
    expected = {
        '"lower"': DIRECTION,
        '"correlates well"': CORRELATES,
        '"together"': CORRELATES,
        '"almost the same quantity"': NEARLY_THE_SAME,
        '"closely follows"': NEARLY_THE_SAME,
        '"quickly"': HALF,
        '"not explained by"': HALF,
    }
    assert len(stated) == 4
    assert {word: by_word[word] for word in expected} == expected
    verdicts = re.findall(r"^\| (\w[\w ]+) \| (?:the|fewer)", text, re.MULTILINE)
    assert verdicts == list(VERDICTS)
    for sentence in (
        f"fewer than {FEWEST_FOR_INTERVAL} runs count",
        f"fewer than {FEWEST_CHECKPOINTS} checkpoints",
        f"within {LEVEL:.0%} of its final value".replace("%", " %"),
        "log10(1 + 100 eps)",
        "a tenth of the run's iterations",
        "two of its standard errors",
    ):
        assert sentence in " ".join(text.split()), sentence


def test_the_made_up_run_is_as_these_tests_take_it():
    assert ITERATIONS[:3] == (0, 100, 1000)
    assert ITERATIONS[-1] == 6000
