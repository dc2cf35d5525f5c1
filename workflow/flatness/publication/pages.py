"""The two pages of a publication: one of Markdown, and the report for a browser."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import xarray as xr

from flatness.publication.all_figures import Drawn
from flatness.publication.page import write_page
from flatness.publication.report.write import report
from flatness.settings import Settings
from flatness.storage import atomic_path, read_dataset

PAGE = "README.md"
REPORT = "report.html"
ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "workflow/report/reproduction.md"
# What a report in a publication may take; a larger one is left out.
MOST_BYTES = 3_000_000
# A file of the repository that the page leads to, and where a publication is thought to be that
# lies in no repository.
_CLAIMS = "docs/claims.md"
_ELSEWHERE = "docs/reproduction"


def write_pages(
    folder: str | Path,
    results: xr.DataTree,
    settings: Settings,
    paper: Settings,
    *,
    tables: str | Path,
    figures: Mapping[str, Drawn],
    publication: str | Path,
) -> list[Path]:
    """Write both pages, atomically.

    Args:
        folder: where they go; a report of more than `MOST_BYTES` that lies there goes away.
        results: as `flatness.publication.results.condense` gives it.
        settings: the configuration.
        paper: that of the paper.
        tables: folder with all tables, as `flatness.publication.all_tables.write_tables` leaves it.
        figures: all figures, as `flatness.publication.all_figures.draw_figures` gives them.
        publication: the folder that the pages are of, from which their links lead.

    Returns:
        The files: the page, and the report where it is small enough.
    """
    folder = Path(folder)
    claims, sensitivity = (_read(Path(tables, f"{n}.csv")) for n in ("claims", "sensitivity"))
    correlations = read_dataset(Path(tables, "correlations.nc"))
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
    claims_page, place = _links(Path(publication).resolve())
    write_page(
        folder / PAGE,
        TEMPLATE,
        results=results,
        settings=settings,
        paper=paper,
        claims=claims,
        sensitivity=sensitivity,
        correlations=correlations,
        figures=list(figures),
        report=REPORT if small else "",
        claims_page=claims_page,
        place=place,
    )
    return [folder / PAGE] + [folder / REPORT] * small


def _read(table: Path) -> pd.DataFrame | None:
    """A table of claims; None where no study plays a role in them."""
    return pd.read_csv(table) if table.exists() else None


def _links(publication: Path) -> tuple[str, str]:
    """How the page reaches docs/claims.md, and its folder as seen from the repository."""
    above = (folder for folder in publication.parents if (folder / _CLAIMS).is_file())
    root = next(above, None)
    if root is None:
        root, publication = ROOT, ROOT / _ELSEWHERE
    return os.path.relpath(root / _CLAIMS, publication), os.path.relpath(publication, root)
