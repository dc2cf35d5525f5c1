"""Correlations against scipy, and runs that do not count."""

import itertools
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.stats

from flatness.analysis.correlations import (
    FINAL_QUANTITIES,
    correlations,
    final_quantities,
    together,
)
from flatness.analysis.statistics import SEED
from flatness.glossary.correlations import CORRELATIONS
from flatness.storage import read_dataset, write_dataset
from tests.analysis.made_up import analysed, analysed_run, settings_of

GIVEN = {"sample_set": "train", "confidence": 0.95, "bootstrap_draws": 200}
SCIPY = {
    "pearson": scipy.stats.pearsonr,
    "spearman": scipy.stats.spearmanr,
    "kendall": scipy.stats.kendalltau,
}
SETTINGS = ((0.05, 20), (0.1, 20), (0.2, 20), (0.1, 8), (0.1, 32))


def runs_with(**columns):
    """One run per value of each column; test loss and accuracy are drawn at random."""
    count = len(next(iter(columns.values())))
    draw = np.random.default_rng(5)
    columns = {"test_loss": draw.uniform(size=count), "test_accuracy": draw.uniform(size=count)} | {
        name: np.asarray(values, float) for name, values in columns.items()
    }
    return [
        analysed_run(seed=seed, **{name: values[seed] for name, values in columns.items()})
        for seed in range(count)
    ]


@pytest.fixture
def sweep():
    """Five settings with four seeds each; ties in test accuracy and local dimension."""
    draw = np.random.default_rng(7)
    return [
        analysed_run(
            learning_rate=rate,
            batch_size=size,
            seed=seed,
            local_dimension=draw.integers(1, 4),
            test_accuracy=draw.integers(5, 9) / 10,
            test_loss=draw.uniform(),
        )
        for rate, size in SETTINGS
        for seed in range(4)
    ]


def column(runs, name, sample_set="train"):
    """One number per run: the mean over the last fifth, which has the last two checkpoints."""
    position = ("train", "test", "misclassified").index(sample_set)
    curves = [run[name].to_numpy() for run in runs]
    return np.array(
        [np.mean((curve[:, position] if curve.ndim == 2 else curve)[-2:]) for curve in curves]
    )


def pair(dataset, method, quantity, other, group="pooled"):
    """Coefficient, low, high and n."""
    place = {"quantity": quantity, "other_quantity": other, "group": group}
    chosen = dataset.sel(place)
    values = chosen[["coefficient", "low", "high"]].sel({"statistic": method})
    return *(float(value) for value in values.values()), int(chosen["n"])


@pytest.mark.parametrize("sample_set", ["train", "test"])
@pytest.mark.parametrize("method", SCIPY)
def test_coefficients_are_scipys_in_every_group(sweep, method, sample_set):
    dataset = correlations(analysed(sweep), **GIVEN | {"sample_set": sample_set})
    groups = {
        "pooled": sweep,
        "learning_rate 0.05": sweep[0:4],
        "learning_rate 0.1": sweep[4:8] + sweep[12:20],
        "learning_rate 0.2": sweep[8:12],
        "batch_size 8": sweep[12:16],
        "batch_size 20": sweep[0:12],
        "batch_size 32": sweep[16:20],
    }
    assert dataset["group"].to_numpy().tolist() == list(groups)
    assert dataset["runs"].to_numpy().tolist() == [len(members) for members in groups.values()]
    for group, members in groups.items():
        for quantity, other in itertools.product(FINAL_QUANTITIES, repeat=2):
            with warnings.catch_warnings():  # scipy warns of constants, and gives NaN as we do
                warnings.simplefilter("ignore")
                expected = SCIPY[method](
                    column(members, quantity, sample_set), column(members, other, sample_set)
                ).statistic
            found, *_, n = pair(dataset, method, quantity, other, group)
            assert np.isclose(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True)
            assert n == len(members)


