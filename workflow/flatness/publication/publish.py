"""A publication: one folder with a page, a report, figures, tables, settings, and all results.

Everything in it is a function of the results alone, wherever they were computed and in whichever
parts.
"""

import os
from pathlib import Path

import pandas as pd
import xarray as xr

from flatness.publication.all_figures import draw_figures
from flatness.publication.all_tables import write_tables
from flatness.publication.configuration import portable
from flatness.publication.opening import read_results, settings_of_publication
from flatness.publication.page import write_page
from flatness.publication.paper import papers_settings
from flatness.publication.report.write import report
from flatness.settings import as_yaml
from flatness.storage import atomic_path, read_dataset, write_tree

ROOT = Path(__file__).parents[3]
REPORT = "report.html"
TEMPLATE = ROOT / "workflow/report/reproduction.md"
# What a report in a publication may take; a larger one is left out.
MOST_BYTES = 3_000_000
# Where the page reaches docs/claims.md from, if it lies outside of the repository.
_ITS_PLACE = ROOT / "docs/reproduction"


def publish_file(results: str | Path, folder: str | Path) -> None:
    """As `publish`, with the results of a file.

    Args:
        results: a part, or the results.nc of a publication.
        folder: see `publish`.
    """
    publish(read_results(results), folder)


def publish(results: xr.DataTree, folder: str | Path) -> None:
    """Write a publication, in the place of an earlier one of the same folder.

    Args:
        results: as `flatness.publication.results.condense` gives it.
        folder: gets README.md, results.nc, configuration.yaml, tables, figures, and report.html
            where that is of at most `MOST_BYTES`.
    """
    folder = Path(folder)
    place = folder.resolve() if folder.resolve().is_relative_to(ROOT) else _ITS_PLACE
    settings, paper = settings_of_publication(results), papers_settings()
    write_tree(results, folder / "results.nc")
    with atomic_path(folder / "configuration.yaml") as temporary:
        temporary.write_text(as_yaml(portable(settings)), encoding="utf-8")
    tables = write_tables(results, settings, paper, folder / "tables")
    figures = draw_figures(results, settings, folder / "figures")
    for kept in (tables, [figure.file for figure in figures.values()]):
        _remove_others(kept)
    claims, sensitivity = (_read(folder / f"tables/{n}.csv") for n in ("claims", "sensitivity"))
    correlations = read_dataset(folder / "tables/correlations.nc")
    text = report(
        results,
        settings,
        claims=claims,
        sensitivity=sensitivity,
        correlations=correlations,
        figures={name: figure.svg() for name, figure in figures.items()},
    )
    small = len(text.encode()) <= MOST_BYTES
    if small:
        with atomic_path(folder / REPORT) as temporary:
            temporary.write_text(text, encoding="utf-8")
    else:
        (folder / REPORT).unlink(missing_ok=True)
    write_page(
        folder / "README.md",
        TEMPLATE,
        results=results,
        settings=settings,
        paper=paper,
        claims=claims,
        sensitivity=sensitivity,
        correlations=correlations,
        figures=list(figures),
        report=REPORT if small else "",
        claims_page=os.path.relpath(ROOT / "docs/claims.md", place),
        place=os.path.relpath(place, ROOT),
    )


def _read(table: Path) -> pd.DataFrame | None:
    """A table of claims; None where no study plays a role in them."""
    return pd.read_csv(table) if table.exists() else None


def _remove_others(kept: list[Path]) -> None:
    """Remove the files of an earlier publication that this one has not."""
    for folder in {file.parent for file in kept}:
        for file in folder.iterdir():
            if file.is_file() and file not in kept:
                file.unlink()
