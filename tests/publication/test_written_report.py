"""The report's page, as text: what it says is what the runs and the settings say."""

import html
import json
import re

import pandas as pd
import pytest

from flatness.analysis.claims import judge_with_sensitivity
from flatness.analysis.correlations import correlations, together
from flatness.publication.report.number_line import Bar, number_line
from flatness.publication.report.write import report
from flatness.publication.results import separate
from flatness.settings import load_settings
from tests.publication.made_up_results import configuration, made_up_results, made_up_runs

SVG = (
    '<svg viewBox="0 0 9 9"><view id="panels" viewBox="1 1 5 5"/><g class="picture"><g id="a"/>'
    '<path clip-path="url(#a)"/></g><g class="named"><path data-runs="vgg_lr0.1_bs20_seed0">'
    "<title>one</title></path></g></svg>"
)


@pytest.fixture(scope="module")
def runs():
    """Two studies, some facts of which are unusual."""
    made = made_up_runs()
    for run in made:
        run.attrs["device"] = "cpu <fast>"
    made[1].attrs["versions"] = made[1].attrs["versions"].replace("2.15.0", "2.14.0")
    return made


@pytest.fixture(scope="module")
def studies():
    found = configuration()["studies"]
    found["mlp_numbers"]["loss"] = "half_squared_error"
    return found


@pytest.fixture(scope="module")
def tables(runs, studies):
    """Claims, sensitivity, correlations."""
    of_study = separate(made_up_results(runs=runs, studies=studies))
    options = {"confidence": 0.95, "bootstrap_draws": 50}
    roles = {"VGG10": of_study["vgg"], "MLP": of_study["mlp_numbers"]}
    judged = judge_with_sensitivity(roles, interpolation_accuracy=0.999, **options)
    found = {name: correlations(of, sample_set="train", **options) for name, of in of_study.items()}
    return *judged, together(found)


@pytest.fixture(scope="module")
def write(runs, studies, tables):
    """A function that writes the page, with other claims if asked for."""

    def written(claims=tables[0], sensitivity=tables[1], **changed):
        return report(
            made_up_results(runs=runs, studies=studies, **changed),
            load_settings(configuration(studies=studies, **changed), "made up"),
            claims=claims,
            sensitivity=sensitivity,
            correlations=tables[2],
            figures={"fig1": SVG},
        )

    return written


@pytest.fixture(scope="module")
def page(write):
    return write()


def _rows(page: str, name: str) -> list[list[str]]:
    """The cells of the table of that name."""
    table = page.partition(f'aria-label="{name}"')[2].partition("</table>")[0]
    return [
        [html.unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<td.*?</td>", row)]
        for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)[1:]
    ]


def test_the_page_says_what_was_run(page):
    found = {row[0]: row[1:] for row in _rows(page, "What was run")}
    assert found["mlp_numbers"][2:] == [
        "half_squared_error",
        "learning rate 0.1 (half_squared_error; 0.5 in mse), batch size 20; learning rate 0.2 "
        "(half_squared_error; 1 in mse), batch size 20; learning rate 0.1 (half_squared_error; "
        "0.5 in mse), batch size 8",
        "0, 1, 2, 3",
        "6000",
        "early 3, late 4",
        "12",
    ]
    assert ["bound_powers", "1, 2"] in _rows(page, "Conventions")
    facts = dict(_rows(page, "Hardware and versions"))
    assert facts["device"] == "cpu <fast>"
    assert facts["commit of training"] == "beef"
    assert facts["commit of analysis"] == "c0ffee"
    assert facts["torch"] == "2.15.0 (23 runs); 2.14.0 (1 run)"
    assert _rows(page, "Wall time") == [
        ["prepare_dataset", "cpu <fast>", "1", "0.50", "0.50", "100", "1.0"],
        ["train_run", "cpu <fast>", "24", "60.00", "4.00", "500", "48.0"],
        ["analyse_run", "cpu <fast>", "24", "0.12", "0.01", "-", "-"],
    ]


