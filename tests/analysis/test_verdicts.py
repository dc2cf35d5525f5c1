"""Verdicts: the rules on plain numbers, and every verdict for every part of every claim."""

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from flatness.analysis.claims import judge
from flatness.analysis.claims.the_claims import MLP, PARTS, VGG10
from flatness.analysis.claims.verdicts import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    UNDECIDED,
    VERDICTS,
    Rule,
    verdict,
)
from made_up import analysed_run

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
        *("> 0", ">= 0.9", "< 0.5"),
    ]


# What follows makes runs for which each part gets each verdict.

RISING = np.arange(1.0, 9)[:, None]
FALLING = RISING[::-1]
# Over the six late checkpoints its ranks are 4, 1, 5, 6, 2, 3.
UNRELATED = np.array([7.0, 8, 4, 1, 5, 6, 2, 3])[:, None]
EARLY = np.array([9.0, 1, 1, 1, 1, 1, 1, 1])[:, None]
LATE = np.array([9.0, 9, 9, 9, 9, 9, 9, 1])[:, None]
# Levelled off from the second checkpoint on.
LEVEL = np.array([5.0, 1, 1, 1, 1, 1, 1, 1])[:, None]
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


BETWEEN_QUANTITIES = {
    "7a": final_values(("input_gradient_norm", "mls"), 0.9),
    "7b": final_values(("log_volume", "sqrt_sharpness"), 0.5),
    "7c": final_values(("log_volume", "mls"), 0.5),
    "7d": final_values(("sqrt_sharpness", "test_loss"), 0),
    "7e": final_values(("mls", "log_volume", "test_loss"), 0, first_is_better=True),
    "7f": final_values(("mls", "local_dimension", "test_loss"), 0, first_is_better=True),
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
        "2a": rate("sqrt_sharpness"),
        "2b": rate("log_volume"),
        "2c": rate("input_gradient_norm"),
        "3a": size("sqrt_sharpness"),
        "3b": size("log_volume"),
        "4a": each_run({"local_dimension": EARLY}, {"local_dimension": LATE}),
        "4b": each_run(
            {"sqrt_sharpness": RISING, "local_dimension": UNRELATED},
            {"sqrt_sharpness": RISING, "local_dimension": FALLING},
        ),
        "5a": each_run({"sqrt_sharpness": RISING}, {"sqrt_sharpness": FALLING}),
        "5b": each_run({"input_gradient_norm": RISING}, {"input_gradient_norm": FALLING}),
        "5c": each_run({"log_volume": FALLING}, {"log_volume": RISING}),
        "5d": each_run({"sqrt_sharpness": [1, 1, 10]}, {"sqrt_sharpness": [1, 10, 1]}),
        "5e": each_run({"log_volume": [0, -20, -10]}, {"log_volume": [0, -10, -20]}),
        **BETWEEN_QUANTITIES,
        **LEMMA,
    },
    MLP: {
        "6a": smallest_slack,
        "6b": each_run(
            {"slack": {"a_b": 0.1, "b_c": 9, "c_d": 0.9}},
            {"slack": {"a_b": 0.9, "b_c": 0, "c_d": 0.1}},
        ),
        "6c": each_run(
            {"slack": {"a_b": 9, "b_c": 0.1, "c_d": 0.9}},
            {"slack": {"a_b": 0, "b_c": 0.9, "c_d": 0.1}},
        ),
        **BETWEEN_QUANTITIES,
        "8a": final_values(("mls_bound_c", "mls"), 0),
        "8b": final_values(("mls_bound_d", "mls"), 0),
        "9a": rate("sqrt_sharpness"),
        "9b": rate("log_volume"),
        "9c": size("sqrt_sharpness"),
        "9d": size("log_volume"),
        "9e": each_run(
            {"input_gradient_norm": RISING, "sqrt_sharpness": RISING},
            {"input_gradient_norm": FALLING, "sqrt_sharpness": RISING},
            balance=7,
        ),
        "9f": each_run(
            {"sqrt_sharpness": LEVEL, "log_volume": FALLING},
            {"sqrt_sharpness": LEVEL, "log_volume": RISING},
        ),
        **LEMMA,
    },
}
# The only correlation that is claimed to be negative.
OPPOSITE = {REPRODUCED: NOT_REPRODUCED, NOT_REPRODUCED: REPRODUCED}
KEYS = [(part.network, f"{part.claim}{part.part}") for part in PARTS]


def row_of(network: str, part: str, runs: list[xr.Dataset]):
    studies = {VGG10: [], MLP: []} | {network: runs}
    frame = judge(
        studies[VGG10],
        studies[MLP],
        interpolation_accuracy=0.999,
        confidence=0.95,
        resamples=300,
    )
    chosen = frame["claim"].astype(str) + frame["part"] == part
    (row,) = frame[chosen & (frame["network"] == network)].itertuples()
    return row


def test_there_is_a_case_for_every_part():
    assert sorted(KEYS) == sorted((network, part) for network in CASES for part in CASES[network])


@pytest.mark.parametrize("wanted", VERDICTS)
@pytest.mark.parametrize(("network", "part"), KEYS)
def test_every_part_can_get_every_verdict(network, part, wanted):
    made = OPPOSITE.get(wanted, wanted) if part == "8b" else wanted
    runs = CASES[network][part](network.lower(), made)
    row = row_of(network, part, runs)
    assert row.verdict == wanted
    if wanted != NOT_TESTABLE:
        assert (row.n, row.reason) == (len(runs), "")
    elif part == "6a":
        assert row.n == 0
        assert row.reason == (
            "Not counted, 1 of 1 runs: the inequality b_c is absent (mlp_numbers_lr0.1_bs20_seed0)."
        )
    else:
        assert (row.n, row.reason) == (3, "3 of 3 runs count; an interval needs 4.")
        assert np.isnan(row.low)
        assert np.isnan(row.high)


@pytest.mark.parametrize(("network", "part"), KEYS)
def test_a_diverged_run_does_not_count_and_is_named(network, part):
    runs = CASES[network][part](network.lower(), REPRODUCED)
    before = row_of(network, part, runs)
    worse = CASES[network][part](network.lower(), NOT_REPRODUCED)[-1]
    worse.attrs |= {"run": "blown_up", "diverged": 1, "excluded_because": "the loss is infinite"}
    row = row_of(network, part, [*runs, worse])
    assert row.reason == (
        f"Not counted, 1 of {len(runs) + 1} runs: diverged, the loss is infinite (blown_up)."
    )
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
    assert damaged.attrs["run"] in row.reason


@pytest.mark.parametrize(("network", "part"), KEYS)
def test_without_a_study_a_part_is_not_testable(network, part):
    row = row_of(network, part, [])
    assert (row.verdict, row.n) == (NOT_TESTABLE, 0)
    assert row.reason == f"The configuration names no study of {network}."
