"""Results that somebody else published: what they say decides no path."""

import json

import pytest
import xarray as xr

from flatness.__main__ import main
from flatness.storage import write_tree
from tests.publication.made_up_results import made_up_results


@pytest.mark.parametrize(
    "study", ["../escaped", "a/../../escaped", "/tmp/escaped", "", "a\n", "{}"]
)
def test_a_study_whose_name_leaves_the_folder_is_refused(study, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = made_up_results()
    configuration = json.loads(results.attrs["configuration"])
    configuration["studies"][study] = configuration["studies"].pop("vgg")
    configuration["claims"], configuration["figures"] = {}, {}
    root = results.attrs | {"configuration": json.dumps(configuration)}
    write_tree(
        xr.DataTree.from_dict({"/": xr.Dataset(attrs=root), "/vgg": results["vgg"].to_dataset()}),
        "results.nc",
    )
    assert main(["publish", "results.nc", "--output", "published"]) == 1
    error = capsys.readouterr().err
    assert "results.nc: holds no results of studies: it has no sound configuration" in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results.nc"]


def test_a_group_that_is_no_study_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = made_up_results()
    results["another"] = results["vgg"].to_dataset()
    write_tree(results, "results.nc")
    assert main(["publish", "results.nc", "--output", "published"]) == 1
    assert "is no run of study 'another' in its configuration" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["results.nc"]
