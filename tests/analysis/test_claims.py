"""The statistics of the claims: against scipy, by hand, and what they leave out."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from flatness.analysis.claims.the_claims import PARTS
from flatness.analysis.claims.verdicts import (
    NOT_TESTABLE,
    REPRODUCED,
)
from flatness.analysis.statistics import drawn_positions
from flatness.settings.roles import MLP, VGG10
from tests.analysis.judged import LOOK, judge, only, row_of, study
from tests.analysis.made_up import ITERATIONS, analysed_run, settings_of


@pytest.fixture(scope="module")
def studies() -> dict[str, list[xr.Dataset]]:
    return {VGG10: study("vgg10"), MLP: study("mlp")}


@pytest.fixture(scope="module")
def frame(studies) -> pd.DataFrame:
    return judge(studies[VGG10], studies[MLP], **LOOK)


# --- the same numbers, computed another way ---------------------------------------
# Each takes seeds, lists of their runs; a seed that is drawn twice stands there twice.

TRAINING = slice(2, None)  # the evenly spaced checkpoints
LATE = slice(2, None)
LAST_HALF = slice(4, None)
LEVELLED_OFF = slice(4, None)
LAST_FIFTH = slice(6, None)


_KNOWN: dict[tuple, tuple[xr.Dataset, np.ndarray]] = {}


def values(run: xr.Dataset, name: str, sample_set: str = "train") -> np.ndarray:
    key = (id(run), name, sample_set)
    if key not in _KNOWN:  # a bootstrap asks for the same thousands of times
        variable = run[name]
        chosen = variable.sel(sample_set=sample_set) if variable.ndim > 1 else variable
        _KNOWN[key] = run, chosen.to_numpy()
    return _KNOWN[key][1]


def final(run: xr.Dataset, name: str, sample_set: str = "train") -> float:
    return np.mean(values(run, name, sample_set)[LAST_FIFTH])


def every(seeds: list[list[xr.Dataset]]) -> list[xr.Dataset]:
    return [run for runs in seeds for run in runs]


def mean_of(one_run):
    known = {}

    def mean(seeds: list[list[xr.Dataset]]) -> float:
        for run in every(seeds):
            known[id(run)] = known.get(id(run)) or (run, one_run(run))
        return np.mean([known[id(run)][1] for run in every(seeds)])

    return mean


def trend(
    first: str, second: str, checkpoints: slice = TRAINING, sample_set="train", second_set=None
):
    def of(run: xr.Dataset) -> float:
        one = values(run, first, sample_set)[checkpoints]
        other = values(run, second, second_set or sample_set)[checkpoints]
        return scipy.stats.spearmanr(one, other).statistic

    return of


def squared(one_run):
    return lambda run: one_run(run) ** 2


def effect(setting: str, name: str):
    def mean_slope(seeds: list[list[xr.Dataset]]) -> float:
        slopes = []
        for runs in seeds:
            x = np.log2([settings_of(run)[setting] for run in runs])
            y = np.array([final(run, name) for run in runs])
            slopes.append(np.polyfit(x, y if name == "log_volume" else np.log10(y), 1)[0])
        return np.mean(slopes)

    return mean_slope


def rho(first: str, second: str):
    def coefficient(seeds: list[list[xr.Dataset]]) -> float:
        runs = every(seeds)
        return scipy.stats.pearsonr(
            [final(run, first) for run in runs], [final(run, second) for run in runs]
        ).statistic

    return coefficient


def more(first: str, second: str, target: str):
    return lambda seeds: rho(first, target)(seeds) - rho(second, target)(seeds)


def misclassified(name: str, compare):
    return mean_of(lambda run: compare(final(run, name, "misclassified"), final(run, name, "test")))


def early_share(run: xr.Dataset) -> float:
    start, *others = values(run, "local_dimension")
    (within,) = others[:1]  # 100 of 6000 iterations; the next checkpoint is at 1000
    fall = start - min(others)
    return max(start - within, 0) / fall if fall > 0 else 0


def slack(run: xr.Dataset, name: str) -> np.ndarray:
    return run["slack"].sel(inequality=name, sample_set="train").to_numpy()


def gaps(run: xr.Dataset, upper: str, middle: str, lower: str, bottom: str) -> float:
    one, other, third, fourth = (values(run, n)[TRAINING] for n in (upper, middle, lower, bottom))
    return np.mean(one - other - third + fourth)


def relative_gap(run: xr.Dataset) -> float:
    start = values(run, "hessian_gap")[0] / values(run, "sharpness")[0]
    return np.log10(final(run, "hessian_gap") / final(run, "sharpness") / start)


def fitted(run: xr.Dataset, name: str, checkpoints: slice) -> float:
    """Slope of a straight line, per iteration."""
    return np.polyfit(values(run, "iteration")[checkpoints], values(run, name)[checkpoints], 1)[0]


def change(run: xr.Dataset) -> float:
    mean = values(run, "sqrt_sharpness")[LAST_HALF].mean()
    return abs(fitted(run, "sqrt_sharpness", LAST_HALF)) * 3000 / mean


def slower(run: xr.Dataset) -> float:
    # Evenly spaced from the third checkpoint on; the fifth belongs to both.
    return fitted(run, "log_volume", slice(4, None)) / fitted(run, "log_volume", slice(2, 5))


BETTER = {
    name: (more("mls", other, "test_loss"), rho("mls", "test_loss"))
    for name, other in (("7e", "log_volume"), ("7f", "local_dimension"))
}
BETWEEN_QUANTITIES = {
    "7a": rho("mean_input_gradient_sq_norm", "mls"),
    "7b": rho("log_volume", "sqrt_sharpness"),
    "7c": rho("log_volume", "mls"),
    "7d": rho("sqrt_sharpness", "test_loss"),
    **BETTER,
    "7g": (rho("mls", "test_loss"), rho("log_volume", "test_loss")),
    "7h": rho("mls", "sqrt_sharpness"),
    "7i": more("mls", "log_volume", "sqrt_sharpness"),
}
LEMMA = {
    "10a": mean_of(trend("hessian_gap", "mean_residual_norm", slice(None))),
    "10b": mean_of(relative_gap),
}
EXPECTED = {
    VGG10: {
        "1a": mean_of(trend("sqrt_sharpness", "log_volume", LATE)),
        "1b": mean_of(trend("iteration", "sqrt_sharpness", LATE)),
        "1c": mean_of(trend("iteration", "log_volume", LATE)),
        "1d": mean_of(trend("iteration", "mean_input_gradient_sq_norm", LATE)),
        "2a": effect("learning_rate", "sqrt_sharpness"),
        "2b": effect("learning_rate", "log_volume"),
        "2c": effect("learning_rate", "mean_input_gradient_sq_norm"),
        "3a": effect("batch_size", "sqrt_sharpness"),
        "3b": effect("batch_size", "log_volume"),
        "3c": (mean_of(change), mean_of(trend("iteration", "log_volume", LAST_HALF))),
        "4a": mean_of(early_share),
        "4b": mean_of(squared(trend("sqrt_sharpness", "local_dimension", LATE))),
        "5a": mean_of(trend("iteration", "sqrt_sharpness", sample_set="test")),
        "5b": mean_of(trend("iteration", "mean_input_gradient_sq_norm", sample_set="test")),
        "5c": mean_of(trend("log_volume", "log_volume", sample_set="test", second_set="train")),
        "5d": misclassified("sqrt_sharpness", lambda one, other: np.log10(one) - np.log10(other)),
        "5e": misclassified("log_volume", lambda one, other: one - other),
        **BETWEEN_QUANTITIES,
        **LEMMA,
    },
    MLP: {
        "6a": lambda seeds: min(
            slack(run, name).min() for run in every(seeds) for name in ("a_b", "b_c", "c_d")
        ),
        "6b": mean_of(lambda run: gaps(run, "mls_bound_d", "mls_bound_c", "mls_bound_b", "mls")),
        "6c": mean_of(
            lambda run: gaps(run, "mls_bound_d", "mls_bound_c", "mls_bound_c", "mls_bound_b")
        ),
        **BETWEEN_QUANTITIES,
        "8a": rho("mls_bound_c", "mls"),
        "8b": rho("mls_bound_d", "mls"),
        "8c": rho("mls_bound_d", "test_loss"),
        "9a": effect("learning_rate", "sqrt_sharpness"),
        "9b": effect("learning_rate", "log_volume"),
        "9c": effect("batch_size", "sqrt_sharpness"),
        "9d": effect("batch_size", "log_volume"),
        "9e": mean_of(trend("mean_input_gradient_sq_norm", "sqrt_sharpness")),
        "9f": mean_of(trend("iteration", "log_volume", LEVELLED_OFF)),
        "9g": mean_of(slower),
        **LEMMA,
    },
}
KEYS = [(part.role, part.name) for part in PARTS]
AT_ONE_BATCH_SIZE = ("2a", "2b", "2c", "9a", "9b")
AT_ONE_LEARNING_RATE = ("3a", "3b", "9c", "9d")
WITH_SETTINGS = [key for key in KEYS if key[1][0] in "78"]


def runs_of(studies, network: str, part: str) -> list[xr.Dataset]:
    runs = studies[network]
    if part in AT_ONE_BATCH_SIZE:
        return [run for run in runs if settings_of(run)["batch_size"] == 20]
    if part in AT_ONE_LEARNING_RATE:
        return [run for run in runs if settings_of(run)["learning_rate"] == 0.1]
    if part == "3c":
        return [run for run in runs if settings_of(run)["batch_size"] == 32]
    return runs


def groups(runs: list[xr.Dataset], *keys: str) -> list[list[xr.Dataset]]:
    """Runs that share these settings, in increasing order of them."""
    names = sorted({tuple(settings_of(run)[key] for key in keys) for run in runs})
    return [
        [run for run in runs if tuple(settings_of(run)[key] for key in keys) == name]
        for name in names
    ]


def expected(network: str, part: str) -> tuple:
    functions = EXPECTED[network][part]
    return functions if isinstance(functions, tuple) else (functions,)


def numbers(row, *names: str) -> list[list[float]]:
    """Of each condition of a row."""
    prefixes = ("", "second_") if row.second_comparison else ("",)
    return [[getattr(row, f"{prefix}{name}") for name in names] for prefix in prefixes]


@pytest.mark.parametrize(("network", "part"), KEYS)
def test_every_value_is_what_numpy_and_scipy_give(studies, frame, network, part):
    runs = runs_of(studies, network, part)
    row = row_of(frame, network, part)
    wanted = [function(groups(runs, "seed")) for function in expected(network, part)]
    assert np.allclose(np.ravel(numbers(row, "value")), wanted, rtol=0, atol=1e-11)
    assert (row.n, row.seeds) == (len(runs), 4)
    assert row.reason == ""


def plain_bootstrap(function, drawn_together: list[list[xr.Dataset]]) -> np.ndarray:
    """The interval by drawing whole groups of runs, and computing each draw anew."""
    found = [
        function([drawn_together[position] for position in positions])
        for positions in drawn_positions(len(drawn_together), LOOK["bootstrap_draws"])
    ]
    return np.nanquantile(found, [0.05, 0.95])


@pytest.mark.parametrize(("network", "part"), [key for key in KEYS if key[1] != "6a"])
def test_every_interval_is_that_of_a_plain_bootstrap_over_seeds(studies, frame, network, part):
    seeds = groups(runs_of(studies, network, part), "seed")
    row = row_of(frame, network, part)
    wanted = [plain_bootstrap(function, seeds) for function in expected(network, part)]
    assert np.allclose(numbers(row, "low", "high"), wanted, rtol=0, atol=1e-11)
    assert row.low < row.value < row.high


@pytest.mark.parametrize(("network", "part"), WITH_SETTINGS)
def test_correlations_across_runs_have_an_interval_over_settings(studies, frame, network, part):
    settings = groups(studies[network], "learning_rate", "batch_size")
    row = row_of(frame, network, part)
    wanted = [plain_bootstrap(function, settings) for function in expected(network, part)]
    found = numbers(row, "settings_low", "settings_high")
    assert np.allclose(found, wanted, rtol=0, atol=1e-11)


def test_no_other_statistic_has_one(frame):
    others = frame[~frame["claim"].isin([7, 8])]
    assert others[["settings_low", "settings_high"]].isna().all(axis=None)


@pytest.mark.parametrize(("dtype", "eps"), [("float32", 2.0**-23), ("float64", 2.0**-52)])
def test_the_interval_of_6a_is_the_rounding_of_the_run(dtype, eps):
    below = {"a_b": 0.1, "b_c": -1e-6, "c_d": 0.9}
    runs = [analysed_run(slack=below, seed=seed) for seed in range(2)]
    for run in runs:
        run.attrs["dtype"] = dtype
    row = row_of(judge([], runs, **LOOK, parts=only("6a")), MLP, "6a")
    assert (row.value, row.low, row.n) == (-1e-6, -1e-6, 2)
    assert np.isclose(row.high - row.low, 100 * eps / np.log(10), rtol=1e-4)
    assert row.verdict == {"float32": "undecided", "float64": "not reproduced"}[dtype]


def test_an_infinite_slack_holds_or_fails_all_the_same():
    for infinite, wanted in ((np.inf, REPRODUCED), (-np.inf, "not reproduced")):
        runs = [analysed_run(slack={"a_b": 0.1, "b_c": 0.2, "c_d": infinite}) for _ in range(4)]
        assert row_of(judge([], runs, **LOOK, parts=only("6a")), MLP, "6a").verdict == wanted


# --- worked by hand ---------------------------------------------------------------


def hand_made(seed: int) -> xr.Dataset:
    return analysed_run(
        network="vgg10",
        seed=seed,
        # Late ranks 1 to 6 against 4, 1, 5, 6, 2, 3: rho = 1 - 6 * 36 / (6 * 35) = -1 / 35. Over
        # the last half 3 to 6 in steps of 1: a change of 3 at a mean of 4.5.
        sqrt_sharpness=np.array([[8, 7, 1, 2, 3, 4, 5, 6]]).T * [1, 2, 0.2],
        # Falls from 12 to 9 by iteration 100 of 6000, and by 4 at most: 3 / 4.
        local_dimension=np.array([12, 9, 11, 8, 11.5, 11.8, 9.5, 10])[:, None],
        batch_size=32,
        # Gap / sharpness falls from 8 / 2 to 1.5 / 4, the means over the last fifth.
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
        ("10b", np.log10(3 / 32)),
        ("3c", 3 / 4.5),
    ],
)
def test_a_case_worked_by_hand(part, expected):
    frame = judge([hand_made(seed) for seed in range(4)], [], **LOOK, parts=only(part))
    row = row_of(frame, VGG10, part)
    assert np.allclose([row.value, row.low, row.high], expected)


def levelling(nearest: float, **changed) -> list[xr.Dataset]:
    """Sharpness levels off at the fifth checkpoint if `nearest` is near; then volume falls."""
    sharpness = np.array([9, 9, 9, 9, nearest, 1, 1, 1])[:, None]
    volume = np.where(np.arange(8) < 4, np.arange(8), -np.arange(8.0))[:, None]
    given = {"sqrt_sharpness": sharpness, "log_volume": volume} | changed
    return [analysed_run(seed=seed, **given) for seed in range(4)]


def test_levelling_off_is_within_a_tenth_of_the_final_value():
    assert row_of(judge([], levelling(1.09), **LOOK, parts=only("9f")), MLP, "9f").value == -1
    row = row_of(judge([], levelling(1.11), **LOOK, parts=only("9f")), MLP, "9f")
    assert row.verdict == NOT_TESTABLE
    assert row.reason == (
        "Not counted, all 4 runs: fewer than 4 checkpoints since sqrt_sharpness has levelled off."
    )


@pytest.mark.parametrize("part", ["9f", "9g"])
@pytest.mark.parametrize(
    ("sharpness", "why"),
    [
        # Within 10 % from iteration 100 on, before 5 % of 6000.
        ([9, 1, 1, 1, 1, 1, 1, 1], "sqrt_sharpness levels off before 5% of the iterations"),
        # The final value is 1.5, and the last checkpoint lies beyond 10 % of it.
        ([9, 9, 9, 9, 9, 9, 1, 2], "sqrt_sharpness does not level off"),
    ],
)
def test_where_there_is_no_plateau_there_is_nothing_to_test(part, sharpness, why):
    runs = levelling(1, sqrt_sharpness=np.array(sharpness)[:, None])
    row = row_of(judge([], runs, **LOOK, parts=only(part)), MLP, part)
    assert (row.verdict, row.reason) == (NOT_TESTABLE, f"Not counted, all 4 runs: {why}.")


def test_a_volume_that_does_not_fall_before_has_no_rate_to_compare_with():
    rising = np.arange(8.0)[:, None]
    row = row_of(judge([], levelling(1, log_volume=rising), **LOOK, parts=only("9g")), MLP, "9g")
    assert row.verdict == NOT_TESTABLE
    assert row.reason == (
        "Not counted, all 4 runs: log_volume does not fall until sqrt_sharpness levels off."
    )


@pytest.mark.parametrize("sizes", [(8, 20), (8, 20, 32)])
def test_the_effect_of_a_setting_is_per_doubling_within_each_seed(sizes):
    def run(size: int, seed: int) -> xr.Dataset:
        # Ten times as much for four times the batch, and every seed on a level of its own.
        value = 10 ** (np.log2(size) / 2 + 3 * seed)
        return analysed_run(batch_size=size, seed=seed, sqrt_sharpness=value)

    runs = [run(size, seed) for size in sizes for seed in range(4)]
    row = row_of(judge([], runs, **LOOK, parts=only("9c")), MLP, "9c")
    assert np.allclose([row.value, row.low, row.high], 1 / 2, rtol=1e-12)
    assert row.verdict == REPRODUCED


def test_a_seed_with_one_value_of_the_setting_does_not_count():
    runs = [analysed_run(batch_size=size, seed=seed) for size in (8, 20) for seed in range(5)]
    row = row_of(judge([], runs[:-1], **LOOK, parts=only("9c")), MLP, "9c")
    assert (row.n, row.seeds) == (8, 4)
    assert row.reason == ("Not counted, 1 of 9 runs: only one batch size of this seed counts.")
    assert list(json.loads(row.left_out).values()) == [[runs[4].attrs["run"]]]
    assert runs[4].attrs["run"] not in json.loads(row.used)


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


def test_the_made_up_run_is_as_these_tests_take_it():
    assert ITERATIONS[:3] == (0, 100, 1000)
    assert ITERATIONS[-1] == 6000
