"""Claims × networks: which parts of each claim have which verdict, at a glance."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from flatness.analysis.claims.the_claims import TITLES
from flatness.analysis.claims.verdicts import NOT_TESTABLE, VERDICTS
from flatness.tables.cells import NOTHING
from flatness.tables.markdown import markdown_table
from flatness.tables.of_seeds import of_seeds


@dataclass(frozen=True)
class Group:
    """Parts of one claim with the same verdict.

    Args:
        verdict: that all of them have.
        seeds: what their seeds point to where that is "not testable", in the words of
            `flatness.tables.of_seeds`; else "".
        parts: their names, such as "7e".
    """

    verdict: str
    seeds: str
    parts: Sequence[str]


@dataclass(frozen=True)
class Row:
    """One claim.

    Args:
        claim: its number.
        title: in a sentence.
        groups: by network, in the order of `networks`, all parts, in the order of `VERDICTS`.
        figures: that show it, by the names of their targets.
    """

    claim: int
    title: str
    groups: Mapping[str, Sequence[Group]]
    figures: Sequence[str]


def networks(frame: pd.DataFrame) -> list[str]:
    """The columns of the matrix: the roles that studies play.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
    """
    return list(dict.fromkeys(frame["network"]))


def matrix(frame: pd.DataFrame) -> list[Row]:
    """A row for each claim that any part of is tested.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
    """
    rows = []
    for claim, parts in frame.groupby("claim"):
        found = {
            network: _groups(parts[parts["network"] == network]) for network in networks(frame)
        }
        figures = list(dict.fromkeys(parts["figure"]))
        rows.append(Row(int(claim), TITLES[int(claim)], found, figures))
    return rows


def as_markdown(frame: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """The matrix for a page that has a heading for each figure.

    Args:
        frame: as for `matrix`.
        titles: by their names, the headings of the figures on the page; others are not named.
    """
    rows = [
        (
            str(row.claim),
            row.title,
            *(_cell(groups) for groups in row.groups.values()),
            ", ".join(
                f"[{titles[name]}](#{_anchor(titles[name])})"
                for name in row.figures
                if name in titles
            )
            or NOTHING,
        )
        for row in matrix(frame)
    ]
    return markdown_table(("claim", "in short", *networks(frame), "figures"), rows)


def _groups(parts: pd.DataFrame) -> list[Group]:
    tested = {
        (name, ""): parts[parts["verdict"] == name] for name in VERDICTS if name != NOT_TESTABLE
    }
    untested = {(NOT_TESTABLE, words): those for words, those in of_seeds(parts).items()}
    return [
        Group(verdict, seeds, [f"{row.claim}{row.part}" for row in those.itertuples()])
        for (verdict, seeds), those in {**tested, **untested}.items()
        if len(those)
    ]


def _cell(groups: Sequence[Group]) -> str:
    said = [
        f"**{group.verdict}** {', '.join(group.parts)}" + f" ({group.seeds})" * bool(group.seeds)
        for group in groups
    ]
    return "; ".join(said) or NOTHING


def _anchor(heading: str) -> str:
    """What a heading is linked by, on GitHub and in MkDocs."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
