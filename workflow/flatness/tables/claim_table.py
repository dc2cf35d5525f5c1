"""The claims and their verdicts as tables: CSV for programs; Markdown, text and HTML for people.

CSV has full precision, the others three significant digits. Every verdict is written in
the same words, place and weight, whichever it is.
"""

import html
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from flatness.analysis.claims.the_claims import PARTS, TITLES, Part
from flatness.analysis.claims.verdicts import VERDICTS
from flatness.storage import atomic_path
from flatness.tables.markdown import markdown_table

_HEADINGS = (
    *("claim", "network", "verdict", "statement", "value", "interval", "claimed", "runs"),
    *("figure", "statistic", "remarks"),
)
# What fits on one line of a terminal; the others are paragraphs below it.
_IN_LINE = ("claim", "network", "verdict", "value", "interval", "claimed", "runs", "figure")
_TEXT_WIDTH = 100
_INDENT = " " * 7
_NOTHING = "-"
_HEADER = {name: name for name in _HEADINGS}


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """One row for each part, atomically; what is not defined is empty.

    Args:
        frame: from `flatness.analysis.claims.judge`.
        path: of the file.
    """
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def write_markdown(frame: pd.DataFrame, path: str | Path) -> None:
    """One table with a row for each part, atomically.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
        path: of the file.
    """
    _write(path, f"# Claims of the paper\n\n{as_markdown(frame)}\n")


def as_markdown(frame: pd.DataFrame) -> str:
    """How many parts have which verdict, and the table.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
    """
    return f"{_summary(frame)}\n\n{_markdown_rows(frame, _HEADINGS)}"


def in_short(frame: pd.DataFrame) -> str:
    """How many parts of each claim have which verdict, as a Markdown table with a row for a claim.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
    """
    networks = list(dict.fromkeys(frame["network"]))
    rows = []
    for claim, parts in frame.groupby("claim"):
        of = {name: parts.loc[parts["network"] == name, "verdict"] for name in networks}
        cells = (_counts(verdicts) or _NOTHING for verdicts in of.values())
        rows.append((str(claim), TITLES[claim], *cells))
    return markdown_table(("claim", "in short", *networks), rows)


def said_of(frame: pd.DataFrame) -> str:
    """Statements and verdicts, without statistics, as a Markdown table with a row for each part.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
    """
    names = ("claim", "network", "verdict", "statement", "value", "interval", "claimed", "remarks")
    return _markdown_rows(frame, names)


def write_text(frame: pd.DataFrame, path: str | Path) -> None:
    """Plain text for a terminal of 100 columns, atomically.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
        path: of the file.
    """
    rows = _rows(frame)
    widths = {name: max(len(row[name]) for row in [*rows, _HEADER]) for name in _IN_LINE}

    def line(row: dict[str, str]) -> str:
        return "  ".join(row[name].ljust(widths[name]) for name in _IN_LINE).rstrip()

    blocks = [f"Claims of the paper: {_summary(frame)}", line(_HEADER)]
    for row in rows:
        paragraphs = [row["statement"], row["statistic"], row["remarks"]]
        wrapped = [
            textwrap.fill(
                paragraph,
                _TEXT_WIDTH,
                initial_indent=_INDENT,
                subsequent_indent=_INDENT,
                break_on_hyphens=False,
            )
            for paragraph in paragraphs
            if paragraph
        ]
        blocks.append("\n".join([line(row), *wrapped]))
    _write(path, "\n\n".join(blocks) + "\n")


def html_table(frame: pd.DataFrame) -> str:
    """A table for a page, without styles; each row's class is its verdict, with a hyphen.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
    """
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEADINGS)
    body = []
    for row in _rows(frame):
        claim, *others = (html.escape(text) for text in row.values())
        cells = f'<th scope="row">{claim}</th>' + "".join(f"<td>{text}</td>" for text in others)
        body.append(f'<tr class="{row["verdict"].replace(" ", "-")}">{cells}</tr>')
    return "\n".join(
        [
            '<table class="claims">',
            f"<caption>{html.escape(_summary(frame))}</caption>",
            f"<thead><tr>{head}</tr></thead>",
            "<tbody>",
            *body,
            "</tbody>",
            "</table>",
        ]
    )


def definitions(parts: Sequence[Part] = PARTS) -> str:
    """What each part says and how it is tested, as a Markdown table without results."""
    rows = [
        (
            *(f"{part.claim}{part.part}", part.network, part.statement),
            *(f"{part.measure.words}; {part.runs.words}", str(part.rule), part.figure),
        )
        for part in parts
    ]
    return markdown_table(
        ("claim", "network", "statement", "statistic; runs", "claimed", "figure"),
        [tuple(_markdown(text) for text in row) for row in rows],
    )


def _rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    """The rows as people read them, in the order of `_HEADINGS`."""
    # An empty cell of a CSV file is read as NaN.
    filled = frame.fillna({"reason": ""})
    return [
        {
            "claim": f"{row.claim}{row.part}",
            "network": row.network,
            "verdict": row.verdict,
            "statement": row.statement,
            "value": _number(row.value),
            "interval": _NOTHING
            if pd.isna(row.low)
            else f"[{_number(row.low)}, {_number(row.high)}]",
            "claimed": row.comparison,
            "runs": str(row.n),
            "figure": row.figure,
            "statistic": row.statistic,
            "remarks": row.reason,
        }
        for row in filled.itertuples()
    ]


def _markdown_rows(frame: pd.DataFrame, names: Sequence[str]) -> str:
    """The named columns as a Markdown table."""
    rows = [
        {name: _markdown(text) for name, text in row.items()}
        | {"verdict": f"**{row['verdict']}**", "interval": row["interval"]}
        for row in _rows(frame)
    ]
    return markdown_table(names, [tuple(row[name] for name in names) for row in rows])


def _summary(frame: pd.DataFrame) -> str:
    counts = frame["verdict"].value_counts()
    return ", ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS) + "."


def _counts(verdicts: pd.Series) -> str:
    """The verdicts that there are, and how often."""
    counts = verdicts.value_counts()
    return ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)


def _number(value: float) -> str:
    return _NOTHING if pd.isna(value) else f"{value:.3g}"


def _markdown(text: str) -> str:
    """Free text as a cell: nothing in it is read as markup, and it stays on one line."""
    return re.sub(r"([\\`*|<&~\[\]])", r"\\\1", " ".join(text.split()))


def _write(path: str | Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
