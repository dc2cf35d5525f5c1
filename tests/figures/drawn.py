"""What a figure shows, read back from its artists."""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from flatness.figures.saving import save_figure


def texts(figure: Figure) -> str:
    """Headline and caption, as if it were one line."""
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def inside(panel: Axes) -> str:
    """The text within one panel, as if it were one line."""
    return " ".join(text.get_text() for text in panel.texts).replace("\n", " ")


def strong(panel: Axes) -> np.ndarray:
    """Heights of the strong lines, (lines, K)."""
    return np.array([line.get_ydata() for line in panel.lines if line.get_linewidth() > 1.2])


def bands(panel: Axes) -> list[dict[float, tuple[float, float]]]:
    """The shaded bands, by iteration the lower and the upper end."""
    return [
        {
            place: (heights.min(), heights.max())
            for place in np.unique(vertices[:, 0])
            for heights in [vertices[vertices[:, 0] == place, 1]]
        }
        for band in panel.collections
        if isinstance(band, PolyCollection)
        for vertices in [np.concatenate([path.vertices for path in band.get_paths()])]
    ]


def assert_bands(panel: Axes, iteration, values: np.ndarray) -> None:
    """The bands go from the smallest to the largest seed, of values (bands, seeds, K)."""
    drawn = bands(panel)
    assert len(drawn) == len(values)
    for band, seeds in zip(drawn, values, strict=True):
        for position, place in enumerate(iteration):
            ends = (seeds[:, position].min(), seeds[:, position].max())
            assert np.allclose(band[place], ends)


def legend(panel: Axes) -> list[str]:
    """The entries of a panel's legend."""
    return [text.get_text() for text in panel.get_legend().get_texts()]


def assert_readable(figure: Figure) -> None:
    """No text leaves the figure, lies on another text or on a panel that it is not of.

    Nor does a legend within a panel lie on its curves.
    """
    FigureCanvasAgg(figure).draw()
    boxes = [(text, text.get_window_extent()) for text in _visible_texts(figure)]
    assert boxes
    for text, box in boxes:
        corners = np.array([box.min, box.max])
        assert figure.bbox.x0 <= corners[:, 0].min(), text
        assert corners[:, 0].max() <= figure.bbox.x1, text
        assert figure.bbox.y0 <= corners[:, 1].min(), text
        assert corners[:, 1].max() <= figure.bbox.y1, text
    for (one, box), (other, other_box) in combinations(boxes, 2):
        assert not _overlap(box, other_box), (one, other)
    for panel in figure.axes:
        if panel.axison:
            for text, box in boxes:
                assert text in _own_texts(panel) or not _overlap(box, panel.bbox), (text, panel)
            assert not _covers_curves(panel), panel


def same_files(figures: Iterable[Figure], folder: Path, ending: str = "png") -> bool:
    """Whether the figures are the same bytes in one format."""
    contents = set()
    for position, figure in enumerate(figures):
        path = folder / f"{position}.{ending}"
        save_figure(figure, str(path))
        contents.add(path.read_bytes())
    assert position > 0
    return len(contents) == 1


def _own_texts(panel: Axes) -> list[Text]:
    """What is written within a panel, and in its legend."""
    legend = panel.get_legend()
    return [*panel.texts, *(legend.findobj(Text) if legend else ())]


def _covers_curves(panel: Axes) -> bool:
    """Whether the panel's legend lies on a point of its strong lines."""
    legend = panel.get_legend()
    if legend is None:
        return False
    box = legend.get_window_extent()
    return any(
        box.count_contains(panel.transData.transform(line.get_xydata()))
        for line in panel.lines
        if line.get_linewidth() > 1.2
    )


def _overlap(one: Bbox, other: Bbox) -> bool:
    """By more than the fraction of a pixel that rounding leaves."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > 0.5 and height > 0.5


def _visible_texts(figure: Figure) -> list[Text]:
    """All texts but the labels of ticks beyond the ends of their axis, which are not drawn."""
    hidden = {
        label
        for panel in figure.axes
        for axis in (panel.xaxis, panel.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not (panel.axison and _within(tick.get_loc(), axis.get_view_interval()))
    }
    hidden |= {
        text
        for panel in figure.axes
        if not panel.axison
        for text in (panel.xaxis.label, panel.yaxis.label)
    }
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in hidden
    ]


def _within(place: float, interval) -> bool:
    low, high = sorted(interval)
    return low <= place <= high