def test_a_case_worked_by_hand():
    # Pearson and Spearman: 1 - 6 (0 + 1 + 1 + 0) / (4 (16 - 1)); Kendall: (5 - 1) / 6.
    dataset = correlations(analysed(runs_with(sharpness=[1, 2, 3, 4], mls=[1, 3, 2, 4])), **GIVEN)
    for method, expected in (("pearson", 0.8), ("spearman", 0.8), ("kendall", 2 / 3)):
        assert np.isclose(pair(dataset, method, "sharpness", "mls")[0], expected, rtol=1e-14)
        assert pair(dataset, method, "sharpness", "sharpness")[:3] == (1, 1, 1)


def plain_bootstrap(runs, method, one, other, key, confidence=0.95):
    """The interval by drawing whole groups of runs and giving each draw to scipy."""
    groups = {}
    for position, run in enumerate(runs):
        groups.setdefault(key(settings_of(run)), []).append(position)
    members = [groups[name] for name in sorted(groups)]
    x, y = column(runs, one), column(runs, other)
    found = []
    for drawn in np.random.default_rng(SEED).integers(
        0, len(members), (GIVEN["bootstrap_draws"], len(members))
    ):
        chosen = np.concatenate([members[position] for position in drawn])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(SCIPY[method](x[chosen], y[chosen]).statistic)
    tail = (1 - confidence) / 2
    return np.nanquantile(found, [tail, 1 - tail])


@pytest.mark.parametrize("group", ["pooled", "batch_size 20"])
@pytest.mark.parametrize("method", SCIPY)
def test_intervals_draw_whole_seeds(sweep, method, group):
    dataset = correlations(analysed(sweep), **GIVEN | {"confidence": 0.9})
    runs = sweep if group == "pooled" else sweep[:12]
    for one, other in (("sharpness", "mls"), ("local_dimension", "test_accuracy")):
        expected = plain_bootstrap(runs, method, one, other, lambda s: s["seed"], 0.9)
        _, low, high, n = pair(dataset, method, one, other, group)
        assert np.allclose([low, high], expected, rtol=0, atol=1e-11)
        assert n == len(runs)


@pytest.mark.parametrize("method", SCIPY)
def test_the_second_interval_draws_whole_settings(sweep, method):
    dataset = correlations(analysed(sweep), **GIVEN)
    expected = plain_bootstrap(
        sweep, method, "sharpness", "mls", lambda s: (s["learning_rate"], s["batch_size"])
    )
    place = {"quantity": "sharpness", "other_quantity": "mls", "statistic": method}
    found = dataset.sel({**place, "group": "pooled"})[["settings_low", "settings_high"]]
    assert np.allclose([float(end) for end in found.values()], expected, rtol=0, atol=1e-11)
    # Three batch sizes at this learning rate are too few settings.
    fewer = dataset.sel({**place, "group": "learning_rate 0.1"})
    assert np.isnan(fewer["settings_low"])
    assert np.isfinite(fewer["low"])


def test_seeds_of_several_settings_are_counted_once(sweep):
    dataset = correlations(analysed(sweep), **GIVEN)
    assert (dataset["seeds"] == 4).all()
    three = correlations(analysed([run for run in sweep if settings_of(run)["seed"] < 3]), **GIVEN)
    assert three["low"].isnull().all()
    assert three["settings_low"].sel(group="pooled").notnull().all()


@pytest.mark.parametrize("method", SCIPY)
def test_interval_over_all_draws_of_four_seeds(method, monkeypatch):
    x, y = np.array([1.0, 2, 4, 9]), np.array([2.0, 1, 2, 3])
    every = np.array(list(itertools.product(range(4), repeat=4)))
    defined = [row for row in every if len(set(x[row])) > 1 and len(set(y[row])) > 1]
    statistics = [SCIPY[method](x[row], y[row]).statistic for row in defined]
    monkeypatch.setattr(
        "flatness.analysis.statistics.drawn_positions", lambda groups, bootstrap_draws: every
    )
    _, low, high, n = pair(
        correlations(analysed(runs_with(sharpness=x, mls=y)), **GIVEN), method, "sharpness", "mls"
    )
    assert 0 < len(defined) < 256
    assert np.allclose([low, high], np.quantile(statistics, [0.025, 0.975]), atol=1e-12)
    assert n == 4


