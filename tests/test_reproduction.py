"""What docs/reproduction says comes from the results that lie beside it."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from flatness.__main__ import main
from flatness.analysis.claims.the_claims import PARTS
from flatness.analysis.claims.verdicts import VERDICTS
from flatness.analysis.condensed import separate
from flatness.analysis.seeds import settings_of, split_excluded
from flatness.storage import read_dataset

FIGURES = ("fig1", "fig2", "fig3", "figD4", "figD5", "figD6", "figE7", "figE8")
NETWORKS = ("vgg10", "mlp")


@pytest.fixture(scope="module")
def folder(root):
    return root / "docs/reproduction"


@pytest.fixture(scope="module")
def runs(folder):
    """The runs that count, by network."""
    of_network = {name: [] for name in NETWORKS}
    for study in separate(read_dataset(folder / "results.nc")).values():
        for run in split_excluded(study)[0]:
            of_network[settings_of(run)["network"]["name"]].append(run)
    return of_network


@pytest.mark.parametrize("published", ["reproduction", "variants"])
def test_all_tables_are_made_anew(published, root, tmp_path):
    folder = root / "docs" / published
    command = ["tables", str(folder / "results.nc"), "--output", str(tmp_path)]
    assert main([*command, "--compare", str(folder / "tables")]) == 0


@pytest.mark.parametrize("network", NETWORKS)
def test_correlations_are_those_of_scipy(folder, runs, network):
    (path,) = (folder / "tables").glob(f"correlations_{network}*.csv")
    table = pd.read_csv(path)
    table = table[(table["group"] == "pooled") & (table["statistic"] == "pearson")]
    final = {
        name: np.array(
            [float(run[name].sel(sample_set="train").isel(checkpoint=-1)) for run in runs[network]]
        )
        for name in ("sqrt_sharpness", "log_volume", "input_gradient_norm", "mls")
    }
    pairs = table[table["quantity"].isin(final) & table["other_quantity"].isin(final)]
    assert len(pairs) == 6
    for row in pairs.itertuples():
        expected = scipy.stats.pearsonr(final[row.quantity], final[row.other_quantity]).statistic
        assert row.coefficient == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("network", NETWORKS)
def test_five_settings_have_four_seeds_at_least(runs, network):
    seeds = {}
    for run in runs[network]:
        settings = settings_of(run)
        setting = settings["learning_rate"], settings["batch_size"]
        seeds.setdefault(setting, set()).add(settings["seed"])
    assert len(seeds) >= 5
    assert min(len(of_setting) for of_setting in seeds.values()) >= 4


def test_every_claim_has_a_verdict_on_the_page(folder):
    page = (folder / "README.md").read_text()
    for part in PARTS:
        name = f"{part.claim}{part.part}"
        assert any(f"| {name} | {part.network} | **{word}** | " in page for word in VERDICTS), name


def test_all_figures_are_there_and_small(folder):
    page = (folder / "README.md").read_text()
    for name in FIGURES:
        assert f"](figures/{name}.png)" in page
        assert (folder / f"figures/{name}.png").stat().st_size <= 300_000
    assert (folder / "results.nc").stat().st_size <= 5_000_000
