"""Claims × networks: which parts of each claim have which verdict, at a glance."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from flatness.analysis.claims.the_claims import TITLES
from flatness.analysis.claims.verdicts import VERDICTS
from flatness.tables.cells import NOTHING
from flatness.tables.markdown import markdown_table


@dataclass(frozen=True)
class Row:
    """One claim.

    Args:
        claim: its number.
        title: in a sentence.
        verdicts: by network, in the order of `networks`, and by verdict, in the order of
            `VERDICTS`, the names of the parts that have it, such as "7e"; no entry without any.
        figures: that show it, by the names of their targets.
    """

    claim: int
    title: str
    verdicts: Mapping[str, Mapping[str, Sequence[str]]]
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
            network: _by_verdict(parts[parts["network"] == network]) for network in networks(frame)
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
            *(_cell(verdicts) for verdicts in row.verdicts.values()),
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


def _by_verdict(parts: pd.DataFrame) -> dict[str, list[str]]:
    names = {
        verdict: [f"{row.claim}{row.part}" for row in parts.itertuples() if row.verdict == verdict]
        for verdict in VERDICTS
    }
    return {verdict: those for verdict, those in names.items() if those}


def _cell(verdicts: Mapping[str, Sequence[str]]) -> str:
    said = (f"**{verdict}** {', '.join(names)}" for verdict, names in verdicts.items())
    return "; ".join(said) or NOTHING


def _anchor(heading: str) -> str:
    """What a heading is linked by, on GitHub and in MkDocs."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
