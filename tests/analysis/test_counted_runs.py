"""Which runs a part of a claim counts, and what its row says of the others."""

import json

import numpy as np
import pandas as pd
import pytest

from flatness.analysis.claims.lemma_a1 import VANISHES
from flatness.analysis.claims.verdicts import NOT_REPRODUCED, NOT_TESTABLE, REPRODUCED
from flatness.settings.roles import MLP, VGG10
from tests.analysis.judged import LOOK, judge, only, row_of, study
from tests.analysis.made_up import analysed_run, settings_of

NEVER = np.full(8, 0.99)
RISING = np.arange(1.0, 9)[:, None]


def judged(network: str, runs, part: str, **look):
    """The row of one part."""
    studies = ([], runs) if network == MLP else (runs, [])
    return row_of(judge(*studies, **LOOK | look, parts=only(part)), network, part)


@pytest.mark.parametrize("part", ["1a", "1b", "1c", "1d", "4b"])
def test_runs_without_a_late_phase_do_not_count(part):
    accuracy = {
        "never": NEVER,
        "too late": np.array([0, 0, 0, 0, 0, 0.9991, 1, 1]),
        "in time": np.array([0, 0, 0, 0, 0.9991, 1, 1, 1]),
    }
    extra = []
    for seed, (name, curve) in enumerate(accuracy.items(), start=7):
        run = analysed_run(network="vgg10", seed=seed, train_accuracy=curve)
        run.attrs["run"] = name
        extra.append(run)
    row = judged(VGG10, [*study("vgg10"), *extra], part)
    assert (row.n, row.seeds) == (21, 5)
    assert row.reason == (
        "Not counted, 1 of 23 runs: never reaches a training accuracy of 0.999. "
        "Not counted, 1 of 23 runs: fewer than 4 late checkpoints."
    )
    assert json.loads(row.left_out) == {
        "never reaches a training accuracy of 0.999": ["never"],
        "fewer than 4 late checkpoints": ["too late"],
    }
    names = [run.attrs["run"] for run in study("vgg10")]
    assert json.loads(row.used) == [*names, "in time"]


def test_the_late_phase_begins_at_the_accuracy_that_is_asked_for():
    curve = np.array([0, 0.9, 0.99, 0.99, 1, 1, 1, 1])
    sharpness = np.array([0, 0, 9, 8, 1, 2, 3, 4])[:, None]
    runs = [
        analysed_run(seed=seed, train_accuracy=curve, sqrt_sharpness=sharpness) for seed in range(4)
    ]
    late, early = (
        judged(VGG10, runs, "1b", interpolation_accuracy=accuracy) for accuracy in (1.0, 0.99)
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
        (
            "vgg10",
            "5b",
            {"mean_input_gradient_sq_norm": 2},
            "mean_input_gradient_sq_norm is constant over evenly",
        ),
        ("vgg10", "5d", {"sqrt_sharpness": [1, 0, 1]}, "sqrt_sharpness is zero at the end"),
        ("vgg10", "5d", {"sqrt_sharpness": [1, 1, 0]}, "sqrt_sharpness is zero at the end"),
        ("vgg10", "5e", {"log_volume": [1, 1, np.nan]}, "log_volume (misclassified samples) is"),
        ("mlp", "6b", {"mls": np.nan}, "mls (train samples) is not finite"),
        ("mlp", "9a", {"sqrt_sharpness": 0}, "sqrt_sharpness is not positive at the end"),
        (
            "mlp",
            "9e",
            {"mean_input_gradient_sq_norm": 2},
            "mean_input_gradient_sq_norm is constant over evenly",
        ),
        ("mlp", "9f", {"sqrt_sharpness": np.nan}, "sqrt_sharpness (train samples) is not finite"),
        ("mlp", "9g", {"log_volume": np.nan}, "log_volume (train samples) is not finite"),
        ("mlp", "10a", {"mean_residual_norm": 2}, "mean_residual_norm is constant over check"),
        ("mlp", "10b", {"sharpness": 0}, "sharpness is zero at the start or at the end"),
        (
            "mlp",
            "10b",
            {"hessian_gap": np.arange(8)[:, None]},
            "hessian_gap is zero at the start or at the end",
        ),
    ],
)
def test_a_run_for_which_a_statistic_is_not_defined_is_named(network, part, changed, why):
    runs = study(network)
    given = {"sqrt_sharpness": values_of(runs[0], "sqrt_sharpness")} | changed
    odd = analysed_run(study="odd", network=network, seed=9, **given)
    row = judged(network.upper(), [*runs, odd], part)
    assert row.seeds == 4
    assert f"Not counted, 1 of {row.n + 1} runs: {why}" in row.reason
    assert ["odd_lr0.1_bs20_seed9"] in json.loads(row.left_out).values()
    assert "odd_lr0.1_bs20_seed9" not in json.loads(row.used)


