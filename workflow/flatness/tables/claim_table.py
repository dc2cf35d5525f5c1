"""The claims and their verdicts as tables: CSV for programs; Markdown and text for people.

CSV has full precision, the others three significant digits. Every verdict is written in
the same words, place and weight, whichever it is.
"""

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from flatness.analysis.claims.alternatives import sensitive_to
from flatness.analysis.claims.judging import SECOND
from flatness.analysis.claims.part import Part
from flatness.analysis.claims.the_claims import PARTS, TITLES
from flatness.analysis.claims.verdicts import VERDICTS
from flatness.storage import atomic_path
from flatness.tables.cells import NOTHING, as_markdown_cell, interval, number
from flatness.tables.markdown import markdown_table
from flatness.tables.of_seeds import UNTOLD, of_seeds

_HEADINGS = (
    "claim",
    "network",
    "verdict",
    "statement",
    "value",
    "interval",
    "over settings",
    "claimed",
    "runs",
    "seeds",
    "figure",
    "statistic",
    "remarks",
)
# What fits on one line of a terminal; the others are paragraphs below it.
_IN_LINE = ("claim", "network", "verdict", "value", "interval", "claimed", "runs", "seeds")
# What each condition of a part has one of, and what stands between two.
_OF_CONDITIONS = ("value", "interval", "claimed")
_BETWEEN = "; "
_TEXT_WIDTH = 100
_INDENT = " " * 7
_HEADER = {name: name for name in _HEADINGS}


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """One row for each part, atomically; what is not defined is empty.

    Args:
        frame: from `flatness.analysis.claims.judge`.
        path: of the file.
    """
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def write_markdown(frame: pd.DataFrame, path: str | Path, *, nature: str) -> None:
    """One table with a row for each part, atomically.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
        path: of the file.
        nature: what the study is, a sentence of `flatness.publication.deviations`.
    """
    _write(path, f"# Claims of the paper\n\n{nature}.\n\n{as_markdown(frame)}\n")


def as_markdown(frame: pd.DataFrame) -> str:
    """How many parts have which verdict, and the table.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
    """
    return f"{summary(frame)}\n\n{_markdown_rows(frame, _HEADINGS)}"


def in_short(frame: pd.DataFrame) -> str:
    """How many parts of each claim have which verdict, as a Markdown table with a row for a claim.

    Those that another choice of the analysis changes are named.

    Args:
        frame: from `flatness.analysis.claims.with_sensitivity`, or read back from its CSV file.
    """
    if "sensitive_to" not in frame:  # published before alternatives and seeds were looked at
        frame = frame.assign(sensitive_to="", seeds=0, seeds_held=0)
    networks = list(dict.fromkeys(frame["network"]))
    rows = []
    for claim, parts in frame.groupby("claim"):
        cells = (_in_short(parts[parts["network"] == name]) for name in networks)
        rows.append((str(claim), TITLES[claim], *cells))
    return markdown_table(("claim", "in short", *networks), rows)


def said_of(frame: pd.DataFrame) -> str:
    """Statements and verdicts, without statistics, as a Markdown table with a row for each part.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
    """
    names = (
        "claim",
        "network",
        "verdict",
        "statement",
        "value",
        "interval",
        "over settings",
        "claimed",
        "remarks",
    )
    return _markdown_rows(frame, names)


def write_text(frame: pd.DataFrame, path: str | Path, *, nature: str) -> None:
    """Plain text for a terminal of 100 columns, atomically; the first line says what it is.

    Args:
        frame: from `flatness.analysis.claims.judge`, or read back from its CSV file.
        path: of the file.
        nature: what the study is, a sentence of `flatness.publication.deviations`.
    """
    rows = _rows(frame)
    # A second condition stands on a line of its own.
    cells = [
        {name: row[name].split(_BETWEEN) if name in _OF_CONDITIONS else [row[name]] for name in row}
        for row in [_HEADER, *rows]
    ]
    widths = {name: max(len(text) for row in cells for text in row[name]) for name in _IN_LINE}

    def lines(row: dict[str, list[str]]) -> str:
        texts = itertools.zip_longest(*(row[name] for name in _IN_LINE), fillvalue="")
        return "\n".join(
            "  ".join(map(str.ljust, each, widths.values())).rstrip() for each in texts
        )

    kind, _, details = nature.partition(": ")
    opening = [f"{kind}. {summary(frame)}", *([f"{nature}."] if details else [])]
    head = "\n\n".join(textwrap.fill(each, _TEXT_WIDTH, break_on_hyphens=False) for each in opening)
    blocks = [head, lines(cells[0])]
    for row, of_line in zip(rows, cells[1:], strict=True):
        settings = row["over settings"]
        over_settings = "" if settings == NOTHING else f"Interval over settings: {settings}."
        paragraphs = [row["statement"], row["statistic"], over_settings, row["remarks"]]
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
        blocks.append("\n".join([lines(of_line), *wrapped]))
    _write(path, "\n\n".join(blocks) + "\n")


