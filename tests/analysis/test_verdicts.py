"""Verdicts: the rules on plain numbers, and every verdict for every part of every claim."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from flatness.analysis.claims.the_claims import PARTS
from flatness.analysis.claims.verdicts import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    UNDECIDED,
    VERDICTS,
    Rule,
    joint,
    verdict,
)
from flatness.settings.roles import MLP, VGG10
from tests.analysis.judged import judge, only
from tests.analysis.made_up import analysed_run

NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "sign", "threshold", "expected"),
    [
        (0.1, 0.2, ">", 0, REPRODUCED),
        (-0.2, -0.1, ">", 0, NOT_REPRODUCED),
        (-0.1, 0.1, ">", 0, UNDECIDED),
        (0, 0.1, ">", 0, UNDECIDED),
        (-0.1, 0, ">", 0, UNDECIDED),
        (-0.2, -0.1, "<", 0, REPRODUCED),
        (0.1, 0.2, "<", 0, NOT_REPRODUCED),
        (-0.1, 0.1, "<", 0, UNDECIDED),
        (-0.1, 0, "<", 0, UNDECIDED),
        (0, 0.1, "<", 0, UNDECIDED),
        (0.9, 1, ">=", 0.9, REPRODUCED),
        (0.2, 0.8, ">=", 0.9, NOT_REPRODUCED),
        (0.8, 0.9, ">=", 0.9, UNDECIDED),
        (0.8, 1, ">=", 0.9, UNDECIDED),
        (np.inf, np.inf, ">=", 0, REPRODUCED),
        (-np.inf, -np.inf, ">=", 0, NOT_REPRODUCED),
        (NAN, NAN, ">", 0, NOT_TESTABLE),
        (0.1, NAN, ">", 0, NOT_TESTABLE),
        (NAN, -0.1, "<", 0, NOT_TESTABLE),
    ],
)
def test_a_verdict_is_about_the_whole_interval(low, high, sign, threshold, expected):
    assert verdict(low, high, Rule(sign, threshold)) == expected


def test_a_rule_reads_as_in_a_table():
    assert [str(Rule(">", 0.0)), str(Rule(">=", 0.9)), str(Rule("<", 0.5))] == [
        "> 0",
        ">= 0.9",
        "< 0.5",
    ]


@pytest.mark.parametrize(
    ("both", "expected"),
    [
        ((REPRODUCED, REPRODUCED), REPRODUCED),
        ((REPRODUCED, UNDECIDED), UNDECIDED),
        ((UNDECIDED, UNDECIDED), UNDECIDED),
        ((REPRODUCED, NOT_REPRODUCED), NOT_REPRODUCED),
        ((UNDECIDED, NOT_REPRODUCED), NOT_REPRODUCED),
        ((NOT_TESTABLE, NOT_REPRODUCED), NOT_REPRODUCED),
        ((NOT_TESTABLE, REPRODUCED), NOT_TESTABLE),
        ((NOT_TESTABLE, UNDECIDED), NOT_TESTABLE),
    ],
)
def test_two_conditions_must_both_hold(both, expected):
    assert joint(both) == joint(both[::-1]) == expected


# What follows makes runs for which each part gets each verdict.

RISING = np.arange(1.0, 9)[:, None]
FALLING = RISING[::-1]
# Over the six late checkpoints its ranks are 4, 1, 5, 6, 2, 3.
UNRELATED = np.array([7.0, 8, 4, 1, 5, 6, 2, 3])[:, None]
EARLY = np.array([9.0, 1, 1, 1, 1, 1, 1, 1])[:, None]
LATE = np.array([9.0, 9, 9, 9, 9, 9, 9, 1])[:, None]
# Levelled off from the fourth checkpoint on, at iteration 2000 of 6000.
LEVEL = np.array([5.0, 5, 5, 1, 1, 1, 1, 1])[:, None]
# Of these falls the first is ten times as fast until then as after it, the second hardly faster.
SLOWING = np.array([90.0, 80, 70, 60, 59, 58, 57, 56])[:, None]
STEADY = np.array([90.0, 86, 82, 78, 74.4, 70.8, 67.2, 63.6])[:, None]
# The test samples' column rises where the others fall.
OPPOSED = np.hstack([FALLING, RISING, FALLING])
CENTRED = np.linspace(-1, 1, 8)
PARABOLA = CENTRED**2 - np.mean(CENTRED**2)


def each_run(fulfilling: dict, contradicting: dict, balance: int = 4) -> Callable:
    """Eight runs that differ in their seed; undecided are `balance` that fulfil the claim."""

    def make(network: str, wanted: str) -> list[xr.Dataset]:
        fulfil = {REPRODUCED: 8, NOT_REPRODUCED: 0, UNDECIDED: balance, NOT_TESTABLE: 3}[wanted]
        return [
            analysed_run(
                network=network, seed=seed, **(fulfilling if seed < fulfil else contradicting)
            )
            for seed in range(3 if wanted == NOT_TESTABLE else 8)
        ]

    return make


def final_values(names: tuple[str, ...], threshold: float, first_is_better: bool = False):
    """Eight runs whose final values have a chosen correlation."""
    parabola = PARABOLA * np.linalg.norm(CENTRED) / np.linalg.norm(PARABOLA)
    other = np.sqrt(1 - threshold**2) * parabola
    columns = {
        REPRODUCED: (CENTRED, CENTRED),
        NOT_REPRODUCED: (CENTRED, -CENTRED),
        UNDECIDED: (CENTRED, threshold * CENTRED + other),
    }
    if first_is_better:
        columns = {
            REPRODUCED: (CENTRED, parabola, CENTRED),
            NOT_REPRODUCED: (parabola, CENTRED, CENTRED),
            UNDECIDED: (CENTRED + parabola, CENTRED - parabola, CENTRED),
        }

    def make(network: str, wanted: str) -> list[xr.Dataset]:
        chosen = columns.get(wanted, columns[REPRODUCED])
        return [
            analysed_run(
                network=network,
                seed=seed,
                **{name: column[seed] for name, column in zip(names, chosen, strict=True)},
            )
            for seed in range(3 if wanted == NOT_TESTABLE else 8)
        ]

    return make


def both_positive(network: str, wanted: str) -> list[xr.Dataset]:
    """For 7g: the maximum local sensitivity goes with test loss, log volume as is wanted."""
    volume = {NOT_REPRODUCED: -CENTRED, UNDECIDED: PARABOLA}.get(wanted, CENTRED)
    return [
        analysed_run(
            network=network,
            seed=seed,
            mls=CENTRED[seed],
            log_volume=volume[seed],
            test_loss=CENTRED[seed],
        )
        for seed in range(3 if wanted == NOT_TESTABLE else 8)
    ]


def effect(setting: str, values: tuple[float, ...], name: str, direction: int):
    """Four seeds of three settings; `direction` 1: a higher setting has a higher value."""

    def make(network: str, wanted: str) -> list[xr.Dataset]:
        slope = {NOT_REPRODUCED: -direction, UNDECIDED: 0}.get(wanted, direction)
        return [
            analysed_run(
                network=network,
                seed=seed,
                **{setting: value, name: 10 + slope * position + 0.1 * seed},
            )
            for position, value in enumerate(values)
            for seed in range(1 if wanted == NOT_TESTABLE else 4)
        ]

    return make


def smallest_slack(network: str, wanted: str) -> list[xr.Dataset]:
    """Eight runs in float32, of which one is worse than the others at one checkpoint."""
    worst = {REPRODUCED: 0.0, NOT_REPRODUCED: -0.1, UNDECIDED: -1e-6, NOT_TESTABLE: NAN}[wanted]
    slack = {"a_b": 0.1, "b_c": 0.2, "c_d": 0.9}
    at_one_place = np.full((8, 3), 0.2)
    at_one_place[5, 0] = worst
    worse = analysed_run(network=network, slack=slack | {"b_c": at_one_place})
    others = [analysed_run(network=network, slack=slack, seed=seed) for seed in range(1, 8)]
    return [worse] if wanted == NOT_TESTABLE else [worse, *others]


def rate(name: str):
    return effect("learning_rate", (0.05, 0.1, 0.2), name, -1)


def size(name: str):
    return effect("batch_size", (8, 20, 32), name, 1)


def chain(a: float, b: float, c: float, d: float) -> dict:
    return {"mls": a, "mls_bound_b": b, "mls_bound_c": c, "mls_bound_d": d}


BETWEEN_QUANTITIES = {
    "7a": final_values(("mean_input_gradient_sq_norm", "mls"), 0.9),
    "7b": final_values(("log_volume", "sqrt_sharpness"), 0.5),
    "7c": final_values(("log_volume", "mls"), 0.5),
    "7d": final_values(("sqrt_sharpness", "test_loss"), 0),
    "7e": final_values(("mls", "log_volume", "test_loss"), 0, first_is_better=True),
    "7f": final_values(("mls", "local_dimension", "test_loss"), 0, first_is_better=True),
    "7g": both_positive,
    "7h": final_values(("mls", "sqrt_sharpness"), 0.5),
    "7i": final_values(("mls", "log_volume", "sqrt_sharpness"), 0, first_is_better=True),
}
LEMMA = {
    "10a": each_run(
        {"hessian_gap": FALLING, "mean_residual_norm": FALLING},
        {"hessian_gap": RISING, "mean_residual_norm": FALLING},
    ),
    "10b": each_run(
        {"hessian_gap": FALLING, "sharpness": 2}, {"hessian_gap": RISING, "sharpness": 2}
    ),
}
CASES = {
    VGG10: {
        "1a": each_run(
            {"sqrt_sharpness": FALLING, "log_volume": FALLING},
            {"sqrt_sharpness": FALLING, "log_volume": RISING},
            balance=6,
        ),
        "1b": each_run({"sqrt_sharpness": FALLING}, {"sqrt_sharpness": RISING}),
        "1c": each_run({"log_volume": FALLING}, {"log_volume": RISING}),
        "1d": each_run(
            {"mean_input_gradient_sq_norm": FALLING}, {"mean_input_gradient_sq_norm": RISING}
        ),
        "2a": rate("sqrt_sharpness"),
        "2b": rate("log_volume"),
        "2c": rate("mean_input_gradient_sq_norm"),
        "3a": size("sqrt_sharpness"),
        "3b": size("log_volume"),
        "3c": each_run(
            {"batch_size": 32, "sqrt_sharpness": LEVEL, "log_volume": FALLING},
            {"batch_size": 32, "sqrt_sharpness": LEVEL, "log_volume": RISING},
        ),
        "4a": each_run({"local_dimension": EARLY}, {"local_dimension": LATE}),
        "4b": each_run(
            {"sqrt_sharpness": RISING, "local_dimension": UNRELATED},
            {"sqrt_sharpness": RISING, "local_dimension": FALLING},
        ),
        "5a": each_run({"sqrt_sharpness": RISING}, {"sqrt_sharpness": FALLING}),
        "5b": each_run(
            {"mean_input_gradient_sq_norm": RISING}, {"mean_input_gradient_sq_norm": FALLING}
        ),
        "5c": each_run({"log_volume": FALLING}, {"log_volume": OPPOSED}, balance=7),
        "5d": each_run({"sqrt_sharpness": [1, 1, 10]}, {"sqrt_sharpness": [1, 10, 1]}),
        "5e": each_run({"log_volume": [0, -20, -10]}, {"log_volume": [0, -10, -20]}),
        **BETWEEN_QUANTITIES,
        **LEMMA,
    },
    MLP: {
        "6a": smallest_slack,
        "6b": each_run(chain(1, 1.1, 9, 10), chain(1, 2, 2.1, 2.2)),
        "6c": each_run(chain(1, 9, 9.1, 10), chain(1, 1.1, 2, 2.1)),
        **BETWEEN_QUANTITIES,
        "8a": final_values(("mls_bound_c", "mls"), 0),
        "8b": final_values(("mls_bound_d", "mls"), 0),
        "8c": final_values(("mls_bound_d", "test_loss"), 0),
        "9a": rate("sqrt_sharpness"),
        "9b": rate("log_volume"),
        "9c": size("sqrt_sharpness"),
        "9d": size("log_volume"),
        "9e": each_run(
            {"mean_input_gradient_sq_norm": RISING, "sqrt_sharpness": RISING},
            {"mean_input_gradient_sq_norm": FALLING, "sqrt_sharpness": RISING},
            balance=7,
        ),
        "9f": each_run(
            {"sqrt_sharpness": LEVEL, "log_volume": FALLING},
            {"sqrt_sharpness": LEVEL, "log_volume": RISING},
        ),
        "9g": each_run(
            {"sqrt_sharpness": LEVEL, "log_volume": SLOWING},
            {"sqrt_sharpness": LEVEL, "log_volume": STEADY},
        ),
        **LEMMA,
    },
}
# The only correlations that are claimed to be negative.
NEGATIVE = ("8b", "8c")
OPPOSITE = {REPRODUCED: NOT_REPRODUCED, NOT_REPRODUCED: REPRODUCED}
KEYS = [(part.role, f"{part.claim}{part.part}") for part in PARTS]


def row_of(network: str, part: str, runs: list[xr.Dataset]):
    studies = {VGG10: [], MLP: []} | {network: runs}
    frame = judge(
        studies[VGG10],
        studies[MLP],
        interpolation_accuracy=0.999,
        confidence=0.95,
        bootstrap_draws=300,
        parts=only(part),
    )
    chosen = frame["claim"].astype(str) + frame["part"] == part
    (row,) = frame[chosen & (frame["network"] == network)].itertuples()
    return row


def test_there_is_a_case_for_every_part():
    assert sorted(KEYS) == sorted((network, part) for network in CASES for part in CASES[network])


@pytest.mark.parametrize("wanted", VERDICTS)
@pytest.mark.parametrize(("network", "part"), KEYS)
def test_every_part_can_get_every_verdict(network, part, wanted):
    made = OPPOSITE.get(wanted, wanted) if part in NEGATIVE else wanted
    runs = CASES[network][part](network.lower(), made)
    row = row_of(network, part, runs)
    assert row.verdict == wanted
    if wanted != NOT_TESTABLE:
        assert (row.n, row.reason) == (len(runs), "")
    elif part == "6a":
        assert row.n == 0
        assert row.reason == "Not counted, 1 of 1 runs: the inequality b_c is absent."
        names = ["mlp_numbers_lr0.1_bs20_seed0"]
        assert json.loads(row.left_out) == {"the inequality b_c is absent": names}
    else:
        count = "1 seed counts" if row.seeds == 1 else "3 seeds count"
        which = "First condition: " if part == "3c" else ""
        assert row.reason.startswith(f"{which}{count}; an interval needs 4.")
        assert np.isnan([row.low, row.high]).all()


@pytest.mark.parametrize(("network", "part"), KEYS)
def test_a_diverged_run_does_not_count_and_is_named(network, part):
    runs = CASES[network][part](network.lower(), REPRODUCED)
    before = row_of(network, part, runs)
    worse = CASES[network][part](network.lower(), NOT_REPRODUCED)[-1]
    worse.attrs |= {"run": "blown_up", "diverged": 1, "excluded_because": "the loss is infinite"}
    row = row_of(network, part, [*runs, worse])
    assert row.reason == f"Not counted, 1 of {len(runs) + 1} runs: diverged, the loss is infinite."
    assert json.loads(row.left_out) == {"diverged, the loss is infinite": ["blown_up"]}
    assert json.loads(row.used) == json.loads(before.used)
    columns = ("value", "low", "high", "n", "verdict")
    assert [getattr(row, name) for name in columns] == [getattr(before, name) for name in columns]


@pytest.mark.parametrize(("network", "part"), KEYS)
def test_a_run_without_the_values_does_not_count_and_is_named(network, part):
    runs = CASES[network][part](network.lower(), REPRODUCED)
    damaged = runs[0].copy(deep=True)
    for name in damaged.data_vars:
        if name not in ("train_accuracy", "misclassified_total", "tightest_sample"):
            damaged[name] = damaged[name] * np.nan
    row = row_of(network, part, [damaged, *runs[1:]])
    assert row.n == len(runs) - 1
    assert f"Not counted, 1 of {len(runs)} runs: " in row.reason
    assert any(damaged.attrs["run"] in names for names in json.loads(row.left_out).values())


@pytest.mark.parametrize(("network", "part"), KEYS)
def test_without_runs_a_part_is_not_testable(network, part):
    row = row_of(network, part, [])
    assert (row.verdict, row.n) == (NOT_TESTABLE, 0)
    assert row.reason == f"The study that stands for {network} has no runs."


# --- signs: a negative correlation is no better than none -----------------------------


def correlated_with_loss(sensitivity: float, other: float) -> list[xr.Dataset]:
    """Eight runs in which the two predictors have these coefficients with test loss, exactly."""
    parabola = PARABOLA * np.linalg.norm(CENTRED) / np.linalg.norm(PARABOLA)

    def column(rho: float) -> np.ndarray:
        return rho * CENTRED + np.sqrt(1 - rho**2) * parabola

    return [
        analysed_run(
            seed=seed,
            mls=column(sensitivity)[seed],
            log_volume=column(other)[seed],
            local_dimension=column(other)[seed],
            test_loss=CENTRED[seed],
        )
        for seed in range(8)
    ]


@pytest.mark.parametrize("part", ["7e", "7f"])
@pytest.mark.parametrize("network", [VGG10, MLP])
@pytest.mark.parametrize("other", [0, 0.3, -0.3, -0.99])
def test_a_sensitivity_that_goes_against_the_loss_does_not_predict_it(network, part, other):
    row = row_of(network, part, correlated_with_loss(-0.8, other))
    assert row.value == pytest.approx(-0.8 - other)
    assert row.second_value == pytest.approx(-0.8)
    assert row.second_high < 0
    # The last of the others lies even lower: the difference fulfils the claim, the sign does not.
    assert (row.value > 0) == (other == -0.99)
    assert row.verdict == NOT_REPRODUCED


def test_a_seed_holds_if_it_fulfils_both_conditions():
    runs = [
        analysed_run(
            network="vgg10",
            batch_size=32,
            seed=seed,
            sqrt_sharpness=LEVEL if seed < 2 else FALLING,
            log_volume=FALLING if seed > 0 else RISING,
        )
        for seed in range(3)
    ]
    row = row_of(VGG10, "3c", runs)
    assert (row.seeds, row.seeds_held) == (3, 1)
    assert row.remarks == "As claimed: 1 of 3 seeds."


@pytest.mark.parametrize("part", ["7e", "7f"])
def test_an_other_that_goes_against_the_loss_predicts_it_no_better(part):
    row = row_of(MLP, part, correlated_with_loss(0.8, -0.99))
    assert row.value == pytest.approx(1.79)
    assert row.verdict == REPRODUCED


def test_sharpness_that_goes_on_falling_contradicts_3c():
    runs = [
        analysed_run(
            network="vgg10", batch_size=32, seed=seed, sqrt_sharpness=FALLING, log_volume=FALLING
        )
        for seed in range(4)
    ]
    row = row_of(VGG10, "3c", runs)
    # From 4 to 1 over the last half.
    assert row.value == pytest.approx(3 / 2.5)
    assert row.second_value == -1
    assert row.verdict == NOT_REPRODUCED
