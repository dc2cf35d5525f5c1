"""The table of sensitivity, as people and programs read it."""

import numpy as np
import pandas as pd
import pytest

from flatness.analysis.claims.alternatives import ALTERNATIVES
from flatness.analysis.claims.the_claims import PARTS
from flatness.tables.sensitivity_table import as_markdown, write_csv
from tests.analysis.judged import judge, sensitivity
from tests.analysis.made_up import analysed_run

OPTIONS = {"interpolation_accuracy": 0.999, "confidence": 0.95, "bootstrap_draws": 50}
CHOSEN = [part for part in PARTS if part.name in ("1c", "6a", "7e", "8a")]


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """1c of VGG10 changes with the three largest, and no MLP run has seeds beyond 3."""
    falling = np.arange(8.0)[::-1, None]
    vgg10 = [
        analysed_run(
            seed=seed, test_loss=float(seed), log_volume=falling, log_volume_top3=-falling
        ).drop_vars("sqrt_sharpness_before_last_layer")
        for seed in range(5)
    ]
    mlp = [analysed_run(seed=seed, test_loss=float(seed)) for seed in range(4)]
    claims = judge(vgg10, mlp, **OPTIONS, parts=CHOSEN)
    return claims, sensitivity(vgg10, mlp, claims, **OPTIONS, parts=CHOSEN)


def rows_of(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_each_part_has_a_row_and_each_alternative_a_column(tables):
    headings, _, *rows = rows_of(as_markdown(*tables))
    assert headings == ["claim", "network", "as judged", *(each.name for each in ALTERNATIVES)]
    assert [row[:2] for row in rows] == [[part.name, part.role] for part in CHOSEN]


def test_cells_tell_verdict_value_change_and_what_does_not_enter(tables):
    text = as_markdown(*tables)
    rows = {tuple(row[:2]): row[2:] for row in rows_of(text)[2:]}
    assert rows["1c", "VGG10"][:4] == [
        "reproduced (-1)",
        "**not reproduced (1)**",
        "-",
        "-",
    ]
    assert rows["6a", "MLP"][-1] == "as it is"
    both = rows["7e", "MLP"][0]
    assert both.count(";") == 1
    assert "Sensitive: 1c (VGG10)" in text
    assert "The runs of MLP have no seeds beyond 0 to 3: as it is." in text
    for alternative in ALTERNATIVES:
        assert f"- **{alternative.name}**: {alternative.words}." in text


def test_csv_has_a_row_for_each_part_and_alternative(tables, tmp_path):
    claims, found = tables
    write_csv(found, tmp_path / "sensitivity.csv")
    read = pd.read_csv(tmp_path / "sensitivity.csv")
    assert len(read) == len(CHOSEN) * len(ALTERNATIVES)
    assert as_markdown(claims, read) == as_markdown(claims, found)


def test_nothing_changes_and_the_table_says_so(tables):
    claims, found = tables
    assert "No verdict changes." in as_markdown(claims, found.assign(changes=0))
