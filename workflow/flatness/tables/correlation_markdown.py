"""Correlations of one study for people: Markdown with two decimals.

Each pair of quantities is shown once, below the diagonal.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from flatness.analysis.correlations import NUMBERS
from flatness.analysis.statistics import FEWEST_FOR_COEFFICIENT
from flatness.tables.correlation_sentences import (
    STATISTICS,
    TERMS,
    Markup,
    about,
    count,
    in_words,
    intervals,
    notes,
    number,
    present,
    write_blocks,
)


def write_markdown(dataset: xr.Dataset, path: str | Path, *, study: str) -> None:
    """One matrix per group and statistic, and what they rest on, atomically.

    Args:
        dataset: of one study, as `flatness.analysis.correlations.correlations` returns it.
        path: of the file.
        study: the study's name.
    """
    dataset = present(dataset)
    blocks = [f"# Correlations between final quantities: {study}"]
    blocks += about(dataset, _MARKDOWN)
    blocks.append(_markdown_glossary(dataset["quantity"].to_numpy()))
    for group in dataset["group"].to_numpy():
        of_group = dataset.sel(group=group)
        blocks.append(f"## {in_words(of_group)}: {count(of_group['runs'])}")
        blocks += notes(of_group, _MARKDOWN)
        if of_group["runs"] >= FEWEST_FOR_COEFFICIENT:
            for statistic, title in STATISTICS.items():
                blocks += [f"### {title}", matrix(of_group.sel({"statistic": statistic}))]
    write_blocks(path, blocks)


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_glossary(names: Iterable[str]) -> str:
    """The quantities in words, with their formulas."""
    rows = [_markdown_row(("name", "in words", "formula", "paper")), _markdown_row(["---"] * 4)]
    for name in names:
        term = TERMS[name]
        cells = (f"`{name}`", term.long_name, f"`{term.formula}`", term.equation)
        rows.append(_markdown_row(cell.replace("|", "\\|") for cell in cells))
    return "\n".join(rows)


def matrix(table: xr.Dataset) -> str:
    """Coefficients of one group and statistic below the diagonal, with their intervals."""
    names = [f"`{name}`" for name in table["quantity"].to_numpy()]
    values = table[[*NUMBERS]].to_dataarray().to_numpy()
    rows = [_markdown_row(["", *names[:-1]]), _markdown_row(["---"] * len(names))]
    for row, name in list(enumerate(names))[1:]:
        cells = [_markdown_cell(*values[:, row, at]) for at in range(row)]
        rows.append(_markdown_row([name, *cells, *[""] * (len(names) - 1 - row)]))
    return "\n".join(rows)


def _markdown_cell(coefficient: float, *ends: float) -> str:
    return "-" if np.isnan(coefficient) else " ".join([number(coefficient), *intervals(*ends)])


_MARKDOWN = Markup(quantity="`{}`".format, literal="`{}`".format, text=str)
