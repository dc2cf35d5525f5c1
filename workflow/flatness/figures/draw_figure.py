"""A figure of the runs of several files, in each form."""

from collections.abc import Iterable, Mapping
from typing import Any

from flatness.analysis.analysed_run import read_runs
from flatness.figures import draw
from flatness.figures.saving import save_figure
from flatness.figures.svg import save_svg


def draw_figure(
    analyses: Iterable[str],
    png: str,
    pdf: str,
    svg: str,
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
        svg: the same as an SVG file, whose lines and points name their runs.
        kind: see `flatness.figures.draw`, as the others.
        title: see there.
        options: see there.
    """
    runs = read_runs(analyses)
    figure = draw(kind, runs, title=title, options=options)
    save_figure(figure, png, pdf)
    save_svg(figure, svg, runs=runs)
