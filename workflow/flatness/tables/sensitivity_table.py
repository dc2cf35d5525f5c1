"""The verdicts under other choices: CSV for programs, Markdown for people."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from flatness.analysis.claims.alternatives import ALTERNATIVES, DOES_NOT_APPLY, NO_OTHER_SEEDS
from flatness.analysis.claims.judging import SECOND
from flatness.storage import atomic_path
from flatness.tables.cells import NOTHING, as_markdown_cell, number
from flatness.tables.markdown import markdown_table

_TITLE = "Sensitivity of the verdicts"
_ABOUT = (
    "Each column makes one choice otherwise; the value of the statistic stands in parentheses, "
    "both where a part has two conditions. In bold: another verdict than the one as judged, where "
    "both are testable. A dash: the choice does not enter."
)
_HEADINGS = ("claim", "network", "as judged", *(each.name for each in ALTERNATIVES))


def write_csv(found: pd.DataFrame, path: str | Path) -> None:
    """One row for each part and alternative, atomically; what is not defined is empty.

    Args:
        found: from `flatness.analysis.claims.sensitivity`.
        path: of the file.
    """
    with atomic_path(path) as temporary:
        found.to_csv(temporary, index=False, lineterminator="\n")


def write_markdown(claims: pd.DataFrame, found: pd.DataFrame, path: str | Path) -> None:
    """A row for each part and a column for each alternative, atomically.

    Args:
        claims: from `flatness.analysis.claims.judge`, or read back from its CSV file.
        found: from `flatness.analysis.claims.sensitivity`, likewise.
        path: of the file.
    """
    text = f"# {_TITLE}\n\n{as_markdown(claims, found)}\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def as_markdown(claims: pd.DataFrame, found: pd.DataFrame) -> str:
    """What the alternatives are, which verdicts they change, and the table.

    Args:
        claims: from `flatness.analysis.claims.judge`, or read back from its CSV file.
        found: from `flatness.analysis.claims.sensitivity`, likewise.
    """
    rows = [
        [
            f"**{as_markdown_cell(text)}**" if bold else as_markdown_cell(text)
            for text, bold in cells
        ]
        for cells in _rows(claims, found)
    ]
    return "\n\n".join(
        [
            _ABOUT,
            "\n".join(f"- **{each.name}**: {each.words}." for each in ALTERNATIVES),
            _changes(found),
            markdown_table(_HEADINGS, rows),
        ]
    )


def _rows(claims: pd.DataFrame, found: pd.DataFrame) -> list[list[tuple[str, bool]]]:
    """The texts of each row, and whether they tell of a change."""
    keys = ["claim", "part", "network", "alternative"]
    # An empty cell of a CSV file is read as NaN.
    cells = {
        tuple(row[key] for key in keys): row
        for row in found.fillna({"note": "", "verdict": ""}).to_dict("records")
    }
    rows = []
    for judged in claims.to_dict("records"):
        key = [judged[name] for name in keys[:3]]
        others = [cells[*key, alternative.name] for alternative in ALTERNATIVES]
        rows.append(
            [
                (f"{judged['claim']}{judged['part']}", False),
                (judged["network"], False),
                (_verdict(judged), False),
                *((in_words(row), bool(row["changes"])) for row in others),
            ]
        )
    return rows


def _changes(found: pd.DataFrame) -> str:
    """Which verdicts change, and where a column can change nothing."""
    changed = found[found["changes"] == 1]
    parts = dict.fromkeys(f"{row.claim}{row.part} ({row.network})" for row in changed.itertuples())
    sentences = [
        f"Sensitive: {', '.join(parts)}." if parts else "No verdict changes.",
    ]
    seeds = found[found["note"] == NO_OTHER_SEEDS]["network"]
    if len(seeds):
        networks = " and ".join(dict.fromkeys(seeds))
        sentences.append(f"The runs of {networks} have no seeds beyond 0 to 3: as it is.")
    return " ".join(sentences)


def in_words(row: Mapping) -> str:
    """A part under one alternative: its verdict and values, or a dash where it does not enter.

    Args:
        row: of the table, where empty texts are "".
    """
    if row["note"] == DOES_NOT_APPLY:
        return NOTHING
    if row["note"] == NO_OTHER_SEEDS:
        return "as it is"
    return row["note"] or _verdict(row)


def _verdict(row: dict) -> str:
    """The verdict, with the value of each condition."""
    values = [row["value"], row[f"{SECOND}value"]]
    known = "; ".join(number(value) for value in values if not pd.isna(value))
    return f"{row['verdict']} ({known})" if known else row["verdict"]