def definitions(parts: Sequence[Part] = PARTS) -> str:
    """What each part says and how it is tested, as a Markdown table without results."""
    rows = [
        (
            part.name,
            part.role,
            part.statement,
            part.place,
            f"{part.statistic}; {part.runs.words}",
            part.claimed,
            f"{part.remark} Not said: {part.caveat}" if part.remark else part.caveat,
            part.figure,
        )
        for part in parts
    ]
    return markdown_table(
        (
            "claim",
            "network",
            "statement",
            "in the paper",
            "statistic; runs",
            "claimed",
            "what the verdict does not say",
            "figure",
        ),
        [tuple(as_markdown_cell(text) for text in row) for row in rows],
    )


def summary(frame: pd.DataFrame) -> str:
    """How many verdicts there are of each kind.

    Args:
        frame: a row for each part, with `verdict`.
    """
    counts = frame["verdict"].value_counts()
    return ", ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS) + "."


def _rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    """The rows as people read them, in the order of `_HEADINGS`."""
    # An empty cell of a CSV file is read as NaN.
    texts = ("reason", "remarks", f"{SECOND}comparison")
    filled = frame.astype(dict.fromkeys(texts, object)).fillna(dict.fromkeys(texts, ""))
    return [_row(row) for row in filled.to_dict("records")]


def _row(row: dict) -> dict[str, str]:
    prefixes = ("", SECOND) if row[f"{SECOND}comparison"] else ("",)

    def both(text_of) -> str:
        texts = [text_of(prefix) for prefix in prefixes]
        return NOTHING if set(texts) == {NOTHING} else _BETWEEN.join(texts)

    changes = sensitive_to(row["sensitive_to"])
    changed = f"Sensitive: {'; '.join(changes)}." if changes else ""
    return {
        "claim": f"{row['claim']}{row['part']}",
        "network": row["network"],
        "verdict": row["verdict"],
        "statement": row["statement"],
        "value": both(lambda prefix: number(row[f"{prefix}value"])),
        "interval": both(lambda prefix: interval(row[f"{prefix}low"], row[f"{prefix}high"])),
        "over settings": both(
            lambda prefix: interval(row[f"{prefix}settings_low"], row[f"{prefix}settings_high"])
        ),
        "claimed": both(lambda prefix: row[f"{prefix}comparison"]),
        "runs": str(row["n"]),
        "seeds": str(row["seeds"]),
        "figure": row["figure"],
        "statistic": row["statistic"],
        "remarks": " ".join(filter(None, [row["reason"], row["remarks"], changed])),
    }


def _markdown_rows(frame: pd.DataFrame, names: Sequence[str]) -> str:
    """The named columns as a Markdown table."""
    as_they_are = ("interval", "over settings")
    rows = [
        {name: as_markdown_cell(text) for name, text in row.items()}
        | {"verdict": f"**{row['verdict']}**"}
        | {name: row[name] for name in as_they_are}
        for row in _rows(frame)
    ]
    return markdown_table(names, [tuple(row[name] for name in names) for row in rows])


def _in_short(parts: pd.DataFrame) -> str:
    """The verdicts that there are, how often, what few seeds point to, and what is sensitive."""
    counts = parts["verdict"].value_counts()
    words = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
    said = {what: those for what, those in of_seeds(parts).items() if what != UNTOLD}
    said["sensitive"] = parts[parts["sensitive_to"].map(sensitive_to).astype(bool)]
    named = [f"{what}: {_names(those)}" for what, those in said.items() if len(those)]
    return "; ".join([words, *named]) or NOTHING


def _names(parts: pd.DataFrame) -> str:
    return ", ".join(f"{row.claim}{row.part}" for row in parts.itertuples())


def _write(path: str | Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
