"""Correlations of one study as a page of a report: HTML with two decimals, cells shaded."""

import html
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

_STYLE = """<style>
body {font-family: sans-serif; font-size: 14px; margin: 1em; max-width: 100em;}
table {border-collapse: collapse; margin: 0.5em 0 1.5em; font-size: 12px;}
th, td {border: 1px solid #bbb; padding: 0.25em 0.4em; text-align: center;}
td small {color: #333; white-space: nowrap;}
</style>"""
# Colours of the coefficients 1 and -1; white is 0.
_POSITIVE, _NEGATIVE = (213, 94, 0), (0, 114, 178)
_DEEPEST = 0.55


def write_page(dataset: xr.Dataset, path: str | Path, *, study: str) -> None:
    """One shaded matrix per group and statistic, and what they rest on, atomically.

    Args:
        dataset: of one study, as `flatness.analysis.correlations.correlations` returns it.
        path: of the file.
        study: the study's name.
    """
    dataset = present(dataset)
    title = f"Correlations between final quantities: {html.escape(study)}"
    blocks = [
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"/>',
        f"<title>{title}</title>\n{_STYLE}\n</head>\n<body>",
        f"<h1>{title}</h1>",
        *(f"<p>{sentence}</p>" for sentence in about(dataset, _HTML)),
    ]
    for group in dataset["group"].to_numpy():
        of_group = dataset.sel(group=group)
        blocks.append(f"<h2>{html.escape(in_words(of_group))}: {count(of_group['runs'])}</h2>")
        blocks += [f"<p>{sentence}</p>" for sentence in notes(of_group, _HTML)]
        if of_group["runs"] >= FEWEST_FOR_COEFFICIENT:
            for statistic, name in STATISTICS.items():
                blocks.append(f"<h3>{name}</h3>")
                blocks.append(_matrix(of_group.sel(statistic=statistic)))
    write_blocks(path, [*blocks, "</body>\n</html>"])


def _name(variable: str) -> str:
    return html.escape(TERMS[variable].long_name)


def _matrix(table: xr.Dataset) -> str:
    """Coefficients of one group and statistic below the diagonal, with their intervals."""
    names = [_name(name) for name in table["quantity"].to_numpy()]
    values = table[[*NUMBERS]].to_dataarray().to_numpy()
    head = "".join(f'<th scope="col">{name}</th>' for name in names[:-1])
    rows = [f"<tr><th></th>{head}</tr>"]
    for row, name in list(enumerate(names))[1:]:
        cells = "".join(_cell(*values[:, row, at]) for at in range(row))
        rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def _cell(coefficient: float, *ends: float) -> str:
    if np.isnan(coefficient):
        return "<td>-</td>"
    towards = _POSITIVE if coefficient > 0 else _NEGATIVE
    depth = _DEEPEST * abs(coefficient)
    colour = ", ".join(str(round(255 + depth * (part - 255))) for part in towards)
    below = "".join(f"<br/><small>{each}</small>" for each in intervals(*ends))
    return f'<td style="background: rgb({colour})">{number(coefficient)}{below}</td>'


_HTML = Markup(
    quantity=_name,
    literal=lambda word: f"<code>{html.escape(word)}</code>",
    text=html.escape,
)
