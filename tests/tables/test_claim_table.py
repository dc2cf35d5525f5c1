"""The table of verdicts, as people and programs read it."""

import csv

import numpy as np
import pandas as pd
import pytest

from flatness.analysis.claims import COLUMNS
from flatness.analysis.claims.the_claims import TITLES
from flatness.analysis.claims.verdicts import VERDICTS
from flatness.tables.claim_table import (
    definitions,
    in_short,
    write_csv,
    write_markdown,
    write_text,
)
from tests.analysis.judged import judge
from tests.analysis.made_up import analysed_run

NATURE = "The paper's settings"


def one_row(**changed) -> dict:
    row = {
        "claim": 7,
        "part": "e",
        "network": "VGG10",
        "statement": "One is better than the other.",
        "statistic": "|rho(mls, test_loss)| - |rho(log_volume, test_loss)|",
        "value": -0.123456,
        "low": -0.3,
        "high": 1e-6,
        "settings_low": -0.5,
        "settings_high": 0.5,
        "n": 25,
        "seeds": 5,
        "seeds_held": 2,
        "threshold": 0.0,
        "comparison": "< 0",
        "second_value": np.nan,
        "second_low": np.nan,
        "second_high": np.nan,
        "second_settings_low": np.nan,
        "second_settings_high": np.nan,
        "second_threshold": np.nan,
        "second_comparison": "",
        "verdict": "undecided",
        "reason": "",
        "remarks": "",
        "figure": "figD5",
        "sensitive_to": "",
        "used": "[]",
        "left_out": "{}",
    }
    assert tuple(row) == COLUMNS
    return row | changed


@pytest.fixture
def frame() -> pd.DataFrame:
    """One row of each verdict."""
    nothing = dict.fromkeys(("value", "low", "high", "settings_low", "settings_high"), np.nan)
    nothing |= {"n": 0, "seeds": 0, "seeds_held": 0}
    return pd.DataFrame(
        [
            one_row(part="a", verdict="reproduced", low=-0.9, high=-0.1),
            one_row(part="b", verdict="not reproduced", low=0.1, high=0.9),
            one_row(part="c"),
            one_row(part="d", verdict="not testable", reason="Too <b>few</b> | runs.", **nothing),
        ]
    )


@pytest.fixture(scope="module")
def judged() -> pd.DataFrame:
    runs = [
        analysed_run(seed=seed, test_loss=1.0 + seed, learning_rate=rate)
        for seed in range(4)
        for rate in (0.1, 0.2, 0.3, 0.4)
    ]
    runs.append(analysed_run(seed=9, diverged=True))
    return judge([], runs, interpolation_accuracy=0.999, confidence=0.95, bootstrap_draws=50)


TEXTS = {"reason": "", "remarks": "", "second_comparison": "", "sensitive_to": ""}


