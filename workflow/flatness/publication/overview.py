"""The first page of the report: claims, what was run, on what, for how long.

A fragment of HTML without scripts or styles of its own beyond a few inline rules, so that
it can stand inside the report as well as be opened by itself.
"""

import html
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from flatness.analysis.analysed_run import AnalysedRun
from flatness.publication import costs, facts
from flatness.publication.deviations import nature
from flatness.publication.opening import read_results, settings_of_publication
from flatness.publication.paper import papers_settings
from flatness.publication.results import counts, every_run
from flatness.storage import atomic_path
from flatness.tables.claim_table import html_table

# The first rules make room for the page: the report centres what it shows, and what is higher
# than the window then loses its upper part.
_STYLE = """<style>
div.h-screen.items-center:has(.overview) {align-items: flex-start;}
div.prose:has(.overview), section:has(> .overview) {max-width: none;}
.overview .claims td:nth-of-type(3), .overview .claims td:nth-of-type(9) {min-width: 16em;}
.overview table {border-collapse: collapse; margin: 0.5em 0 1.5em; font-size: 0.85em;}
.overview th, .overview td {border: 1px solid #bbb; padding: 0.25em 0.5em; text-align: left;
  vertical-align: top;}
.overview caption {text-align: left; padding-bottom: 0.4em;}
.overview h2 {font-size: 1.3em; margin: 1em 0 0.3em;}
.overview tr.reproduced td:nth-of-type(2) {background: #cfe8d5;}
.overview tr.not-reproduced td:nth-of-type(2) {background: #f6cfc4;}
.overview tr.undecided td:nth-of-type(2) {background: #f7ebc3;}
.overview tr.not-testable td:nth-of-type(2) {background: #e4e4e4;}
</style>"""


def describe_results(results: str | Path, page: str | Path, *, claims: str | Path | None) -> None:
    """As `write_overview`, from files.

    Args:
        results: of the study, such as its part.nc.
        page: the file that is written.
        claims: the table claims.csv, or None where no study plays a role in the claims.
    """
    table = pd.read_csv(claims) if claims else None
    write_overview(page, claims=table, results=read_results(results))


def write_overview(path: str | Path, *, claims: pd.DataFrame | None, results: xr.DataTree) -> None:
    """Write the page, atomically.

    Args:
        path: of the file.
        claims: from `flatness.analysis.claims.judge`, or read back from its CSV file; None where
            no study plays a role in the claims.
        results: as `flatness.publication.results.condense` gives it.
    """
    runs = every_run(results)
    mapping, paper = (
        settings.model_dump(exclude_none=True)
        for settings in (settings_of_publication(results), papers_settings())
    )
    what = nature(mapping, paper, counts(results)).sentence
    parts = [
        _STYLE,
        '<div class="overview">',
        f"<p><strong>{html.escape(what)}.</strong></p>",
        *([] if claims is None else ["<h2>Claims</h2>", html_table(claims)]),
        "<h2>Excluded runs</h2>",
        _excluded(runs),
        "<h2>What was run</h2>",
        _table(facts.STUDY_COLUMNS, facts.studies(mapping, runs)),
        "<h2>Conventions of the analysis</h2>",
        _table(("key", "value"), facts.conventions(mapping)),
        "<h2>Hardware and versions</h2>",
        _table(("fact", "value"), facts.made_with(runs)),
        "<h2>Wall time</h2>",
        "<p>Of the last attempt of each job; memory is the largest resident set.</p>",
        _table(costs.COLUMNS, costs.in_words(results)),
        "</div>",
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _excluded(runs: Sequence[AnalysedRun]) -> str:
    excluded = facts.excluded(runs)
    if not excluded:
        return f"<p>None of the {facts.number_of(len(runs), 'run')}.</p>"
    items = "".join(
        f"<li>{html.escape(run)}, {html.escape(why)}</li>" for run, why in excluded.items()
    )
    return f"<p>{len(excluded)} of {facts.number_of(len(runs), 'run')}:</p><ul>{items}</ul>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table>"
