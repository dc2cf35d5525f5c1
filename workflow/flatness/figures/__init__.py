"""Figures as pure functions of analysed runs; never torch.

Each kind of figure is one module with one function `KIND_figure(runs, *, title, ...)`; the
configuration says which of them to draw (see `flatness.settings.figures`).
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the configuration names kinds of figures, and is read without these
    from matplotlib.figure import Figure

    from flatness.analysis.analysed_run import AnalysedRun

STYLE = Path(__file__).with_name("flatness.mplstyle")

# By the kind's name in the settings.
_FUNCTIONS = {
    "trend": ("trends", "trend_figure"),
    "test_samples": ("test_samples", "test_sample_figure"),
    "chain": ("chain", "chain_figure"),
    "pair_grid": ("pair_grid", "pair_grid_figure"),
    "slack": ("slack", "slack_figure"),
    "lemma": ("lemma", "lemma_figure"),
}


def module_name(kind: str) -> str:
    """The dotted name of the module that draws figures of one kind."""
    return f"{__name__}.{_FUNCTIONS[kind][0]}"


def drawing_function(kind: str) -> Callable[..., Any]:
    """The function that draws figures of one kind; loads matplotlib."""
    return getattr(importlib.import_module(module_name(kind)), _FUNCTIONS[kind][1])


def draw(
    kind: str, runs: "Sequence[AnalysedRun]", *, title: str, options: Mapping[str, Any]
) -> "Figure":
    """Draw one figure.

    Args:
        kind: as in the settings, such as "trend".
        runs: the analysed runs that the figure shows, see `flatness.settings.runs_of_figure`.
        title: such as "Figure 1", see `flatness.settings.figures.Figures.title`.
        options: of the kind, as `flatness.settings.figures.Figure.options` gives them.
    """
    return drawing_function(kind)(runs, title=title, **options)
