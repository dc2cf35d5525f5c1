"""Quantities of any network over its checkpoints, one panel each."""

from collections.abc import Mapping, Sequence
from math import ceil

import matplotlib.style
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatness.figures import STYLE, curves, scales
from flatness.figures.labels import label, symbol, words

_PANEL = (3.4, 2.7)  # inches
_LEAST_RATIO = 1.5  # of values on a logarithmic axis
_LONGEST = 32  # characters of words that a panel holds beside a symbol


def series_figure(
    series: Mapping[str, xr.Dataset],
    names: Sequence[str],
    *,
    logarithmic: Sequence[str] = (),
    logarithmic_width: bool = False,
) -> Figure:
    """Draw each quantity against the iteration, one line for each network.

    Args:
        series: by what the legend calls it, Datasets with the dimension `checkpoint` alone and the
            coordinate `iteration`.
        names: of the quantities, in the order of the panels.
        logarithmic: those with a logarithmic axis.
        logarithmic_width: whether iterations are on a logarithmic axis; 0 is left out there.
    """
    with matplotlib.style.context(STYLE):
        columns = _columns(len(names))
        rows = ceil(len(names) / columns)
        figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
        looks = curves.looks()
        handles = []
        for position, (called, dataset) in enumerate(series.items()):
            look = looks[position % len(looks)]
            for name, panel in zip(names, axes.flat, strict=False):
                line = _line(panel, dataset, name, look, logarithmic_width)
            line.set_label(called)
            handles.append(line)
        for name, panel in zip(names, axes.flat, strict=False):
            panel.set_title(_title(name))
            if name in logarithmic:
                _logarithmic(panel)
        for panel in axes.flat[len(names) :]:
            panel.remove()
        for column in range(columns):
            lowest = axes[(len(names) - 1 - column) // columns, column]
            lowest.set_xlabel("iteration")
            lowest.tick_params(labelbottom=True)
            if logarithmic_width:
                scales.logarithmic_width(lowest)
        if len(handles) > 1:
            figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
    return figure


def _columns(panels: int) -> int:
    """So that few places stay empty."""
    return {4: 2, 7: 4, 8: 4}.get(panels, min(panels, 3 if panels < 10 else 4))


def _line(panel: Axes, dataset: xr.Dataset, name: str, look: Mapping, positive: bool):
    if name not in dataset:
        return panel.plot([], [], **look)[0]
    iterations, values = dataset["iteration"].to_numpy(), dataset[name].to_numpy()
    shown = np.isfinite(values) & (iterations > 0 if positive else True)
    mark = "o" if shown.sum() < 3 else None
    return panel.plot(iterations[shown], values[shown], marker=mark, **look)[0]


def _logarithmic(panel: Axes) -> None:
    parts = [line.get_ydata() for line in panel.get_lines()]
    drawn = np.concatenate(parts) if parts else np.array([])
    # Over less, a logarithmic axis looks like a linear one, whose ticks have more digits.
    if len(drawn) and drawn.min() > 0 and drawn.max() > _LEAST_RATIO * drawn.min():
        scales.logarithmic_height(panel)


def _title(name: str) -> str:
    """A quantity's words and symbol, in two lines where a panel cannot hold them in one."""
    try:
        long_name = words(name)
    except KeyError:  # a number of one's own
        return name
    return f"{long_name}\n{symbol(name)}" if len(long_name) > _LONGEST else label(name)
