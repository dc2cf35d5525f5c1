"""The table of claims and docs/claims.md say what the code does."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flatness.analysis.claims import COLUMNS
from flatness.analysis.claims.curves import EARLIEST_LEVEL, FEWEST_CHECKPOINTS, LEVEL
from flatness.analysis.claims.verdicts import (
    CORRELATES,
    DIRECTION,
    HALF,
    NEARLY_THE_SAME,
    STILL,
    VERDICTS,
)
from flatness.analysis.statistics import FEWEST_FOR_INTERVAL
from flatness.glossary.primitives import PRIMITIVES
from flatness.glossary.quantities import QUANTITIES
from flatness.settings.roles import MLP, VGG10
from flatness.tables.claim_table import definitions
from tests.analysis.judged import LOOK, judge, study


@pytest.fixture(scope="module")
def studies() -> dict[str, list[xr.Dataset]]:
    return {VGG10: study("vgg10"), MLP: study("mlp")}


@pytest.fixture(scope="module")
def frame(studies) -> pd.DataFrame:
    return judge(studies[VGG10], studies[MLP], **LOOK)


def test_ten_claims_each_part_once(frame):
    assert tuple(frame.columns) == COLUMNS
    assert sorted(set(frame["claim"])) == list(range(1, 11))
    assert not frame.duplicated(["claim", "part", "network"]).any()
    assert list(frame["claim"]) == sorted(frame["claim"])
    for (_, _), rows in frame.groupby(["claim", "network"]):
        assert list(rows["part"]) == list("abcdefghi")[: len(rows)]
    assert set(frame["verdict"]) <= set(VERDICTS)
    assert set(frame["figure"]) == {
        "fig1",
        "fig2",
        "fig3",
        "figD4",
        "figD5",
        "figD6",
        "figE7",
        "figE8",
        "figS3",
    }
    for row in frame.itertuples():
        for prefix in ("", "second_"):
            comparison = getattr(row, f"{prefix}comparison")
            if comparison:
                sign, threshold = comparison.split(" ")
                assert sign in (">", ">=", "<")
                assert float(threshold) == getattr(row, f"{prefix}threshold")
            else:
                assert prefix
                assert np.isnan(row.second_threshold)
    with_two = frame[frame["second_comparison"] != ""]
    assert set(with_two["claim"].astype(str) + with_two["part"]) == {"3c", "7e", "7f", "7g"}


def test_statistics_speak_of_quantities_by_their_names(frame):
    known = {*PRIMITIVES, *QUANTITIES, "learning_rate", "batch_size", "a_b", "b_c", "c_d"}
    named = set(re.findall(r"[a-z]+(?:_[a-z]+)+", " ".join(frame["statistic"])))
    assert named <= known, named - known


def test_thresholds_follow_the_wording(frame):
    for row in frame.itertuples():
        wording = row.statement
        if re.search("almost the same|closely|same pattern", wording):
            assert row.comparison == ">= 0.9", wording
        elif re.search("correlates well|together|strongly", wording):
            assert row.comparison == ">= 0.5", wording
        elif re.search("quickly|not explained|much more slowly", wording):
            assert row.threshold == 0.5, wording
        elif "stops falling" in wording:
            assert (row.comparison, row.second_comparison) == ("< 0.1", "< 0")
        else:
            assert row.threshold == 0, wording


def test_the_same_runs_give_the_same_table(studies, frame):
    untouched = {name: [run.copy(deep=True) for run in runs] for name, runs in studies.items()}
    again = judge(studies[VGG10], studies[MLP], **LOOK)
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    for name, runs in studies.items():
        for run, before in zip(runs, untouched[name], strict=True):
            assert run.identical(before)


def test_the_documentation_lists_the_parts_as_they_are(root):
    text = (root / "docs/claims.md").read_text(encoding="utf-8")
    table = text.split("<!-- begin claims -->\n")[1].split("\n<!-- end claims -->")[0]
    assert table == definitions(), "put what claim_table.definitions() gives between the markers"


def test_the_documentation_states_the_constants(root):
    text = (root / "docs/claims.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r'^\| (".*?) \| .* \| ([\d.]+) \|$', text, re.MULTILINE))
    by_word = {
        word: float(number) for words, number in stated.items() for word in words.split(", ")
    }
    expected = {
        '"lower"': DIRECTION,
        '"correlates well"': CORRELATES,
        '"together"': CORRELATES,
        '"almost the same quantity"': NEARLY_THE_SAME,
        '"closely follows"': NEARLY_THE_SAME,
        '"strongly"': CORRELATES,
        '"the same pattern"': NEARLY_THE_SAME,
        '"quickly"': HALF,
        '"not explained by"': HALF,
        '"much more slowly"': HALF,
        '"stops falling"': STILL,
    }
    assert len(stated) == 5
    assert {word: by_word[word] for word in expected} == expected
    verdicts = re.findall(r"^\| (\w[\w ]+) \| (?:the|fewer)", text, re.MULTILINE)
    assert verdicts == list(VERDICTS)
    for sentence in (
        f"fewer than {FEWEST_FOR_INTERVAL} seeds count",
        f"with fewer than {FEWEST_FOR_INTERVAL} seeds there is no interval",
        f"fewer than {FEWEST_CHECKPOINTS} checkpoints",
        f"before {EARLIEST_LEVEL:.0%} of the iterations".replace("%", " %"),
        f"within {LEVEL:.0%} of its final value".replace("%", " %"),
        "log10(1 + 100 eps)",
        "a tenth of the run's iterations",
        "two of its standard errors",
    ):
        assert sentence in " ".join(text.split()), sentence
