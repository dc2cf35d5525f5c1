"""Claims × networks at a glance."""

import pandas as pd
import pytest

from flatness.analysis.claims.the_claims import TITLES
from flatness.tables.claim_matrix import as_markdown, matrix, networks


@pytest.fixture
def frame():
    rows = [
        *((7, "a", "VGG10", "undecided", "figD5"), (7, "b", "VGG10", "reproduced", "figD5")),
        *((7, "c", "VGG10", "reproduced", "figD5"), (7, "a", "MLP", "not testable", "figD6")),
        (8, "a", "MLP", "not reproduced", "figD6"),
    ]
    return pd.DataFrame(rows, columns=["claim", "part", "network", "verdict", "figure"])


def test_each_part_stands_at_its_verdict(frame):
    seven, eight = matrix(frame)
    assert networks(frame) == ["VGG10", "MLP"]
    assert (seven.claim, seven.title, eight.title) == (7, TITLES[7], TITLES[8])
    assert seven.verdicts == {
        "VGG10": {"reproduced": ["7b", "7c"], "undecided": ["7a"]},
        "MLP": {"not testable": ["7a"]},
    }
    # In the order of the verdicts, not of the parts.
    assert list(seven.verdicts["VGG10"]) == ["reproduced", "undecided"]
    assert eight.verdicts == {"VGG10": {}, "MLP": {"not reproduced": ["8a"]}}
    assert (seven.figures, eight.figures) == (["figD5", "figD6"], ["figD6"])


def test_the_markdown_links_to_the_figures_that_the_page_has(frame):
    head, _, seven, eight = as_markdown(frame, {"figD6": "Figure D.6 (mine)"}).splitlines()
    assert head == "| claim | in short | VGG10 | MLP | figures |"
    assert seven == (
        f"| 7 | {TITLES[7]} | **reproduced** 7b, 7c; **undecided** 7a | **not testable** 7a | "
        "[Figure D.6 (mine)](#figure-d6-mine) |"
    )
    assert eight.endswith("| - | **not reproduced** 8a | [Figure D.6 (mine)](#figure-d6-mine) |")
    assert as_markdown(frame, {}).splitlines()[-1].endswith("| - |")
