"""Files and configurations with the names that quantities had are read with those of today."""

import copy
import json

import numpy as np
import pytest
import xarray as xr

import flatness
from flatness.analysis.correlations import correlations, together
from flatness.glossary.earlier import TODAYS_NAMES, with_todays_names
from flatness.glossary.quantities import QUANTITIES
from flatness.publication.merging import merge
from flatness.publication.opening import read_results, settings_of
from flatness.publication.results import every_run
from flatness.settings import load_settings
from flatness.storage import read_dataset, write_dataset, write_tree
from tests.analysis.made_up import analysed, analysed_run
from tests.publication.made_up_results import configuration, made_up_results, made_up_runs

THEN, NOW = "input_gradient_norm", "mean_input_gradient_sq_norm"
PANELS = ["train_loss", NOW]


def as_then(value):
    """What an earlier version wrote: the same with the other name, in a text or a Dataset."""
    if isinstance(value, str):
        return value.replace(NOW, THEN)
    renamed = value.rename({NOW: THEN}) if NOW in value.variables else value
    for name in {"quantity", "other_quantity"} & set(renamed.coords):
        names = np.array([as_then(each) for each in value[name].values], dtype=object)
        renamed = renamed.assign_coords({name: names})
        renamed[name].attrs = value[name].attrs
    renamed.attrs = {
        key: as_then(each) if isinstance(each, str) else each for key, each in value.attrs.items()
    }
    return renamed


def written_then(results, path):
    """A file of results as an earlier version wrote it."""
    groups = {node.path: as_then(node.to_dataset(inherit=False)) for node in results.subtree}
    tree = xr.DataTree.from_dict(groups)
    write_tree(tree, path)
    assert THEN in tree["vgg"]
    assert NOW not in tree["vgg"]
    assert json.dumps(THEN) in tree.attrs["configuration"]


def with_reason(runs):
    """One run in which the quantity does not exist, so that its attributes differ from others'."""
    runs[0][NOW].attrs["absent"] = "none here"
    return runs


def test_the_names_of_today_are_quantities():
    assert NOW in QUANTITIES
    assert not set(TODAYS_NAMES) & set(QUANTITIES)


def test_an_analysed_run(tmp_path):
    run = analysed_run()
    write_dataset(as_then(run), tmp_path / "analysis/run.nc")
    assert THEN in xr.open_dataset(tmp_path / "analysis/run.nc")
    xr.testing.assert_identical(read_dataset(tmp_path / "analysis/run.nc"), run)
    (opened,) = flatness.open_results(tmp_path).runs
    assert np.array_equal(opened.curve(NOW), run[NOW].sel(sample_set="train"))


def test_a_publication(tmp_path):
    results = made_up_results(runs=with_reason(made_up_runs([0, 3])), **drawn())
    written_then(results, tmp_path / "results.nc")
    opened = read_results(tmp_path / "results.nc")
    for found, expected in zip(every_run(opened), every_run(results), strict=True):
        xr.testing.assert_identical(found.data, expected.data)
    assert settings_of(opened) == settings_of(results)


def test_it_is_merged_with_one_of_today(tmp_path):
    halves = [
        made_up_results(runs=with_reason(made_up_runs([seed])), seeds=[seed], **drawn())
        for seed in (0, 3)
    ]
    written_then(halves[0], tmp_path / "then.nc")
    write_tree(halves[1], tmp_path / "now.nc")
    read = {name: read_results(tmp_path / f"{name}.nc") for name in ("then", "now")}
    assert merge(read).identical(merge(dict(zip(("then", "now"), halves, strict=True))))


def test_what_was_published_before_the_renaming(root):
    """This very file was written then."""
    path = root / "docs/reproduction/parts/seed0.nc"
    with xr.open_datatree(path, engine="netcdf4") as raw:
        expected = {name: node[THEN].load() for name, node in raw.children.items()}
    for study, values in expected.items():
        found = flatness.open_results(path).data(study)[NOW]
        assert np.array_equal(found, values, equal_nan=True)
        assert found.attrs == values.attrs


def test_a_table_of_correlations(tmp_path):
    runs = analysed(analysed_run(seed=seed) for seed in range(4))
    found = together(
        {"mlp": correlations(runs, sample_set="train", confidence=0.9, bootstrap_draws=100)}
    )
    write_dataset(as_then(found), tmp_path / "correlations.nc")
    assert THEN in xr.open_dataset(tmp_path / "correlations.nc")["quantity"]
    xr.testing.assert_identical(read_dataset(tmp_path / "correlations.nc"), found)


def drawn() -> dict:
    """Figures that name the quantity wherever a figure can."""
    figures = copy.deepcopy(configuration()["figures"])
    figures["fig1"] |= {"panels": PANELS, "logarithmic": PANELS}
    figures["figD6"]["quantities"] = ["mls", NOW]
    return {"figures": figures}


@pytest.mark.parametrize("bare", [False, True])
def test_a_configuration(bare):
    """Whether its figures have kinds already, or not yet."""
    mapping = configuration(**drawn())
    now = load_settings(mapping, "now")
    if bare:
        for figure in mapping["figures"].values():
            del figure["kind"]
        mapping["figures"]["figD6"]["title"] = "figD6"
        now = load_settings(mapping, "now")
    then = load_settings(json.loads(as_then(json.dumps(mapping))), "then")
    assert then == now
    assert then.figures["fig1"].panels == then.figures["fig1"].logarithmic == tuple(PANELS)
    assert then.figures["figD6"].quantities == ("mls", NOW)


def test_a_file_of_today_stays_as_it_is():
    run = analysed_run()
    run.attrs["about"] = f"{json.dumps(THEN)}, of old"
    assert with_todays_names(run) is run
