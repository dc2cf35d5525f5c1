"""What is published says what the results say that lie beside it."""

import os

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import yaml

import flatness
from flatness.__main__ import main
from flatness.analysis.claims.the_claims import PARTS
from flatness.analysis.claims.verdicts import VERDICTS

FIGURES = ("fig1", "fig2", "fig3", "figD4", "figD5", "figD6", "figE7", "figE8")
NETWORKS = ("vgg10", "mlp")


@pytest.fixture(scope="module")
def folder(root):
    return root / "docs/variants/five_fold_rates_tanh"


@pytest.fixture(scope="module")
def runs(folder):
    """The runs that count, by network."""
    of_network = {name: [] for name in NETWORKS}
    for run in flatness.open_results(folder).runs:
        if run.counts:
            of_network[run.network["name"]].append(run)
    return of_network


def test_every_table_figure_and_page_is_made_anew(root, tmp_path):
    published = sorted(path.parent for path in (root / "docs").rglob("results.nc"))
    assert len(published) >= 2
    for folder in published:
        output = tmp_path / folder.name
        assert main(["reproduce", str(folder), "--output", str(output)]) == 0
        for name in ("configuration.yaml", "results.nc"):
            assert (output / name).read_bytes() == (folder / name).read_bytes(), (folder, name)
        assert (output / "README.md").read_text() == _elsewhere(root, folder), folder
        pictures = {file.name for file in (folder / "figures").iterdir()}
        assert {file.name for file in (output / "figures").iterdir()} == pictures


def _elsewhere(root, folder) -> str:
    """The page of a publication as it is in a folder outside of the repository."""
    page = (folder / "README.md").read_text()
    place = f"make reproduce PUBLISHED={folder.relative_to(root)}\n"
    link = f"]({os.path.relpath(root / 'docs/claims.md', folder)})"
    assert (page.count(place), page.count(link)) == (1, 2)
    return page.replace(place, "make reproduce PUBLISHED=docs/reproduction\n").replace(
        link, "](../claims.md)"
    )


def test_what_is_published_names_no_place_of_one_machine(root):
    for path in (root / "docs").rglob("configuration.yaml"):
        configuration = yaml.safe_load(path.read_text())
        assert not {"folders", "download"} & set(configuration)
        for dataset in configuration["datasets"].values():
            assert dataset["source"] != "image_folder"
            assert "image_folder" not in dataset


def _at_the_end(run, name) -> float:
    """The mean over the checkpoints in the last fifth of the iterations."""
    late = run.data["iteration"] > 0.8 * run.data["iteration"].max()
    return float(run.data[name].sel(sample_set="train").where(late).mean())


@pytest.mark.parametrize("network", NETWORKS)
def test_correlations_are_those_of_scipy(folder, runs, network):
    (path,) = (folder / "tables").glob(f"correlations_{network}*.csv")
    table = pd.read_csv(path)
    table = table[(table["group"] == "pooled") & (table["statistic"] == "pearson")]
    final = {
        name: np.array([_at_the_end(run, name) for run in runs[network]])
        for name in ("sqrt_sharpness", "log_volume", "mean_input_gradient_sq_norm", "mls")
    }
    pairs = table[table["quantity"].isin(final) & table["other_quantity"].isin(final)]
    assert len(pairs) == 6
    for row in pairs.itertuples():
        expected = scipy.stats.pearsonr(final[row.quantity], final[row.other_quantity]).statistic
        assert row.coefficient == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("network", NETWORKS)
def test_five_settings_have_four_seeds_at_least(runs, network):
    seeds = {}
    for run in runs[network]:
        seeds.setdefault(run.setting, set()).add(run.seed)
    assert len(seeds) >= 5
    assert min(len(of_setting) for of_setting in seeds.values()) >= 4


def test_every_claim_has_a_verdict_on_the_page(folder):
    page = (folder / "README.md").read_text()
    for part in PARTS:
        name = f"{part.claim}{part.part}"
        assert any(f"| {name} | {part.role} | **{word}** | " in page for word in VERDICTS), name


def test_all_figures_are_there_and_small(folder):
    page = (folder / "README.md").read_text()
    for name in FIGURES:
        assert f"](figures/{name}.png)" in page
        assert (folder / f"figures/{name}.png").stat().st_size <= 300_000
    assert (folder / "results.nc").stat().st_size <= 5_000_000
