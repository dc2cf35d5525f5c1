"""The folder that is published says what the results say."""

import re
import shutil

import pandas as pd
import pytest

from flatness.__main__ import main
from flatness.figures.pictures import write_small
from flatness.publication.all_figures import MOST_BYTES
from flatness.publication.configuration import without_seeds
from flatness.settings import load_settings, read_settings

FIGURES = {
    name: {"kind": "trends", "study": "mlp", "compare": "learning_rate", "fixed": 20}
    for name in ("fig1", "figE8")
} | {"figD6": {"kind": "pair_grid", "study": "mlp", "seeds": [0, 1]}}


@pytest.fixture(scope="module")
def published(finished, make_workflow, tmp_path_factory):
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("published") / "copy")
    workflow = make_workflow(folder)
    workflow.config["figures"] = FIGURES
    workflow.succeed("--cores", "1", "publish", "figures", "tables")
    return folder / "results/small"


def test_every_number_on_the_page_comes_from_the_results(published):
    page = (published / "publication/README.md").read_text()
    claims = (published / "tables/claims.md").read_text()
    assert "An example, no test of the paper: 4 of 50 runs; mlp: other data (digits in" in claims
    assert claims[claims.index("| claim |") :].strip() in page
    sensitivity = (published / "tables/sensitivity.md").read_text().partition("\n\n")[2]
    assert sensitivity.strip() in page
    correlations = (published / "tables/correlations_mlp.md").read_text()
    for row in re.findall(r"^\| `mls`.*\[.*$", correlations.partition("### Spearman")[0], re.M):
        assert row in page
    assert "| train_run | cpu | 4 |" in page
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
    workflow = make_workflow(published.parents[1])
    workflow.config["figures"] = FIGURES
    theirs = load_settings(workflow.config, "the workflow's")
    found = read_settings(published / "publication/configuration.yaml")
    assert without_seeds(found) == without_seeds(theirs)
    assert found.studies == theirs.studies
    assert found.figures == theirs.figures
    assert "folders" not in (published / "publication/configuration.yaml").read_text()


def test_every_link_leads_somewhere(published):
    page = published / "publication/README.md"
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert len(links) > 8
    for link in links:
        if link != "../claims.md":  # where it lies in the repository
            assert (page.parent / link).is_file(), link


def test_figures_are_those_of_the_workflow_but_small(published, tmp_path):
    pictures = list((published / "publication/figures").glob("*.png"))
    assert {picture.stem for picture in pictures} == set(FIGURES)
    for picture in pictures:
        assert picture.stat().st_size <= MOST_BYTES
        write_small(published / f"figures/{picture.name}", tmp_path / picture.name, MOST_BYTES)
        assert picture.read_bytes() == (tmp_path / picture.name).read_bytes()


def test_tables_are_those_of_the_workflow(published):
    names = {file.name for file in (published / "tables").iterdir()}
    assert names == {file.name for file in (published / "publication/tables").iterdir()}
    for name in names:
        made = (published / "publication/tables" / name).read_bytes()
        assert made == (published / "tables" / name).read_bytes(), name


def test_all_of_it_comes_from_the_one_file(published, tmp_path, capsys):
    folder = published / "publication"
    assert main(["reproduce", str(folder), "--output", str(tmp_path)]) == 0
    assert "claims.csv: the same as in" in capsys.readouterr().out
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()} == files
    for name in files:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_another_table_is_seen(published, tmp_path, capsys):
    folder = shutil.copytree(published / "publication", tmp_path / "changed")
    claims = folder / "tables/claims.csv"
    claims.write_text(claims.read_text().replace("reproduced", "disproved", 1))
    (folder / "tables/of_nobody.csv").touch()
    assert main(["reproduce", str(folder), "--output", str(tmp_path / "new")]) == 1
    error = capsys.readouterr().err
    assert "claims.csv, of_nobody.csv differ" in error
    assert error.count("\n") == 1


def test_a_publication_is_not_reproduced_over_itself(published, capsys):
    folder = published / "publication"
    before = (folder / "tables/claims.csv").read_bytes()
    assert main(["reproduce", str(folder), "--output", str(folder / "figures/..")]) == 1
    assert "would be overwritten" in capsys.readouterr().err
    assert (folder / "tables/claims.csv").read_bytes() == before


def test_a_study_without_a_role_has_no_claims(finished, make_workflow, tmp_path):
    workflow = make_workflow(shutil.copytree(finished, tmp_path / "copy"))
    shutil.rmtree(workflow.folder / "results/small/tables")
    workflow.config["claims"] = {}
    workflow.succeed("--cores", "1", "claims")
    workflow.succeed("--cores", "1", "all", "publish")
    results = workflow.folder / "results/small"
    assert (results / "tables/correlations_mlp.md").exists()
    assert not list(results.rglob("claims*")) + list(results.rglob("sensitivity.*sv"))
    assert "## Claims" not in (results / "publication/README.md").read_text()
    for page in ("report.html", "publication/report.html"):
        assert "laims of the paper" not in (results / page).read_text(), page
