"""Which runs lie behind the lines and points of a figure, for readers who point at them.

A named artist is never drawn: pictures on paper stay as they are. `flatness.figures.svg` puts it,
transparent, over the picture.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

_WHAT = "runs "  # how the id of a named artist begins


@dataclass(frozen=True)
class Named:
    """A line, or points, of some runs.

    Args:
        runs: ids; several for their mean.
        panel: position among the panels of the figure.
        places: (vertices, 2), in points (1/72 inch) from the figure's upper left corner; NaN where
            a line has a gap.
        joined: whether it is a line.
    """

    runs: tuple[str, ...]
    panel: int
    places: np.ndarray
    joined: bool


def name_line(panel: Axes, x, y, runs: Sequence[str]) -> None:
    """Name a line.

    Args:
        panel: where it is drawn.
        x: (vertices,).
        y: (vertices,).
        runs: ids of the one run, or of those that it is the mean of.
    """
    panel.add_artist(Line2D(x, y, gid=_id(runs), visible=False, linewidth=0))


def name_points(panel: Axes, x, y, run: str) -> None:
    """Name the points of one run.

    Args:
        panel: where they are drawn.
        x: (points,).
        y: (points,).
        run: its id.
    """
    panel.add_artist(Line2D(x, y, gid=_id([run]), visible=False, linewidth=0, linestyle="none"))


def named(figure: Figure) -> Iterator[Named]:
    """What is named in a figure; means come first, so that what they are made of lies above."""
    found = [
        (position, line)
        for position, panel in enumerate(figure.axes)
        for line in panel.get_lines()
        if str(line.get_gid()).startswith(_WHAT)
    ]
    for position, line in sorted(found, key=lambda each: -len(_runs(each[1]))):
        places = line.axes.transData.transform(np.column_stack(line.get_data()).astype(float))
        height = figure.get_figheight() * figure.dpi
        places[:, 1] = height - places[:, 1]
        joined = line.get_linestyle() != "None"
        yield Named(_runs(line), position, places * 72 / figure.dpi, joined)


def pieces(places: np.ndarray) -> Iterator[np.ndarray]:
    """The parts of a line between its gaps, (vertices, 2) each."""
    known = np.isfinite(places).all(1)
    ends = np.flatnonzero(np.diff(np.pad(known, 1).astype(int)))
    for start, end in list(pairwise(ends))[::2]:
        yield places[start:end]


def _id(runs: Sequence[str]) -> str:
    return _WHAT + json.dumps(list(runs))


def _runs(line: Line2D) -> tuple[str, ...]:
    return tuple(json.loads(line.get_gid().removeprefix(_WHAT)))
