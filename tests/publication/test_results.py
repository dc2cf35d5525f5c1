"""A file of results gives back the analysed runs that it was made of, to the last bit."""

import re
import subprocess
import sys

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flatness.analysis.claims import judge
from flatness.analysis.correlations import correlations
from flatness.errors import StorageError
from flatness.publication.opening import read_results
from flatness.publication.results import condense, separate
from flatness.settings import load_settings
from flatness.storage import write_dataset, write_tree
from tests.analysis.made_up import analysed
from tests.publication.made_up_results import (
    REASON,
    configuration,
    made_up_results,
    made_up_run,
    made_up_runs,
)


@pytest.fixture(scope="module")
def runs():
    return made_up_runs()


@pytest.fixture(scope="module")
def file(runs, tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "results.nc"
    write_tree(made_up_results(runs=runs), path)
    return path


def test_every_run_is_what_it_was(runs, file):
    found = separate(read_results(file))
    assert list(found) == ["vgg", "mlp_numbers"]
    again = {run.id: run.data for study in found.values() for run in study}
    assert len(again) == len(runs) == 24
    for run in runs:
        xr.testing.assert_identical(again[run.attrs["run"]], run.drop_vars("tightest_sample"))


def test_order_is_that_of_the_configuration(runs, file):
    settings = load_settings(configuration(), "made up")
    turned = condense(analysed(runs[::-1]), settings)
    for study, of_study in separate(read_results(file)).items():
        names = [run.id for run in of_study]
        assert [run.id for run in separate(turned)[study]] == names
        assert names[:4] == [f"{study}_lr0.1_bs20_seed{seed}" for seed in range(4)]


def test_values_are_chosen_by_name(runs, file):
    results = read_results(file)
    run = next(run for run in runs if run.attrs["run"] == "mlp_numbers_lr0.2_bs20_seed2")
    study = results["mlp_numbers"].to_dataset()
    assert study["sharpness"].dims == ("run", "checkpoint", "sample_set")
    chosen = study["sharpness"].sel(run=run.attrs["run"], sample_set="test")
    np.testing.assert_array_equal(chosen, run["sharpness"].sel(sample_set="test"))
    assert study["iteration"].dims == ("checkpoint",)
    assert chosen["learning_rate"] == 0.2
    assert (chosen["batch_size"], chosen["seed"], chosen["loss"]) == (20, 2, "mse")
    assert results["vgg"].sizes["checkpoint"] == 7
    assert results["vgg"]["mls_bound_b"].attrs["absent"] == REASON


def test_a_diverged_run_is_filled_and_marked(file):
    study = read_results(file)["mlp_numbers"].to_dataset()
    run = study.sel(run="mlp_numbers_lr0.2_bs20_seed3")
    assert run["diverged"] == 1
    assert run["checkpoint_count"] == 3
    assert int(study["diverged"].sum()) == 1
    is_number = np.isfinite(run["sharpness"]).all("sample_set")
    assert is_number.to_numpy().tolist() == [True] * 3 + [False] * 5
    assert (run["sample_count"].isel(checkpoint=slice(3, None)) == -1).all()


@pytest.mark.parametrize(
    ("loss", "rate"), [("mse", 0.1), ("half_squared_error", 0.5), ("cross_entropy", np.nan)]
)
def test_rates_stand_there_in_mse_too(loss, rate):
    run = made_up_run()
    run.attrs["settings"] = run.attrs["settings"].replace('"mse"', f'"{loss}"')
    found = made_up_results(runs=[run])["mlp_numbers"]
    assert found["loss"].item() == loss
    np.testing.assert_equal(found["learning_rate_in_mse"].item(), rate)


def test_tables_are_equal(runs, file):
    studies = separate(read_results(file))
    shared = {"confidence": 0.95, "bootstrap_draws": 100}
    of_name = {
        name: analysed(run for run in runs if run.attrs["run"].startswith(name)) for name in studies
    }
    for name, found in studies.items():
        xr.testing.assert_identical(
            correlations(found, sample_set="train", **shared),
            correlations(of_name[name], sample_set="train", **shared),
        )
    options = {"interpolation_accuracy": 0.999, **shared}
    expected, again = (
        judge(dict(zip(("VGG10", "MLP"), each.values(), strict=True)), **options)
        for each in (of_name, studies)
    )
    pd.testing.assert_frame_equal(again, expected)


def test_runs_of_other_checkpoints_do_not_fit_together(runs):
    one, other = runs[0], runs[2]
    moved = other.assign_coords(iteration=other["iteration"] + 1)
    with pytest.raises(StorageError, match="has not the variables and checkpoints of"):
        made_up_results(runs=[one, moved])


def test_other_files_are_refused(file, tmp_path):
    write_dataset(xr.Dataset({"slack": ("sample", [1.0])}), tmp_path / "flat.nc")
    tree = made_up_results()
    tree.attrs["configuration"] = "{}"
    write_tree(tree, tmp_path / "unsettled.nc")
    tree = made_up_results()
    tree["vgg"] = tree["vgg"].to_dataset().drop_vars("slack")
    write_tree(tree, tmp_path / "incomplete.nc")
    for name, message in (
        ("flat.nc", "holds no results of studies: it has no sound configuration"),
        ("unsettled.nc", "holds no results of studies: it has no sound configuration"),
        ("incomplete.nc", "study 'vgg' has no slack"),
        ("absent.nc", "no such file"),
    ):
        with pytest.raises(StorageError, match=re.escape(message)) as caught:
            read_results(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
    for name in ("cut.nc", "changed.nc"):
        (tmp_path / name).write_bytes(file.read_bytes())
    (tmp_path / "cut.nc").write_bytes(file.read_bytes()[:-2000])
    with netCDF4.Dataset(tmp_path / "changed.nc", "a") as changed:
        changed["vgg"]["sharpness"][0, 0, 0] += 1
    for name, message in (("cut.nc", "no readable netCDF"), ("changed.nc", "was changed")):
        with pytest.raises(StorageError, match=f"{name}: .*{message}") as caught:
            read_results(tmp_path / name)
        # It may be the only copy.
        assert str(caught.value).endswith(" Use a sound copy, or leave it out.")


def test_opening_does_not_load_torch(file):
    program = (
        f"import sys, flatness\nflatness.open_results({str(file)!r})\n"
        "assert 'torch' not in sys.modules\nassert 'matplotlib' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_ten_runs_of_sixty_checkpoints_are_small(tmp_path):
    """With as many numbers as real runs have, drawn at random: they compress least."""
    draw, names = np.random.default_rng(0), [f"inequality_{n}" for n in range(22)]
    runs = []
    for seed in range(10):
        short = made_up_run(seed=seed, slack=dict.fromkeys(names, 0.1))
        run = short.isel(checkpoint=np.arange(60) % 8)
        run = run.assign_coords(
            iteration=("checkpoint", np.arange(60)), epoch=("checkpoint", np.arange(60.0))
        )
        for name, variable in run.items():
            if variable.dtype.kind == "f":
                run[name] = variable.dims, draw.uniform(0, 1, variable.shape)
        runs.append(run)
    studies = configuration()["studies"]
    studies["mlp_numbers"]["seeds"] = list(range(10))
    write_tree(made_up_results(runs=runs, studies=studies), tmp_path / "results.nc")
    assert (tmp_path / "results.nc").stat().st_size <= 2_000_000
