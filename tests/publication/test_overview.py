"""The report's first page: what it says is what the runs and the settings say."""

import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from flatness.publication.overview import write_overview
from tests.analysis.judged import judge
from tests.publication.made_up_results import (
    configuration,
    made_up_results,
    made_up_run,
    made_up_runs,
)


@pytest.fixture(scope="module")
def claims():
    runs = [made_up_run(seed=seed) for seed in range(4)]
    return judge([], runs, interpolation_accuracy=0.999, confidence=0.95, bootstrap_draws=100)


def _write(path, claims, results):
    write_overview(path, claims=claims, results=results)


def _tables(path) -> dict[str, list[list[str]]]:
    """The cells of each table's rows, by the heading before it."""
    text = path.read_text()
    body = text[text.index('<div class="overview">') :]
    found, heading = {}, ""
    for element in ElementTree.fromstring(body):
        if element.tag == "h2":
            heading = element.text
        elif element.tag == "table":
            rows = element.find("tbody").findall("tr")
            found[heading] = [["".join(cell.itertext()) for cell in row] for row in rows]
        else:
            found[heading] = ["".join(element.itertext())]
    return found


def test_the_page_says_what_was_run(tmp_path, claims):
    runs = made_up_runs()
    for run in runs:
        run.attrs["device"] = "cpu <fast>"
    runs[1].attrs["versions"] = runs[1].attrs["versions"].replace("2.15.0", "2.14.0")
    studies = configuration()["studies"]
    studies["mlp_numbers"]["loss"] = "half_squared_error"
    path = tmp_path / "overview.html"
    _write(path, claims, made_up_results(runs=runs, studies=studies))
    assert "<strong>An example, no test of the paper: " in path.read_text()
    tables = _tables(path)
    assert list(tables)[:2] == ["", "Claims"]
    assert len(tables["Claims"]) == len(claims)
    excluded = tables["Excluded runs"][0]
    assert "mlp_numbers_lr0.2_bs20_seed3, learning rate 0.2 (mse): the loss is not" in excluded
    studies = {row[0]: row[1:] for row in tables["What was run"]}
    assert studies["mlp_numbers"][2:] == [
        "half_squared_error",
        "learning rate 0.1 (half_squared_error; 0.5 in mse), batch size 20; learning rate 0.2 "
        "(half_squared_error; 1 in mse), batch size 20; learning rate 0.1 (half_squared_error; "
        "0.5 in mse), batch size 8",
        "0, 1, 2, 3",
        "6000",
        "early 3, late 4",
        "12",
    ]
    assert ["bound_powers", "1, 2"] in tables["Conventions of the analysis"]
    facts = dict(tables["Hardware and versions"])
    assert facts["device"] == "cpu <fast>"
    assert facts["commit of training"] == "beef"
    assert facts["commit of analysis"] == "c0ffee"
    assert facts["python"] == "3.11.7"
    assert facts["torch"] == "2.15.0 (23 runs); 2.14.0 (1 run)"
    assert tables["Wall time"] == [
        ["prepare_dataset", "1", "0.50", "0.50", "100", "1.0"],
        ["train_run", "24", "60.00", "4.00", "500", "48.0"],
        ["analyse_run", "24", "0.12", "0.01", "-", "-"],
    ]


def test_no_excluded_run_is_said_too(tmp_path, claims):
    path = tmp_path / "overview.html"
    _write(path, claims, made_up_results(runs=[made_up_run()]))
    assert "None of the 1 run." in path.read_text()


def test_claims_read_back_from_their_file_give_the_same_page(tmp_path, claims):
    claims.to_csv(tmp_path / "claims.csv", index=False)
    pages = []
    for name, frame in (("one", claims), ("two", pd.read_csv(tmp_path / "claims.csv"))):
        path = tmp_path / f"{name}.html"
        _write(path, frame, made_up_results())
        pages.append(path.read_bytes())
    assert pages[0] == pages[1]


def test_every_verdict_has_a_colour(tmp_path, claims):
    path = tmp_path / "overview.html"
    _write(path, claims, made_up_results())
    coloured = set(re.findall(r"tr\.([a-z-]+) td", path.read_text()))
    assert coloured == {"reproduced", "not-reproduced", "undecided", "not-testable"}
