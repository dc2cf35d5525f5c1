"""Marks of the iteration at which runs begin to interpolate."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from flatness.analysis.analysed_run import AnalysedRun

_LOOK = {"linewidth": 0.9, "linestyle": ":"}


def mark_interpolation(
    panels: Iterable[Axes], runs: Sequence[AnalysedRun], accuracy: float, color: str
) -> None:
    """A dotted vertical at the median over the runs that interpolate, if any does."""
    known = _reached(runs, accuracy)
    if known:
        for panel in panels:
            panel.axvline(median(known), color=color, zorder=1, **_LOOK)


def count_interpolating(
    panel: Axes,
    settings: Mapping[str, tuple[Sequence[AnalysedRun], str]],
    accuracy: float,
    corner: str = "upper right",
) -> None:
    """Say within a panel how many runs interpolate, with the verticals' look.

    Args:
        panel: with a corner that is free.
        settings: by its name in the legend, or "", runs and colour of each curve.
        accuracy: training accuracy from which a run interpolates.
        corner: the one that is free, in matplotlib's words.
    """
    handles = []
    for name, (runs, color) in settings.items():
        count = len(_reached(runs, accuracy))
        text = f"{count} of {len(runs)} runs" if count else "never"
        look = _LOOK if count else {"linestyle": "none"}
        label = f"{name}: {text}" if name else text
        handles.append(Line2D([], [], color=color, label=label, **look))
    panel.legend(
        handles=handles,
        title=f"reach {100 * accuracy:g}% train accuracy",
        loc=corner,
        borderaxespad=0,
        fontsize=7.5,
        title_fontsize=7.5,
        frameon=True,
        edgecolor="none",
        framealpha=0.85,
    )


def meaning(runs: Sequence[AnalysedRun], accuracy: float) -> str:
    """What the verticals mean and how many runs interpolate, for a caption."""
    reached = len(_reached(runs, accuracy))
    level = f"{100 * accuracy:g}%"
    if not reached:
        return f"No vertical marks interpolation: no run reaches a train accuracy of {level}."
    return (
        f"Dotted verticals: median iteration at which train accuracy reaches {level} "
        f"({reached} of {len(runs)} runs do)."
    )


def _reached(runs: Sequence[AnalysedRun], accuracy: float) -> list[int]:
    """The iterations at which those runs begin to interpolate that do."""
    reached = [run.interpolation(accuracy) for run in runs]
    return [iteration for iteration in reached if iteration is not None]
