"""All figures, drawn from a file of results."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from flatness.analysis.analysed_run import AnalysedRun
from flatness.figures import draw
from flatness.figures.pictures import write_small
from flatness.figures.saving import save_figure
from flatness.figures.svg import as_svg
from flatness.publication.results import every_run
from flatness.settings import Settings, runs_of_figure, table_of_runs

# What a picture of a publication may take.
MOST_BYTES = 300_000


def figures_with_runs(settings: Settings, held: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """By figure, the runs that it shows, in their order; figures without any are left out.

    Args:
        settings: the configuration.
        held: names of the runs that there are.
    """
    table = {name: run for name, run in table_of_runs(settings).items() if name in set(held)}
    shown = {
        name: tuple(run.id for run in runs_of_figure(table, figure))
        for name, figure in settings.figures.items()
    }
    return {name: runs for name, runs in shown.items() if runs}


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Args:
        file: a small PNG file.
        figure: that it is a picture of.
        runs: that it shows.
    """

    file: Path
    figure: Figure
    runs: Sequence[AnalysedRun]

    def svg(self) -> str:
        """The same for a page, see `flatness.figures.svg.as_svg`; takes as long as the picture."""
        return as_svg(self.figure, runs=self.runs)


def draw_figures(results: xr.DataTree, settings: Settings, folder: str | Path) -> dict[str, Drawn]:
    """Draw every figure of the configuration that has runs.

    Args:
        results: as `flatness.publication.results.condense` gives it.
        settings: the configuration.
        folder: where they go, each as FIGURE.png.

    Returns:
        The figures by name.
    """
    runs = {run.id: run for run in every_run(results)}
    drawn = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name, shown in figures_with_runs(settings, list(runs)).items():
            picture = Path(temporary, f"{name}.png")
            asked, those = settings.figures[name], [runs[run] for run in shown]
            figure = draw(
                asked.kind,
                those,
                title=settings.title_of(name),
                options=asked.options(settings.analysis),
            )
            save_figure(figure, str(picture))
            file = Path(folder, picture.name)
            write_small(picture, file, MOST_BYTES)
            drawn[name] = Drawn(file, figure, those)
    return drawn
