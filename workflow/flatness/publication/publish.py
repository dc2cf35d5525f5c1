"""A publication: one folder with a page, a report, figures, tables, settings, and all results.

Everything in it is a function of the results alone, wherever they were computed and in whichever
parts.
"""

from pathlib import Path

import xarray as xr

from flatness.publication.all_figures import draw_figures
from flatness.publication.all_tables import write_tables
from flatness.publication.configuration import portable
from flatness.publication.opening import read_results, settings_of_publication
from flatness.publication.pages import write_pages
from flatness.publication.paper import papers_settings
from flatness.settings import as_yaml
from flatness.storage import atomic_path, write_tree


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
            where that is
            small enough.
    """
    folder = Path(folder)
    settings, paper = settings_of_publication(results), papers_settings()
    write_tree(results, folder / "results.nc")
    with atomic_path(folder / "configuration.yaml") as temporary:
        temporary.write_text(as_yaml(portable(settings)), encoding="utf-8")
    tables = write_tables(results, settings, paper, folder / "tables")
    figures = draw_figures(results, settings, folder / "figures")
    for kept in (tables, [figure.file for figure in figures.values()]):
        _remove_others(kept)
    write_pages(
        folder,
        results,
        settings,
        paper,
        tables=folder / "tables",
        figures=figures,
        publication=folder,
    )


def _remove_others(kept: list[Path]) -> None:
    """Remove the files of an earlier publication that this one has not."""
    for folder in {file.parent for file in kept}:
        for file in folder.iterdir():
            if file.is_file() and file not in kept:
                file.unlink()