@pytest.mark.parametrize("scale", [1e-200, 1e150])
def test_coefficients_do_not_depend_on_scale(scale):
    x, y = np.array([1.0, 2, 4, 9, 3]), np.array([2.0, 1, 2, 3, 5])
    plain = correlations(analysed(runs_with(sharpness=x, mls=y)), **GIVEN)
    scaled = correlations(analysed(runs_with(sharpness=x * scale, mls=y)), **GIVEN)
    for method in SCIPY:
        one, other = (pair(each, method, "sharpness", "mls") for each in (plain, scaled))
        assert np.allclose(one, other, rtol=1e-12)


def test_a_group_of_all_runs_is_left_out(sweep):
    one_size = correlations(analysed(sweep[:12]), **GIVEN)
    assert one_size["group"].to_numpy().tolist() == [
        "pooled",
        "learning_rate 0.05",
        "learning_rate 0.1",
        "learning_rate 0.2",
    ]
    assert correlations(analysed(sweep[:4]), **GIVEN)["group"].to_numpy().tolist() == ["pooled"]


def test_diverged_runs_are_named_and_not_counted(sweep):
    diverged = analysed_run(learning_rate=0.2, seed=9, diverged=True, mls=1e9)
    dataset = correlations(analysed([*sweep, diverged]), **GIVEN)
    assert dataset.equals(correlations(analysed(sweep), **GIVEN))
    assert json.loads(dataset.attrs["excluded"]) == {
        "mlp_numbers_lr0.2_bs20_seed9": "the loss is not finite at iteration 7"
    }
    assert json.loads(dataset.attrs["counted"]) == [run.attrs["run"] for run in sweep]
    assert json.loads(correlations(analysed(sweep), **GIVEN).attrs["excluded"]) == {}


def test_nothing_but_diverged_runs_gives_nothing():
    dataset = correlations(analysed([analysed_run(diverged=True)]), **GIVEN)
    assert dataset["group"].to_numpy().tolist() == ["pooled"]
    assert dataset["coefficient"].isnull().all()
    assert not dataset["n"].any()
    assert list(json.loads(dataset.attrs["excluded"])) == ["mlp_numbers_lr0.1_bs20_seed0"]


def test_three_seeds_have_coefficients_and_no_interval():
    x, y = [1.0, 2, 4], [1.0, 5, 3]
    dataset = correlations(analysed(runs_with(sharpness=x, mls=y)), **GIVEN)
    for method, reference in SCIPY.items():
        coefficient, low, high, n = pair(dataset, method, "sharpness", "mls")
        assert np.isclose(coefficient, reference(x, y).statistic, rtol=1e-12)
        assert np.isnan([low, high]).all()
        assert n == 3


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_runs_have_nothing(count):
    dataset = correlations(analysed(runs_with(sharpness=np.arange(count))), **GIVEN)
    for name in ("coefficient", "low", "high"):
        assert dataset[name].isnull().all()
    assert (dataset["n"] == count).all()


