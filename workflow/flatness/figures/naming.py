"""Which runs lie behind the lines and points of a figure, for readers who point at them.

A name is an artist that draws nothing: pictures stay as they are. `flatness.figures.svg` puts what
is named, transparent, over the picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_POINTS_PER_INCH = 72


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


class _Name(Artist):
    """The name of what is drawn elsewhere; (vertices, 2) values in the panel's own units."""

    def __init__(self, x, y, runs: Sequence[str], *, joined: bool):
        super().__init__()
        self.values = np.column_stack([x, y]).astype(float)
        self.runs = tuple(runs)
        self.joined = joined
        self.set_in_layout(False)


def name_line(panel: Axes, x, y, runs: Sequence[str]) -> None:
    """Name a line.

    Args:
        panel: where it is drawn.
        x: (vertices,).
        y: (vertices,).
        runs: ids of the one run, or of those that it is the mean of.
    """
    panel.add_artist(_Name(x, y, runs, joined=True))


def name_points(panel: Axes, x, y, run: str) -> None:
    """Name the points of one run.

    Args:
        panel: where they are drawn.
        x: (points,).
        y: (points,).
        run: its id.
    """
    panel.add_artist(_Name(x, y, [run], joined=False))


def named(figure: Figure) -> Iterator[Named]:
    """What is named in a figure; means come first, so that what they are made of lies above."""
    names = [
        (position, artist)
        for position, panel in enumerate(figure.axes)
        for artist in panel.artists
        if isinstance(artist, _Name)
    ]
    for position, name in sorted(names, key=lambda each: -len(each[1].runs)):
        places = figure.axes[position].transData.transform(name.values)
        places[:, 1] = figure.bbox.height - places[:, 1]
        yield Named(name.runs, position, places * _POINTS_PER_INCH / figure.dpi, name.joined)


def pieces(places: np.ndarray) -> Iterator[np.ndarray]:
    """The parts of a line between its gaps, (vertices, 2) each."""
    known = np.isfinite(places).all(1)
    ends = np.flatnonzero(np.diff(np.pad(known, 1).astype(int)))
    for start, end in list(pairwise(ends))[::2]:
        yield places[start:end]
