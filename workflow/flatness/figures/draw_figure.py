"""A figure of the runs of several files, as pictures and as a page of a report."""

from collections.abc import Iterable, Mapping
from typing import Any

from flatness.analysis.analysed_run import read_runs
from flatness.figures import draw
from flatness.figures.page import write_page
from flatness.figures.saving import save_figure


def draw_figure(
    analyses: Iterable[str],
    png: str,
    pdf: str,
    page: str,
    *,
    kind: str,
    title: str,
    options: Mapping[str, Any],
) -> None:
    """Draw one figure and write it in each form.

    Args:
        analyses: files of analysed runs.
        png: the picture that is written.
        pdf: the same as a PDF file.
        page: the same inside a page.
        kind: see `flatness.figures.draw`, as the others.
        title: see there.
        options: see there.
    """
    save_figure(draw(kind, read_runs(analyses), title=title, options=options), png, pdf)
    write_page(png, page, title=title)
