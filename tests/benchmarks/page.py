"""The tables that the benchmarks write: pages, and a short form in docs/speed.md."""

import csv
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import torch

from tests.benchmarks.rows import Row, Tables
from tools.markers import between

HEAD = ("comparison", "of", "value", "unit", "ratio", "lower quartile", "upper quartile")


def machine() -> str:
    """Processor, versions and date, for the line above a table."""
    return (
        f"{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, torch "
        f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()}); "
        f"{date.today().isoformat()}"
    )


def lines(tables: Tables) -> list[tuple[str, ...]]:
    """One for each row of each comparison, as text."""
    return [
        (
            comparison,
            row.name,
            "" if row.value is None else f"{row.value:.4g}",
            row.unit,
            *("" if v is None else f"{v:.2f}" for v in (row.ratio, row.least, row.most)),
        )
        for comparison, table in tables.items()
        for row in table
    ]


def as_markdown(tables: Tables) -> str:
    """A line about the machine and one table."""
    aligned = ["---", "---", "---:", "---", "---:", "---:", "---:"]
    return f"{machine()}\n\n{markdown_table([HEAD, aligned, *lines(tables)])}\n"


def in_short(tables: Tables) -> str:
    """A line about the machine, and one line for each comparison.

    What comparisons have in common becomes a column, under its name up to the first comma: the
    ratio with its quartiles, or the value where there is no ratio.
    """
    columns = list(dict.fromkeys(_column(row) for table in tables.values() for row in table))
    found = [["", *columns], ["---", *("---:" for _ in columns)]]
    for comparison, table in tables.items():
        cells = {_column(row): _cell(row) for row in table}
        found.append([comparison, *(cells.get(column, "") for column in columns)])
    return f"{machine()}:\n\n{markdown_table(found)}"


def write(tables: Tables, folder: Path, name: str) -> None:
    """NAME.csv and NAME.md in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    title = f"# Benchmark: {name.replace('_', ' ')}"
    (folder / f"{name}.md").write_text(f"{title}\n\n{as_markdown(tables)}")
    with (folder / f"{name}.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEAD, *lines(tables)])


def insert(tables: Tables, page: Path, name: str) -> None:
    """Put the short form of one part between its markers in a page, if it has them."""
    if f"<!-- begin {name} -->" in page.read_text():
        page.write_text(between(page.read_text(), name, in_short(tables)))


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _column(row: Row) -> str:
    return row.name.partition(",")[0]


def _cell(row: Row) -> str:
    if row.value is None:
        return row.unit
    if row.ratio is None:
        return f"{row.value:.3g} {row.unit}".strip()
    spread = "" if row.least is None else f" ({row.least:.2f} to {row.most:.2f})"
    return f"{row.ratio:.2f}{spread}"


def _processor() -> str:
    """Its name, where Linux tells it."""
    try:
        entries = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in entries if line.startswith("model name")]
    return names[0] if names else platform.machine()