def values_of(run, name):
    return run[name].to_numpy()


def test_values_that_a_statistic_does_not_need_may_be_absent():
    runs = study("vgg10")
    for run in runs:
        run["log_volume"][:2] = -np.inf  # before the evenly spaced checkpoints
        run["sqrt_sharpness"][3] = np.nan
    names = ("1c", "7b", "5e", "5c", "1a", "5a")
    frame = judge(runs, [], **LOOK, parts=only(*names))
    assert [row_of(frame, VGG10, part).n for part in names] == [20, 20, 20, 20, 0, 0]


@pytest.mark.parametrize("checkpoint", [-1, -2])
def test_a_run_without_misclassified_samples_at_the_end_does_not_count(checkpoint):
    runs = study("vgg10")
    runs[2]["misclassified_total"][checkpoint] = 0
    for part in ("5d", "5e"):
        row = judged(VGG10, runs, part)
        assert row.n == 19
        assert row.reason == (
            "Not counted, 1 of 20 runs: no test sample is misclassified at a checkpoint of the end."
        )
        assert list(json.loads(row.left_out).values()) == [[runs[2].attrs["run"]]]
    assert judged(VGG10, runs, "5a").n == 20


def test_an_absent_quantity_is_not_testable_with_its_own_reason():
    runs = study("mlp", seeds=1)
    for run in runs:
        run["mls_bound_c"][:] = np.nan
        run["mls_bound_c"].attrs["absent"] = "the first layer is a convolution"
    row = judged(MLP, runs, "8a")
    assert row.verdict == NOT_TESTABLE
    assert row.reason == (
        "Not counted, all 5 runs: mls_bound_c is absent: the first layer is a convolution."
    )


def test_a_gap_that_is_zero_everywhere_is_not_testable_with_just_that_reason():
    runs = [analysed_run(network="vgg10", seed=seed, hessian_gap=0) for seed in range(5)]
    for part in ("10a", "10b"):
        row = judged(VGG10, runs, part)
        assert (row.verdict, row.n) == (NOT_TESTABLE, 0)
        assert row.reason == f"Not counted, all 5 runs: {VANISHES}."
    assert "piecewise linear in each layer's parameters" in VANISHES


def test_noise_in_the_trace_changes_nothing():
    runs = study("mlp")
    before = judge([], runs, **LOOK)
    for run in runs:
        run["hessian_trace_standard_error"][:] = 1e6
    pd.testing.assert_frame_equal(judge([], runs, **LOOK), before)


def test_a_run_without_an_early_checkpoint_has_no_early_fall():
    runs = study("vgg10")
    late = runs[0].isel(checkpoint=[0, *range(2, 8)])
    row = judged(VGG10, [late, *runs[1:]], "4a")
    assert row.n == 19
    assert "there is no checkpoint in the first tenth after the start" in row.reason


def test_a_run_with_few_checkpoints_has_no_trend():
    runs = study("vgg10")
    short = runs[0].isel(checkpoint=slice(-3, None))
    row = judged(VGG10, [short, *runs[1:]], "5a")
    assert row.n == 19
    why = "fewer than 4 evenly spaced checkpoints"
    assert why in row.reason
    assert json.loads(row.left_out) == {why: [short.attrs["run"]]}


def test_early_checkpoints_are_no_part_of_a_trend():
    runs = [
        analysed_run(seed=seed, sqrt_sharpness=np.r_[99, 98, RISING[:6, 0]][:, None])
        for seed in range(4)
    ]
    assert judged(VGG10, runs, "5a").value == 1


def test_a_setting_that_does_not_differ_has_no_effect_to_test():
    runs = [
        analysed_run(network="vgg10", batch_size=size, seed=seed)
        for size in (8, 20)
        for seed in range(4)
    ]
    row = judged(VGG10, runs, "2a")
    assert (row.verdict, row.n) == (NOT_TESTABLE, 0)
    assert row.reason == ("Not counted, all 4 runs: only one learning rate of this seed counts.")


# --- levels of a setting, for claims 2 and 3 ---------------------------------------


