"""Figures as pure functions of analysed runs; never torch.

Each kind of figure is one module of that name with a function `KIND_figure(runs, *, title, ...)`;
the configuration says what to draw (see `flatness.settings.figures`).
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the configuration names kinds of figures, and is read without these
    from matplotlib.figure import Figure

    from flatness.analysis.analysed_run import AnalysedRun

STYLE = Path(__file__).with_name("flatness.mplstyle")


def module_name(kind: str) -> str:
    """The dotted name of the module that draws figures of one kind."""
    return f"{__name__}.{kind}"


def drawing_function(kind: str) -> Callable[..., "Figure"]:
    """The function that draws figures of one kind; loads matplotlib."""
    return getattr(importlib.import_module(module_name(kind)), f"{kind}_figure")


def draw(
    kind: str, runs: "Sequence[AnalysedRun]", *, title: str, options: Mapping[str, Any]
) -> "Figure":
    """Draw one figure.

    Args:
        kind: as in the settings, such as "trends".
        runs: the analysed runs that the figure shows, see `flatness.settings.runs_of_figure`.
        title: such as "Figure 1", see `flatness.settings.figures.Figure.title`.
        options: of the kind, as `flatness.settings.figures.Figure.options` gives them.
    """
    return drawing_function(kind)(runs, title=title, **options)
