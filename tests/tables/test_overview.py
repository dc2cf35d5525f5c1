"""The report's first page: what it says is what the runs and the settings say."""

import json
import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from flatness.analysis.claims import judge
from flatness.tables.overview import write_overview
from made_up import analysed_run

SETTINGS = {
    "analysis": {"bound_powers": (1.0, 2.0), "confidence": 0.95},
    "studies": {
        name: {
            "network": {"name": "mlp", "hidden_width": 500},
            "dataset": "numbers",
            "loss": "mse",
            "sweep": [
                {"learning_rate": 0.1, "batch_size": 20},
                {"learning_rate": 0.2, "batch_size": 8},
            ],
            "seeds": [0, 1],
            "iterations": 6000,
            "checkpoints": {"early": 4, "late": 4},
            "middle_layers": (),
        }
        for name in ("mlp_numbers", "mlp_numbers_wide")
    },
}


def _run(**options):
    run = analysed_run(**options)
    run.attrs |= {
        "device": "cpu <fast>",
        "machine": "x86_64",
        "threads": 1,
        "versions": json.dumps({"python": "3.11.7", "torch": "2.15.0"}),
    }
    return run


@pytest.fixture(scope="module")
def claims():
    runs = [_run(seed=seed) for seed in range(4)]
    return judge([], runs, interpolation_accuracy=0.999, confidence=0.95, resamples=100)


def _benchmark(path, seconds, memory):
    path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{memory}\n")
    return str(path)


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
    runs = [_run(seed=0), _run(seed=1), _run(seed=2, diverged=True)]
    runs[1].attrs["versions"] = json.dumps({"python": "3.11.7", "torch": "2.14.0"})
    benchmarks = {
        "train_run": [
            _benchmark(tmp_path / "a.tsv", 60, 500),
            _benchmark(tmp_path / "b.tsv", 120, "-"),
            str(tmp_path / "absent.tsv"),
        ],
        "analyse_run": [_benchmark(tmp_path / "c.tsv", 0.3, "-")],
        "measure_run": [str(tmp_path / "absent.tsv")],
    }
    path = tmp_path / "overview.html"
    write_overview(path, claims=claims, runs=runs, settings=SETTINGS, benchmarks=benchmarks)
    tables = _tables(path)
    assert next(iter(tables)) == "Claims"
    assert len(tables["Claims"]) == len(claims)
    excluded = tables["Excluded runs"][0]
    assert runs[2].attrs["run"] in excluded
    assert "the loss is not finite at iteration 7" in excluded
    studies = {row[0]: row[1:] for row in tables["What was run"]}
    assert studies["mlp_numbers"] == [
        *("name mlp, hidden_width 500", "numbers", "mse"),
        "learning_rate 0.1, batch_size 20; learning_rate 0.2, batch_size 8",
        *("0, 1", "6000", "early 4, late 4", "3"),
    ]
    assert studies["mlp_numbers_wide"][-1] == "0"  # a study whose name begins like another's
    assert ["bound_powers", "1, 2"] in tables["Conventions of the analysis"]
    facts = dict(tables["Hardware and versions"])
    assert facts["device"] == "cpu <fast>"
    assert facts["python"] == "3.11.7"
    assert facts["torch"] == "2.15.0 (2 runs); 2.14.0 (1 runs)"
    assert tables["Wall time"] == [
        ["train_run", "2", "3.00", "2.00", "500"],
        ["analyse_run", "1", "0.01", "0.01", "-"],
    ]


def test_no_excluded_run_is_said_too(tmp_path, claims):
    path = tmp_path / "overview.html"
    write_overview(path, claims=claims, runs=[_run()], settings=SETTINGS, benchmarks={})
    assert "None of the 1 runs." in path.read_text()


def test_claims_read_back_from_their_file_give_the_same_page(tmp_path, claims):
    claims.to_csv(tmp_path / "claims.csv", index=False)
    pages = []
    for name, frame in (("one", claims), ("two", pd.read_csv(tmp_path / "claims.csv"))):
        path = tmp_path / f"{name}.html"
        write_overview(path, claims=frame, runs=[_run()], settings=SETTINGS, benchmarks={})
        pages.append(path.read_bytes())
    assert pages[0] == pages[1]


def test_every_verdict_has_a_colour(tmp_path, claims):
    path = tmp_path / "overview.html"
    write_overview(path, claims=claims, runs=[_run()], settings=SETTINGS, benchmarks={})
    coloured = set(re.findall(r"tr\.([a-z-]+) td", path.read_text()))
    assert coloured == {"reproduced", "not-reproduced", "undecided", "not-testable"}