def three_rates(interpolating: int, network: str = "vgg10") -> list:
    """Four seeds of three rates; of the largest so many interpolate. Its runs are the odd ones."""
    return [
        analysed_run(
            network=network,
            learning_rate=rate,
            seed=seed,
            sqrt_sharpness=99.0 if rate == 0.2 else 1 / rate,
            **({"train_accuracy": NEVER} if rate == 0.2 and seed >= interpolating else {}),
        )
        for rate in (0.05, 0.1, 0.2)
        for seed in range(4)
    ]


@pytest.mark.parametrize("interpolating", [0, 1, 2, 4])
def test_a_level_counts_if_half_of_its_seeds_interpolate(interpolating):
    row = judged(VGG10, three_rates(interpolating), "2a")
    if interpolating < 2:
        assert (row.n, row.verdict) == (8, REPRODUCED)
        assert row.value == pytest.approx(-np.log10(2))
        assert row.reason == (
            f"Not counted, learning rate 0.2 ({interpolating} of 4 runs interpolate)."
        )
    else:
        assert (row.n, row.verdict, row.reason) == (12, NOT_REPRODUCED, "")


def test_a_diverged_run_does_not_interpolate():
    runs = three_rates(2)
    runs[8].attrs |= {"diverged": 1, "excluded_because": "it is infinite"}  # rate 0.2, seed 0
    assert "learning rate 0.2 (1 of 4 runs interpolate)" in judged(VGG10, runs, "2a").reason


def test_all_levels_of_the_mlp_count_and_the_row_says_how_many_interpolate():
    row = judged(MLP, three_rates(0, "mlp"), "9a")
    assert (row.n, row.reason) == (12, "")
    assert row.remarks == "8 of 12 runs interpolate."


def test_without_a_batch_of_32_3c_is_not_testable():
    runs = [analysed_run(batch_size=size, seed=seed) for size in (8, 20) for seed in range(4)]
    row = judged(VGG10, runs, "3c")
    assert (row.verdict, row.n, row.reason) == (NOT_TESTABLE, 0, "No run of batch size 32.")
    assert judged(VGG10, [*runs, analysed_run(batch_size=32)], "3c").n == 1


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
    row = judged(MLP, runs, "9a")
    assert row.statistic.endswith(f"the most learning rates (batch size {chosen})")
    selected = sum(size == chosen for _, size in settings)
    assert f"{selected} runs" in row.reason


# --- few seeds ---------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_with_few_seeds_values_are_told_and_nothing_is_decided(seeds):
    runs = [run for run in study("mlp") if settings_of(run)["seed"] < seeds]
    for number, run in enumerate(runs):
        run["sqrt_sharpness"] = run["sqrt_sharpness"] * 0 + RISING
        run["mean_input_gradient_sq_norm"] = run["mean_input_gradient_sq_norm"] * 0 + RISING
        if settings_of(run)["seed"] == 0:  # reversed: a coefficient of -1
            run["mean_input_gradient_sq_norm"][:] = RISING[::-1]
        run.attrs["run"] = f"run{number}"
    row = judged(MLP, runs, "9e")
    assert (row.n, row.seeds) == (5 * seeds, seeds)
    assert row.value == pytest.approx(1 - 2 / seeds)
    if seeds == 4:
        assert (row.verdict, row.reason, row.seeds_held) == ("undecided", "", 3)
        assert "As claimed" not in row.remarks
        return
    values = ["-1 (seed 0)", "1 (seed 1)", "1 (seed 2)"][:seeds]
    count = "1 seed counts" if seeds == 1 else f"{seeds} seeds count"
    assert row.verdict == NOT_TESTABLE
    assert np.isnan([row.low, row.high]).all()
    assert row.reason == f"{count}; an interval needs 4. By seed: {', '.join(values)}."
    plural = "seed" if seeds == 1 else "seeds"
    assert f"As claimed: {seeds - 1} of {seeds} {plural}." in row.remarks
    assert row.seeds_held == seeds - 1


def test_two_runs_on_a_line_are_no_correlation():
    runs = study("mlp", seeds=1)
    two = judged(MLP, runs[:2], "8a")
    assert np.isnan(two.value)
    assert two.reason == "Not defined: a coefficient needs 3 runs, and 2 count."
    three = judged(MLP, runs[:3], "8a")
    assert np.isfinite(three.value)
    assert np.isnan(three.low)
    assert three.verdict == NOT_TESTABLE


def test_two_seeds_of_five_settings_have_an_interval_over_settings():
    row = judged(MLP, study("mlp", seeds=2), "8a")
    assert np.isnan(row.low)
    assert row.settings_low < row.value < row.settings_high
    assert row.verdict == NOT_TESTABLE
