"""Markdown that a terminal shows well, too: tables with aligned columns, prose in short lines."""

import textwrap
from collections.abc import Iterable, Sequence

import xarray as xr

# Characters in a line of prose; tables are as wide as they need to be.
_WIDTH = 100


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns are aligned, so that it can be read as it is."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in [headings, *rows]]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    lines = (
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(f"| {line} |" for line in lines)


def wrapped(text: str, bullet: str = "") -> str:
    """Prose in lines that a terminal holds, as an entry of a list where there is a bullet."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=bullet,
        subsequent_indent=" " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )


def number(value: xr.DataArray) -> str:
    return f"{float(value):.6g}"
