"""Claims × networks at a glance."""

import pandas as pd
import pytest

from flatness.analysis.claims.the_claims import TITLES
from flatness.tables.claim_matrix import Group, as_markdown, matrix, networks


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
    assert seven.groups == {  # in the order of the verdicts, not of the parts
        "VGG10": [Group("reproduced", "", ["7b", "7c"]), Group("undecided", "", ["7a"])],
        "MLP": [Group("not testable", "", ["7a"])],
    }
    assert eight.groups == {"VGG10": [], "MLP": [Group("not reproduced", "", ["8a"])]}
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


def test_few_seeds_are_told_apart_by_what_they_point_to():
    seeds = {"a": (2, 2), "b": (2, 0), "c": (2, 2), "d": (2, 1), "e": (2, pd.NA), "f": (0, 0)}
    rows = [(7, part, "MLP", "not testable", "figD6", *told) for part, told in seeds.items()]
    names = ["claim", "part", "network", "verdict", "figure", "seeds", "seeds_held"]
    (row,) = matrix(pd.DataFrame(rows, columns=names).astype({"seeds_held": "Int64"}))
    assert [(group.seeds, group.parts) for group in row.groups["MLP"]] == [
        ("as claimed in every seed", ["7a", "7c"]),
        ("in some seeds only", ["7d"]),
        ("in no seed", ["7b"]),
        ("", ["7e", "7f"]),
    ]
    (line,) = as_markdown(pd.DataFrame(rows, columns=names), {}).splitlines()[2:]
    assert "**not testable** 7a, 7c (as claimed in every seed); **not testable** 7d (in" in line
