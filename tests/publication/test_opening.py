"""A folder of results and a publication give the same runs."""

import re

import numpy as np
import pytest
import xarray as xr

import flatness
from flatness.errors import StorageError
from flatness.storage import write_dataset, write_tree
from tests.publication.made_up_results import made_up_results, made_up_runs


@pytest.fixture(scope="module")
def runs():
    return made_up_runs([0, 3])


@pytest.fixture(scope="module")
def folder(runs, tmp_path_factory):
    """A results folder, with the files of another job that is not finished."""
    folder = tmp_path_factory.mktemp("results")
    for run in runs:
        write_dataset(run, folder / f"analysis/{run.attrs['run']}.nc")
    (folder / "analysis/.a_run.17.partial.nc").write_bytes(b"CDF")
    return folder


@pytest.fixture(scope="module")
def published(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("publication")
    write_tree(made_up_results(runs=runs), folder / "results.nc")
    return folder


def test_a_folder_and_a_publication_give_the_same_runs(folder, published, runs):
    of_folder, of_folder_of_it, of_file = (
        flatness.open_results(path) for path in (folder, published, published / "results.nc")
    )
    assert set(of_folder.studies) == set(of_file.studies) == {"vgg", "mlp_numbers"}
    assert [run.id for run in of_folder_of_it.runs] == [run.id for run in of_file.runs]
    again = {run.id: run for run in of_folder.runs}
    assert len(again) == len(of_file.runs) == len(runs)
    for run in of_file.runs:
        assert vars(again[run.id]).keys() == vars(run).keys()
        for name in vars(run).keys() - {"data", "iteration"}:
            assert getattr(again[run.id], name) == getattr(run, name), name
        for name in ("sharpness", "train_loss"):
            np.testing.assert_array_equal(again[run.id].curve(name), run.curve(name))
    assert sum(not run.counts for run in of_folder.runs) == 1
    assert all(run.study == study for study in of_folder.studies for run in of_folder[study])


def test_their_numbers_lie_in_one_dataset(folder, published):
    for place in (folder, published):
        results = flatness.open_results(place)
        for study, runs in results.studies.items():
            data = results.data(study)
            assert data["sharpness"].dims == ("run", "checkpoint", "sample_set")
            assert data["run"].values.tolist() == [run.id for run in runs]
            assert data["learning_rate"].values.tolist() == [run.learning_rate for run in runs]
            for run in runs:
                of_run = data.sel(run=run.id, sample_set="train")["log_volume"]
                known = of_run.isel(checkpoint=slice(0, len(run.iteration)))
                np.testing.assert_array_equal(known, run.curve("log_volume"))
            assert study in repr(results)


def test_what_holds_no_runs_is_refused(folder, published, tmp_path):
    line = f"{tmp_path}: holds no analysis/*.nc and no results.nc. Allowed: "
    with pytest.raises(StorageError, match=re.escape(line)):
        flatness.open_results(tmp_path)
    for results in map(flatness.open_results, (folder, published)):
        with pytest.raises(StorageError, match=r"'vgg10' is no study. Allowed: .*vgg"):
            results["vgg10"]
        with pytest.raises(StorageError, match="'vgg10' is no study"):
            results.data("vgg10")


def test_runs_that_do_not_fit_together_have_no_common_dataset(runs, tmp_path):
    one, other = (run for run in runs if run.attrs["run"].startswith("vgg_lr0.1_bs20"))
    for run in (one, other.drop_vars("nmls")):
        write_dataset(run, tmp_path / f"analysis/{run.attrs['run']}.nc")
    results = flatness.open_results(tmp_path)
    assert isinstance(results.runs[0].data, xr.Dataset)
    with pytest.raises(StorageError, match="Analyse both with the same version"):
        results.data("vgg")


def test_results_list_their_studies(published):
    results = flatness.open_results(published)
    assert list(results) == list(results.studies) == ["vgg", "mlp_numbers"]
    assert len(results) == 2
    assert "vgg" in results
    assert "vgg10" not in results