def test_every_run_has_a_row(page, runs):
    rows = _rows(page, "Runs")
    assert [row[-1] for row in rows] == sorted(
        (run.attrs["run"] for run in runs), key=[row[-1] for row in rows].index
    )
    assert len(rows) == 24
    (excluded,) = (row for row in rows if row[-2] != "yes")
    assert excluded[0] == "mlp_numbers"
    assert excluded[-2].startswith("no: the loss is not finite")
    assert "1 of 24 runs does not count." in page


def test_every_part_has_its_numbers(page, tables):
    rows = _rows(page, "Statistics of the claims")
    claims, sensitivity, _ = tables
    assert [row[:4] for row in rows] == [
        [f"{row.claim}{row.part}", row.network, row.verdict, row.statement]
        for row in claims.itertuples()
    ]
    assert page.count('<details class="part"') == len(claims) == page.count('class="used"')
    assert page.count("<b>changes the verdict</b>") == sensitivity["changes"].sum()
    assert sensitivity["changes"].sum() > 0


def test_a_part_has_the_runs_that_count_and_those_that_do_not(page, tables):
    for row in tables[0].itertuples():
        part = page.partition(f'id="claim-{row.claim}{row.part}-{row.network.lower()}"')[2]
        used, _, rest = part.partition('class="used"')[2].partition('class="left-out"')
        left_out = rest.partition("</details>")[0]
        linked = [set(re.findall(r'href="#run-([^"]*)"', text)) for text in (used, left_out)]
        reasons = json.loads(row.left_out)
        assert linked == [set(json.loads(row.used)), {n for of in reasons.values() for n in of}]
        for why in reasons:
            assert html.escape(why[1:]) in left_out


def test_claims_read_back_from_their_file_give_the_same_page(tmp_path, tables, write, page):
    read = []
    for name, frame in zip(("claims", "sensitivity"), tables, strict=False):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
        read.append(pd.read_csv(tmp_path / f"{name}.csv"))
    assert write(*read) == page


def test_every_link_leads_somewhere_on_the_page(page):
    ids = set(re.findall(r' id="([^"]+)"', page))
    for link in re.findall(r'(?:href="|url\()#([^")]+)', page):
        assert link in ids, link
    assert "picture-fig1" in ids
    assert "fig1-a" in ids  # which the figure calls "a"


def test_nothing_is_loaded_from_elsewhere(page):
    assert not re.search(r'(src|href)="(?!#)|@import|url\((?!#)|https?://(?!www\.w3\.org)', page)


def test_a_study_without_claims_is_set_against_nothing(write):
    page = write(claims=None, sensitivity=None)
    assert "<h1>Results: made_up</h1>" in page
    for word in ("paper", "claim", "verdict"):
        assert word not in re.sub("<(style|script)>.*?</\\1>", "", page, flags=re.DOTALL), word


@pytest.mark.parametrize(
    ("bars", "said"),
    [
        ([], "value 0.25, threshold 0"),
        (
            [Bar("over seeds", -0.5, 1), Bar("over settings", float("nan"), float("nan"))],
            "value 0.25, threshold 0; over seeds from -0.5 to 1",
        ),
    ],
)
def test_a_number_line_has_its_numbers_in_place(bars, said):
    picture = number_line(0.25, 0, bars)
    assert f'aria-label="{said}"' in picture
    (value,) = map(float, re.findall(r'cx="([^"]*)"', picture))
    threshold = float(re.search(r'class="threshold" x1="([^"]*)"', picture)[1])
    ends = re.search(r'class="interval" x1="([^"]*)" x2="([^"]*)"', picture).groups()
    low, high = map(float, ends)
    if bars:
        assert (value - low) / (high - low) == pytest.approx(0.5, abs=1e-3)
        assert (threshold - low) / (high - low) == pytest.approx(1 / 3, abs=1e-3)
    else:
        assert low == high == value
        assert threshold < value


def test_a_value_that_is_not_defined_has_no_number_line():
    assert number_line(float("nan"), 0, []) == ""
    assert number_line(float("inf"), 0, []) == ""