def cells(markdown: str) -> list[list[str]]:
    """The rows of a Markdown table; an escaped bar is no border."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [
        [cell.strip().replace("\0", "|") for cell in line.replace(r"\|", "\0").split("|")[1:-1]]
        for line in lines
    ]


def test_csv_holds_the_frame_as_it_is(frame, judged, tmp_path):
    for given in (frame, judged):
        write_csv(given, tmp_path / "claims.csv")
        read = pd.read_csv(  # reads all digits
            tmp_path / "claims.csv", engine="python", dtype=dict.fromkeys(TEXTS, str)
        )
        read = read.fillna(TEXTS).astype({"seeds_held": given["seeds_held"].dtype})
        pd.testing.assert_frame_equal(read, given, check_exact=True)


def test_csv_leaves_empty_what_is_not_defined(frame, tmp_path):
    write_csv(frame, tmp_path / "claims.csv")
    with open(tmp_path / "claims.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [rows[3][name] for name in ("value", "low", "high")] == ["", "", ""]
    assert rows[2]["value"] == "-0.123456"


def test_markdown_is_one_table_with_every_part(judged, tmp_path):
    write_markdown(judged, tmp_path / "claims.md", nature=NATURE)
    text = (tmp_path / "claims.md").read_text()
    assert text.startswith("# Claims of the paper\n\n")
    headings, border, *rows = cells(text)
    assert headings[:4] == ["claim", "network", "verdict", "statement"]
    assert set(border) == {"---"}
    assert [row[0] for row in rows] == [f"{r.claim}{r.part}" for r in judged.itertuples()]
    assert {len(row) for row in rows} == {len(headings)}


def test_markdown_reads_no_markup_in_what_it_is_given(frame, tmp_path):
    write_markdown(frame, tmp_path / "claims.md", nature=NATURE)
    *_, row = cells((tmp_path / "claims.md").read_text())
    assert row == [
        "7d",
        "VGG10",
        "**not testable**",
        "One is better than the other.",
        "-",
        "-",
        "-",
        r"\< 0",
        "0",
        "0",
        "figD5",
        "|rho(mls, test_loss)| - |rho(log_volume, test_loss)|",
        r"Too \<b>few\</b> | runs.",
    ]


def test_numbers_have_three_digits_for_people(frame, tmp_path):
    write_markdown(frame, tmp_path / "claims.md", nature=NATURE)
    undecided = cells((tmp_path / "claims.md").read_text())[4]
    assert undecided[4:10] == [
        "-0.123",
        "[-0.3, 1e-06]",
        "[-0.5, 0.5]",
        r"\< 0",
        "25",
        "5",
    ]


def test_two_conditions_stand_side_by_side(frame, tmp_path):
    second = {"second_value": 0.5, "second_low": 0.4, "second_high": 0.6}
    both = one_row(**second, second_threshold=0.0, second_comparison="> 0")
    write_markdown(pd.DataFrame([both]), tmp_path / "claims.md", nature=NATURE)
    row = cells((tmp_path / "claims.md").read_text())[2]
    assert row[4:8] == [
        "-0.123; 0.5",
        "[-0.3, 1e-06]; [0.4, 0.6]",
        "[-0.5, 0.5]; -",
        r"\< 0; > 0",
    ]


@pytest.mark.parametrize("cell", ['["Spearman", "20 runs"]', "Spearman; 20 runs"])
def test_remarks_join_reason_remarks_and_sensitivity(tmp_path, cell):
    """Tables of earlier versions have semicolons."""
    row = one_row(reason="Two count.", remarks="Of two.", sensitive_to=cell)
    write_markdown(pd.DataFrame([row]), tmp_path / "claims.md", nature=NATURE)
    assert cells((tmp_path / "claims.md").read_text())[2][-1] == (
        "Two count. Of two. Sensitive: Spearman; 20 runs."
    )


@pytest.mark.parametrize("write", [write_markdown, write_text])
def test_what_the_study_is_stands_at_the_top(frame, tmp_path, write):
    write(frame, tmp_path / "table", nature="An example, no test of the paper: other data, loss b")
    said = " ".join((tmp_path / "table").read_text().split())
    assert "An example, no test of the paper: other data, loss b." in said[:500]


def test_the_first_line_of_the_text_says_what_the_study_is(frame, tmp_path):
    counts = "1 reproduced, 1 not reproduced, 1 undecided, 1 not testable."
    write_text(frame, tmp_path / "claims.txt", nature="An example, no test of the paper: loss b")
    first = (tmp_path / "claims.txt").read_text().splitlines()[0]
    assert first == f"An example, no test of the paper. {counts}"
    write_text(frame, tmp_path / "claims.txt", nature="The paper's settings")  # without details
    first = (tmp_path / "claims.txt").read_text().splitlines()[0]
    assert first == f"The paper's settings. {counts}"


def test_text_fits_a_terminal_and_lines_up(judged, tmp_path):
    write_text(judged, tmp_path / "claims.txt", nature=NATURE)
    text = (tmp_path / "claims.txt").read_text()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    (header,) = [line for line in lines if line.startswith("claim ")]
    at = {name: header.index(name) for name in ("network", "verdict", "claimed")}
    second = [line for line in lines if line.startswith(" " * header.index("value"))]
    assert len(second) == (judged["second_comparison"] != "").sum()
    rows = [line for line in lines if line[:1].isdigit()]
    assert len(rows) == len(judged)
    for line, row in zip(rows, judged.itertuples(), strict=True):
        assert line.split()[0] == f"{row.claim}{row.part}"
        for name, value in (
            ("network", row.network),
            ("verdict", row.verdict),
            ("claimed", row.comparison),
        ):
            assert line[at[name] :].startswith(value)
    flowing = " ".join(text.split())
    for row in judged.itertuples():
        for paragraph in (row.statement, row.statistic, row.reason, row.remarks):
            assert " ".join(paragraph.split()) in flowing


def test_every_verdict_has_the_same_weight(frame, tmp_path):
    write_markdown(frame, tmp_path / "claims.md", nature=NATURE)
    write_text(frame, tmp_path / "claims.txt", nature=NATURE)
    summary = "1 reproduced, 1 not reproduced, 1 undecided, 1 not testable."
    assert summary in (tmp_path / "claims.md").read_text()
    assert summary in (tmp_path / "claims.txt").read_text()
    markdown = cells((tmp_path / "claims.md").read_text())[2:]
    assert [row[2] for row in markdown] == [f"**{verdict}**" for verdict in frame["verdict"]]


def test_a_verdict_that_does_not_occur_is_counted_as_none(frame, tmp_path):
    write_text(frame[:1], tmp_path / "claims.txt", nature=NATURE)
    counts = "1 reproduced, 0 not reproduced, 0 undecided, 0 not testable."
    assert counts in (tmp_path / "claims.txt").read_text()
    assert [part.split(" ", 1)[1] for part in counts.rstrip(".").split(", ")] == list(VERDICTS)


def test_the_short_table_counts_the_verdicts_of_each_claim_and_network(frame):
    other = one_row(claim=8, part="a", network="MLP", verdict="reproduced")
    changed = other | {"part": "b", "sensitive_to": '["Spearman"]'}
    table = in_short(pd.DataFrame([*frame.to_dict("records"), other, changed]))
    head, _, seven, eight = ([c.strip() for c in row.split("|")] for row in table.splitlines())
    assert head[1:-1] == ["claim", "in short", "VGG10", "MLP"]
    assert seven[1] == "7"
    assert seven[3:-1] == [
        "1 reproduced, 1 not reproduced, 1 undecided, 1 not testable",
        "-",
    ]
    assert eight[3:-1] == ["-", "2 reproduced; sensitive: 8b"]


def test_the_short_table_tells_what_few_seeds_point_to():
    held = {"a": 2, "b": 0, "c": 1, "d": 2}
    rows = [
        one_row(part=part, verdict="not testable", seeds=2, seeds_held=count)
        for part, count in held.items()
    ]
    row = in_short(pd.DataFrame(rows)).splitlines()[-1]
    assert "| 4 not testable; as claimed in every seed: 7a, 7d; in some seeds only: 7c; in " in row
    assert "; in no seed: 7b |" in row


def test_every_claim_has_a_title(judged):
    assert set(judged["claim"]) == set(TITLES)


def test_a_table_read_back_from_csv_reads_the_same(judged, tmp_path):
    write_csv(judged, tmp_path / "claims.csv")
    read = pd.read_csv(tmp_path / "claims.csv")
    for write in (write_markdown, write_text):
        for name, given in (("one", judged), ("other", read)):
            write(given, tmp_path / name, nature=NATURE)
        assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_definitions_name_every_part_without_a_result(judged):
    headings, _, *rows = cells(definitions())
    assert headings == [
        "claim",
        "network",
        "statement",
        "in the paper",
        "statistic; runs",
        "claimed",
        "what the verdict does not say",
        "figure",
    ]
    expected = [
        (
            f"{row.claim}{row.part}",
            row.network,
            row.statement,
            "; ".join(filter(None, [row.comparison, row.second_comparison])),
            row.figure,
        )
        for row in judged.itertuples()
    ]
    plain = [[cell.replace("\\", "") for cell in row] for row in rows]
    assert [(*row[:3], row[5], row[7]) for row in plain] == expected
    for row in plain:
        assert all(row)