@pytest.mark.parametrize("value", [3.0, 0.1, 1e-200])
def test_a_constant_quantity_has_no_coefficient(value):
    runs = runs_with(sharpness=np.full(7, value), mls=np.arange(7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = correlations(analysed(runs), **GIVEN)
    of_constant = dataset.sel(quantity="sharpness")
    for name in ("coefficient", "low", "high"):
        assert of_constant[name].isnull().all()
    assert (of_constant["n"] == 7).all()
    assert np.isfinite(pair(dataset, "kendall", "mls", "test_loss")[:3]).all()


def test_values_that_are_not_finite_do_not_count_for_their_pairs_only():
    draw = np.random.default_rng(2)
    columns = {name: draw.normal(size=8) for name in ("sharpness", "log_volume", "mls")}
    columns["log_volume"][2] = -np.inf
    columns["mls"][5] = np.nan
    runs = runs_with(**columns)
    dataset = correlations(analysed(runs), **GIVEN)
    for method, reference in SCIPY.items():
        for one, other, dropped in (
            ("sharpness", "log_volume", [2]),
            ("sharpness", "mls", [5]),
            ("log_volume", "mls", [2, 5]),
            ("log_volume", "log_volume", [2]),
            ("sharpness", "test_loss", []),
        ):
            kept = np.delete(np.arange(8), dropped)
            found = pair(dataset, method, one, other)
            alone = correlations(analysed([runs[position] for position in kept]), **GIVEN)
            x, y = column(runs, one)[kept], column(runs, other)[kept]
            assert np.isclose(found[0], reference(x, y).statistic, rtol=1e-12)
            assert np.allclose(found, pair(alone, method, one, other), rtol=1e-12)
            assert found[3] == len(kept)
            assert found == pair(dataset, method, other, one)
    assert json.loads(dataset.attrs["not_finite"]) == {
        "mlp_numbers_lr0.1_bs20_seed2": {"log_volume": "-inf"},
        "mlp_numbers_lr0.1_bs20_seed5": {"mls": "nan"},
    }


def test_absent_quantities_are_named_with_the_reason_and_not_run_by_run():
    absent = ("mls_bound_b", "mls_bound_c", "mls_bound_d")
    runs = runs_with(sharpness=np.arange(5), **{name: np.full(5, np.nan) for name in absent})
    for run, name in itertools.product(runs, absent):
        run[name].attrs["absent"] = "the first layer is a convolution"
    dataset = correlations(analysed(runs), **GIVEN)
    reasons = dict.fromkeys(absent, "the first layer is a convolution")
    assert json.loads(dataset.attrs["absent"]) == reasons
    assert json.loads(dataset.attrs["not_finite"]) == {}
    assert dataset.sel(quantity=list(absent))["coefficient"].isnull().all()
    assert not dataset.sel(quantity=list(absent))["n"].any()
    assert pair(dataset, "pearson", "sharpness", "nmls")[3] == 5
    assert (
        final_quantities(analysed(runs), "train")["mls_bound_c"].attrs["absent"]
        == reasons[absent[0]]
    )


LATER = ("adaptive_sharpness", "sqrt_adaptive_sharpness", "relative_flatness", "nvr")


def test_runs_of_an_earlier_version_have_the_other_quantities(sweep):
    older = [run.drop_vars(LATER) for run in sweep]
    dataset = correlations(analysed(older), **GIVEN)
    others = [name for name in FINAL_QUANTITIES if name not in LATER]
    assert dataset["quantity"].to_numpy().tolist() == others
    whole = correlations(analysed(sweep), **GIVEN).sel(quantity=others, other_quantity=others)
    assert dataset.identical(whole)
    final = final_quantities(analysed(older), "train")
    assert list(final) == list(FINAL_QUANTITIES)
    for name in LATER:
        assert final[name].isnull().all()
        assert final[name].attrs["absent"] == "not known to the version that analysed the run"


def test_runs_of_earlier_and_of_this_version_count_where_they_have_a_value(sweep):
    mixed = [run.drop_vars(LATER) if settings_of(run)["seed"] == 3 else run for run in sweep]
    dataset = correlations(analysed(mixed), **GIVEN)
    assert pair(dataset, "pearson", "nvr", "mls")[3] == 15
    assert pair(dataset, "pearson", "nmls", "mls")[3] == 20
    assert json.loads(dataset.attrs["absent"]) == {}
    not_finite = json.loads(dataset.attrs["not_finite"])
    assert set(not_finite) == {run.attrs["run"] for run in mixed if "nvr" not in run}
    assert all(each == dict.fromkeys(LATER, "nan") for each in not_finite.values())


def test_a_study_of_an_earlier_version_goes_together_with_one_of_this(sweep):
    several = {
        "old": correlations(analysed([run.drop_vars(LATER) for run in sweep]), **GIVEN),
        "new": correlations(analysed(sweep), **GIVEN),
    }
    dataset = together(several)
    assert dataset["quantity"].to_numpy().tolist() == list(FINAL_QUANTITIES)
    old = dataset.sel(study="old", quantity=list(LATER))
    assert old["coefficient"].isnull().all()
    assert not old["n"].any()
    names = several["old"]["quantity"].to_numpy()
    found = dataset.sel(study="old", quantity=names, other_quantity=names).drop_vars("study")
    assert found.equals(several["old"])


def test_final_quantities_are_means_over_the_last_fifth(sweep):
    diverged = analysed_run(learning_rate=0.2, seed=9, diverged=True)
    final = final_quantities(analysed([*sweep, diverged]), "test")
    assert list(final) == list(FINAL_QUANTITIES)
    for name in FINAL_QUANTITIES:
        assert np.array_equal(final[name], column(sweep, name, "test"))
        assert final[name].attrs["long_name"]
    assert final["run"].to_numpy().tolist() == [run.attrs["run"] for run in sweep]
    settings = np.stack([final[key] for key in ("learning_rate", "batch_size", "seed")], axis=1)
    assert settings.tolist() == [[*setting, seed] for setting in SETTINGS for seed in range(4)]
    assert list(json.loads(final.attrs["excluded"])) == [diverged.attrs["run"]]
    assert final.attrs["sample_set"] == "test"


def test_every_variable_has_its_glossary_entry(sweep):
    dataset = together({"one": correlations(analysed(sweep), **GIVEN)})
    for name in dataset.variables:
        assert dataset[name].attrs["long_name"] == CORRELATIONS[name].long_name
    assert dataset.attrs["sample_set"] == "train"
    assert dataset.attrs["confidence"] == 0.95
    assert dataset.attrs["bootstrap_draws"] == 200
    assert dataset.attrs["bootstrap_seed"] == SEED
    assert json.loads(dataset.attrs["provenance"])["one"]["commit"] == ["c0ffee"]


def test_studies_go_together_into_one_file(sweep, tmp_path):
    several = {
        "wide": correlations(analysed(sweep), **GIVEN),
        "narrow": correlations(analysed(sweep[:12]), **GIVEN),
    }
    several["other"] = correlations(
        analysed(
            analysed_run(study="other", learning_rate=rate, seed=s)
            for rate in (0.01, 2)
            for s in (0, 1)
        ),
        **GIVEN,
    )
    dataset = together(several)
    assert dataset["coefficient"].dims == (
        "study",
        "group",
        "statistic",
        "quantity",
        "other_quantity",
    )
    assert dataset["group"].to_numpy().tolist() == [
        "pooled",
        "learning_rate 0.01",
        "learning_rate 0.05",
        "learning_rate 0.1",
        "learning_rate 0.2",
        "learning_rate 2",
        "batch_size 8",
        "batch_size 20",
        "batch_size 32",
    ]
    for study, alone in several.items():
        groups = alone["group"].to_numpy().tolist()
        found = dataset.sel(study=study).drop_vars("study")
        assert found.sel(group=groups).equals(alone)
        missing = found.drop_sel(group=groups)
        assert missing["coefficient"].isnull().all()
        assert missing["low"].isnull().all()
        assert not missing["n"].any()
        assert not missing["runs"].any()
        assert json.loads(dataset.attrs["counted"])[study] == json.loads(alone.attrs["counted"])
    write_dataset(dataset, tmp_path / "one.nc")
    assert read_dataset(tmp_path / "one.nc").identical(dataset)
    write_dataset(together(several), tmp_path / "two.nc")
    assert (tmp_path / "one.nc").read_bytes() == (tmp_path / "two.nc").read_bytes()


def test_studies_with_different_arguments_do_not_go_together(sweep):
    one = correlations(analysed(sweep), **GIVEN)
    other = correlations(analysed(sweep), **GIVEN | {"sample_set": "test"})
    with pytest.raises(ValueError, match="equal arguments"):
        together({"one": one, "other": other})


def test_correlations_do_not_load_torch():
    code = "import sys, flatness.analysis.correlations; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
