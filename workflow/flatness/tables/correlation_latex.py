"""Correlations of one study for papers: LaTeX with two decimals.

Each pair of quantities is shown once, below the diagonal.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from flatness.analysis.correlations import NUMBERS
from flatness.analysis.statistics import FEWEST_FOR_COEFFICIENT
from flatness.tables.correlation_sentences import (
    STATISTICS,
    TERMS,
    Markup,
    about,
    absent_quantities,
    count,
    in_words,
    intervals,
    level,
    notes,
    number,
    present,
    write_blocks,
)

# More columns with intervals side by side are too small to read on an upright page.
_COLUMNS_ACROSS = 6
# More lines than these do not fit on a page.
_LINES_DOWN = 60
_LATEX_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "{}#$%&"}
    | {
        "_": r"\_\allowbreak{}",  # ids are long; they may break here
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
    }
)


def write_latex(dataset: xr.Dataset, path: str | Path, *, study: str) -> None:
    r"""One table per group and statistic, or several where it is longer than a page, atomically.

    The file is read by \input into a document that loads the packages booktabs and graphicx.

    Args:
        dataset: of one study, as `flatness.analysis.correlations.correlations` returns it.
        path: of the file.
        study: the study's name.
    """
    dataset = present(dataset)
    rests_on = " ".join([*about(dataset, _LATEX), _latex_symbols(dataset["quantity"].to_numpy())])
    blocks = [
        "% Needs the packages booktabs and graphicx.",
        f"\\paragraph{{Correlations between final quantities of {_LATEX.literal(study)}.}} "
        f"{rests_on}",
    ]
    for group in dataset["group"].to_numpy():
        of_group = dataset.sel(group=group)
        if of_group["runs"] >= FEWEST_FOR_COEFFICIENT:
            for statistic in STATISTICS:
                blocks += _latex_tables(of_group, statistic, study)
        else:
            why = " ".join(notes(of_group, _LATEX))
            blocks.append(f"{_LATEX.text(in_words(of_group))}, {count(of_group['runs'])}: {why}")
    write_blocks(path, blocks)


def _escaped(text: str) -> str:
    return text.translate(_LATEX_SPECIAL)


def _latex_name(name: str) -> str:
    """The symbol, or the words where there is none."""
    return TERMS[name].symbol or _escaped(TERMS[name].long_name)


def _latex_symbols(names: Iterable[str]) -> str:
    """What the symbols in the tables mean."""
    terms = [TERMS[name] for name in names if TERMS[name].symbol]
    words = ", ".join(f"{term.symbol} {_escaped(term.long_name)}" for term in terms)
    return f"Symbols: {words}."


def _latex_tables(of_group: xr.Dataset, statistic: str, study: str) -> list[str]:
    """The floats of one matrix; those after the first say that they go on with it."""
    group = str(of_group["group"].item())
    words = _LATEX.text(in_words(of_group))
    title = f"{STATISTICS[statistic]}, study {_LATEX.literal(study)}, {words}"
    caption = " ".join(
        [
            f"Correlations between final quantities: {title}, {count(of_group['runs'])}, sample "
            f"set {_LATEX.literal(of_group.attrs['sample_set'])}.",
            f"In brackets: {level(of_group, _LATEX)} bootstrap interval over seeds; in "
            "parentheses: over settings.",
            *notes(of_group, _LATEX),
            *absent_quantities(of_group, _LATEX),
        ]
    )
    label = "tab:" + re.sub(r"[^A-Za-z0-9.]+", "-", f"correlations-{study}-{group}-{statistic}")
    first, *others = _latex_matrices(of_group.sel({"statistic": statistic}))
    floats = [_latex_float(first, title, caption, label)]
    for place, matrix in enumerate(others, start=2):
        more = f"Further columns of table \\ref{{{label}}}: {title}."
        floats.append(_latex_float(matrix, f"{title}, further columns", more, f"{label}-{place}"))
    return floats


def _latex_float(matrix: str, title: str, caption: str, label: str) -> str:
    """Caption, label, and the matrix, made smaller where the page is too narrow."""
    return "\n".join(
        [
            r"\begin{table}[p]",
            r"\centering",
            f"\\caption[{title}]{{{caption}}}",
            f"\\label{{{label}}}",
            r"\medskip",
            "",
            r"\sbox0{\setlength{\tabcolsep}{3pt}%",
            matrix + "}",
            r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
            r"\end{table}",
        ]
    )


def _latex_matrices(table: xr.Dataset) -> list[str]:
    """Coefficients of one group and statistic, with intervals in smaller rows below them.

    All is below the diagonal, so that columns on the right have few rows; they are set
    under those on the left, or on a further page where they do not fit there.
    """
    names = [_latex_name(name) for name in table["quantity"].to_numpy()]
    values = table[[*NUMBERS]].to_dataarray().to_numpy()
    pages: list[list[list[str]]] = [[]]
    for start in range(0, len(names) - 1, _COLUMNS_ACROSS):
        across = range(start, min(start + _COLUMNS_ACROSS, len(names) - 1))
        rows: list[list[str]] = []
        for row in range(start + 1, len(names)):
            cells = [values[:, row, at] for at in across if at < row]
            above = r"\addlinespace " if rows else ""
            rows.append([above + names[row], *(_latex_coefficient(cell[0]) for cell in cells)])
            below = [intervals(*cell[1:]) for cell in cells]
            for line in range(max(map(len, below))):
                texts = [each[line] if line < len(each) else "" for each in below]
                rows.append(["", *(_latex_interval(text) for text in texts)])
        if pages[-1] and len(pages[-1]) + len(rows) > _LINES_DOWN:
            pages.append([])
        rule = r"\midrule " if pages[-1] else ""
        rows[0][0] = rule + rows[0][0]
        pages[-1] += [[rule, *(names[at] for at in across)], *rows]
    return [_latex_matrix(page) for page in pages]


def _latex_matrix(rows: list[list[str]]) -> str:
    """The rows of one page, the first of which is the header."""
    header, *body = [row + [""] * (1 + _COLUMNS_ACROSS - len(row)) for row in rows]
    style = pd.DataFrame(body, columns=header).style.hide(axis="index")
    return style.to_latex(hrules=True, column_format="l" + "c" * _COLUMNS_ACROSS).rstrip()


def _latex_coefficient(value: float) -> str:
    return "--" if np.isnan(value) else f"${number(value)}$"


def _latex_interval(text: str) -> str:
    return rf"{{\footnotesize ${text}$}}" if text else ""


_LATEX = Markup(
    quantity=_latex_name, literal=lambda text: rf"\texttt{{{_escaped(text)}}}", text=_escaped
)
