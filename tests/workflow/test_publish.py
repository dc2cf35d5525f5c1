"""The folder that is published says what the results say."""

import re
import shutil

import pandas as pd
import pytest
import yaml
from PIL import Image

from flatness.__main__ import main
from flatness.settings import check_file, load_settings

FIGURES = {
    name: {"study": "mlp", "compare": "learning_rate", "fixed": 20} for name in ("fig1", "figE8")
}


@pytest.fixture(scope="module")
def published(finished, make_workflow, tmp_path_factory):
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("published") / "copy")
    workflow = make_workflow(folder)
    workflow.config["figures"] = FIGURES
    workflow.succeed("--cores", "1", "publish")
    return folder / "results/small"


def test_every_number_on_the_page_comes_from_the_results(published):
    page = (published / "publication/README.md").read_text()
    claims = (published / "tables/claims.md").read_text()
    assert "An example, no test of the paper: mlp: dataset digits in the place of" in claims
    assert claims[claims.index("| claim |") :].strip() in page
    correlations = (published / "tables/correlations_mlp.md").read_text()
    for row in re.findall(r"^\| `mls`.*\[.*$", correlations.partition("### Spearman")[0], re.M):
        assert row in page
    assert "| train_run | 4 |" in page
    assert "| mlp: iterations | 40 | 750000 |" in page
    assert re.search(r"^\| mlp: dataset \| .*source digits \| .*FashionMNIST \|$", page, re.M)
    assert "| network | none | vgg10 |" in page
    assert "| bootstrap_draws |" not in page.partition("## Limits and deviations")[2]
    assert "No run is excluded." in page
    assert re.search(r"^\| runs that count \| 4 \|$", page, re.M)
    assert "{{" not in page


def test_each_figure_has_what_is_claimed_of_its_study(published):
    page = (published / "publication/README.md").read_text()
    under = {
        name: page.partition(f"(figures/{name}.png)")[2].partition("\n##")[0] for name in FIGURES
    }
    claims = pd.read_csv(published / "tables/claims.csv")
    about = claims[claims["figure"] == "figE8"]
    assert len(about) == 2
    for row in about.itertuples():
        name = f"{row.claim}{row.part} | {row.network}"
        assert f"| {name} | **{row.verdict}** | {row.statement} |" in under["figE8"]
    # It shows the MLP's study; the claims about it are tested on that of VGG10.
    assert "**" not in under["fig1"]


def test_the_published_configuration_is_that_of_the_results(published, make_workflow):
    place = published / "publication/configuration.yaml"
    workflow = make_workflow(published.parents[1])
    workflow.config["figures"] = FIGURES
    check_file(place)
    checked = load_settings(yaml.safe_load(place.read_text()), str(place))
    assert checked == load_settings(workflow.config, "the workflow's")


def test_every_link_leads_somewhere(published):
    page = published / "publication/README.md"
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert len(links) > 8
    for link in links:
        if link != "../claims.md":  # beside the page's place in the repository
            assert (page.parent / link).is_file(), link


def test_figures_are_small_and_whole(published):
    pictures = list((published / "publication/figures").glob("*.png"))
    assert {picture.stem for picture in pictures} == set(FIGURES)
    for picture in pictures:
        assert picture.stat().st_size <= 300_000
        with (
            Image.open(picture) as small,
            Image.open(published / f"figures/{picture.name}") as drawn,
        ):
            assert small.size == drawn.size


def test_tables_are_not_compared_with_themselves(published, capsys):
    folder = published / "publication"
    tables = folder / "tables"
    before = (tables / "claims.csv").read_bytes()
    command = ["tables", str(folder / "results.nc"), "--output", str(tables)]
    assert main([*command, "--compare", str(folder / "figures/../tables")]) == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert (tables / "claims.csv").read_bytes() == before


def test_all_tables_come_from_the_published_file(published, tmp_path):
    folder = published / "publication"
    command = ["tables", str(folder / "results.nc"), "--output", str(tmp_path)]
    assert main([*command, "--compare", str(folder / "tables")]) == 0
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {file.name for file in (folder / "tables").iterdir()}
    for name in names:
        assert (tmp_path / name).read_bytes() == (published / "tables" / name).read_bytes(), name
