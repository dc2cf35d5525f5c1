"""Verdicts under other choices: each choice does what it says, and where it enters."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from flatness.analysis.claims import with_sensitivity
from flatness.analysis.claims.alternatives import (
    ALTERNATIVES,
    DOES_NOT_APPLY,
    NO_OTHER_SEEDS,
    NOT_IN_FILE,
    sensitive_to,
)
from flatness.analysis.claims.the_claims import PARTS
from flatness.analysis.claims.verdicts import NOT_REPRODUCED, NOT_TESTABLE, REPRODUCED
from flatness.settings.roles import MLP, VGG10
from tests.analysis.judged import LOOK, judge, only, row_of, sensitivity, study
from tests.analysis.made_up import analysed_run, settings_of

NAMES = [each.name for each in ALTERNATIVES]
LOG_VOLUME = {"1a", "1c", "2b", "3b", "3c", "5c", "5e", "7b", "7c", "7e", "7g", "7i", "9b", "9d"}
LOG_VOLUME |= {"9f", "9g"}
FINAL = {"2a", "2b", "2c", "3a", "3b", "5d", "5e", "9a", "9b", "9c", "9d", "9f", "9g", "10b"}
FINAL |= {f"7{letter}" for letter in "abcdefghi"} | {"8a", "8b", "8c"}
SHARPNESS = {"1a", "1b", "2a", "3a", "3c", "4b", "5a", "5d", "7b", "7d", "7h", "7i", "9a", "9c"}
SHARPNESS |= {"9e", "9f", "9g"}
INSIDE = {"6b", "6c", "8b", "8c", "10b"}  # of bound D, or of a ratio
EVERY = {part.name for part in PARTS}
ENTERS = {
    "three largest": LOG_VOLUME,
    "last checkpoint": FINAL,
    "interpolating only": EVERY - {"1a", "1b", "1c", "1d", "4b"},
    "Spearman": {name for name in EVERY if name[0] in "78"},
    "without last layer": SHARPNESS | INSIDE,
    "20 runs": EVERY,
}


@pytest.fixture(scope="module")
def studies():
    return {VGG10: study("vgg10", seeds=5), MLP: study("mlp", seeds=5)}


def found_for(runs, network: str, *parts: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    given = ([], runs) if network == MLP else (runs, [])
    claims = judge(*given, **LOOK, parts=only(*parts))
    found = sensitivity(*given, claims, **LOOK, parts=only(*parts))
    here = claims["network"] == network
    return claims[here], found[found["network"] == network]


def of(found: pd.DataFrame, part: str, alternative: str):
    chosen = found[found["alternative"] == alternative]
    (row,) = chosen[chosen["claim"].astype(str) + chosen["part"] == part].itertuples()
    return row


@pytest.mark.parametrize("network", [VGG10, MLP])
def test_each_alternative_enters_where_it_can_change_something(studies, network):
    _, found = found_for(studies[network], network, *EVERY)
    assert found.groupby("alternative", sort=False).size().index.tolist() == NAMES
    names = {part.name for part in PARTS if part.role == network}
    for name in NAMES:
        rows = found[found["alternative"] == name]
        applied = rows[rows["note"] != DOES_NOT_APPLY]
        assert set(applied["claim"].astype(str) + applied["part"]) == ENTERS[name] & names
        left_out = rows[rows["note"] == DOES_NOT_APPLY]
        assert (left_out["verdict"] == "").all()
        assert left_out["value"].isna().all()
        assert (left_out["changes"] == 0).all()


def renamed(runs, old: str, new: str):
    """What the alternative reads under the name that is judged by."""
    return [run.assign({old: run[new]}) for run in runs]


@pytest.mark.parametrize(
    ("alternative", "old", "new", "parts"),
    [
        ("three largest", "log_volume", "log_volume_top3", LOG_VOLUME),
        (
            "without last layer",
            "sqrt_sharpness",
            "sqrt_sharpness_before_last_layer",
            SHARPNESS - {"9f", "9g"},  # what is drawn at random does not level off
        ),
    ],
)
@pytest.mark.parametrize("network", [VGG10, MLP])
def test_another_variable_takes_the_place(studies, network, alternative, old, new, parts):
    runs = studies[network]
    _, found = found_for(runs, network, *parts)
    claims, _ = found_for(renamed(runs, old, new), network, *parts)
    for row in claims.itertuples():
        part = f"{row.claim}{row.part}"
        other = of(found, part, alternative)
        for name in ("value", "low", "high", "second_value", "n", "verdict"):
            assert getattr(other, name) == getattr(row, name) or np.isnan(getattr(row, name))
        before = row_of(found_for(runs, network, part)[0], network, part)
        assert (other.value, other.second_value) != (before.value, before.second_value)


def last(run, name: str) -> float:
    return run[name].to_numpy()[-1, 0]


def test_the_last_checkpoint_takes_the_place_of_the_mean(studies):
    _, found = found_for(studies[MLP], MLP, "8b")
    pair = [[last(run, name) for run in studies[MLP]] for name in ("mls_bound_d", "mls")]
    wanted = scipy.stats.pearsonr(*pair).statistic
    assert np.isclose(of(found, "8b", "last checkpoint").value, wanted)


def test_ranks_take_the_place_of_values(studies):
    _, found = found_for(studies[MLP], MLP, "8b")
    pair = [
        [run[name].to_numpy()[-2:, 0].mean() for run in studies[MLP]]
        for name in ("mls_bound_d", "mls")
    ]
    assert np.isclose(of(found, "8b", "Spearman").value, scipy.stats.spearmanr(*pair).statistic)


def test_twenty_runs_are_those_of_four_seeds(studies):
    _, found = found_for(studies[MLP], MLP, "8b")
    four = [run for run in studies[MLP] if settings_of(run)["seed"] < 4]
    claims, again = found_for(four, MLP, "8b")
    row, (wanted,) = of(found, "8b", "20 runs"), claims.itertuples()
    assert (row.value, row.low, row.high, row.n) == (wanted.value, wanted.low, wanted.high, 20)
    as_it_is = of(again, "8b", "20 runs")
    assert (as_it_is.note, as_it_is.value) == (NO_OTHER_SEEDS, wanted.value)


def five_runs(**of_last) -> list:
    """Five seeds in which C goes with MLS but for the last; `of_last` is its own."""
    return [
        analysed_run(
            seed=seed,
            mls=float(seed),
            mls_bound_c=float(seed) if seed < 4 else -9.0,
            **(of_last if seed == 4 else {}),
        )
        for seed in range(5)
    ]


def test_runs_that_never_interpolate_are_left_out():
    claims, found = found_for(five_runs(train_accuracy=np.full(8, 0.9)), MLP, "8a")
    (judged,) = claims.itertuples()
    row = of(found, "8a", "interpolating only")
    assert judged.verdict != REPRODUCED
    assert (row.verdict, row.value, row.n, row.changes) == (REPRODUCED, 1, 4, 1)


def test_a_verdict_that_changes_is_told(studies):
    claims, found = found_for(five_runs(), MLP, "8a")
    row = of(found, "8a", "20 runs")
    assert (row.verdict, row.changes) == (REPRODUCED, 1)
    (marked,) = with_sensitivity(claims, found).itertuples()
    told = sensitive_to(marked.sensitive_to)
    assert "20 runs" in told
    assert "last checkpoint" not in told  # curves are constant


def test_too_few_seeds_are_no_change():
    runs = five_runs(train_accuracy=np.full(8, 0.9))
    for run in runs[:2]:
        run["train_accuracy"] = run["train_accuracy"] * 0
    claims, found = found_for(runs, MLP, "8a")
    row = of(found, "8a", "interpolating only")
    assert (row.verdict, row.n, row.changes) == (NOT_TESTABLE, 2, 0)
    assert claims["verdict"].tolist() != [NOT_TESTABLE]


def test_files_that_lack_the_quantity_are_told(studies):
    name = "sqrt_sharpness_before_last_layer"
    older = [run.drop_vars(name) for run in studies[MLP]]
    _, found = found_for(older, MLP, "9a", "8a")
    assert of(found, "9a", "without last layer").note == NOT_IN_FILE
    assert of(found, "8a", "without last layer").note == DOES_NOT_APPLY


def test_bound_d_is_read_without_the_last_layer(studies):
    _, found = found_for(studies[MLP], MLP, "8b")
    share, whole, bound = (
        [run[name].to_numpy()[-2:, 0] for run in studies[MLP]]
        for name in ("sqrt_sharpness_before_last_layer", "sqrt_sharpness", "mls_bound_d")
    )
    final = (np.array(bound) * share / whole).mean(1)
    mls = [run["mls"].to_numpy()[-2:, 0].mean() for run in studies[MLP]]
    wanted = scipy.stats.pearsonr(final, mls).statistic
    assert np.isclose(of(found, "8b", "without last layer").value, wanted)


def test_a_verdict_that_only_an_alternative_has_is_told():
    level = np.ones((8, 1))
    falling = np.linspace(4, 1, 8)[:, None]
    falling[4:] = 1
    runs = [
        analysed_run(
            seed=seed,
            sqrt_sharpness=level,
            sqrt_sharpness_before_last_layer=falling,
            log_volume=np.arange(8.0)[::-1, None],
        )
        for seed in range(4)
    ]
    claims, found = found_for(runs, MLP, "9f")
    assert claims["verdict"].tolist() == [NOT_TESTABLE]
    row = of(found, "9f", "without last layer")
    assert (row.verdict, row.changes) == (REPRODUCED, 1)


def test_without_runs_nothing_is_said_of_its_seeds():
    claims = judge([], [], **LOOK, parts=only("8a"))
    found = sensitivity([], [], claims, **LOOK, parts=only("8a"))
    assert of(found, "8a", "20 runs").note != NO_OTHER_SEEDS


def test_volume_that_only_the_three_largest_contradict():
    falling = np.arange(8.0)[::-1, None]
    runs = [
        analysed_run(seed=seed, log_volume=falling, log_volume_top3=-falling) for seed in range(4)
    ]
    claims, found = found_for(runs, VGG10, "1c")
    assert claims["verdict"].tolist() == [REPRODUCED]
    row = of(found, "1c", "three largest")
    assert (row.verdict, row.value, row.changes) == (NOT_REPRODUCED, 1, 1)
    assert with_sensitivity(claims, found)["sensitive_to"].tolist() == ['["three largest"]']
