"""A figure as SVG whose lines and points name their runs.

The picture is matplotlib's own. Over it lie transparent lines and dots, each with a <title>, which
browsers show to who points at it; a page may do more with them. Its parts: `<g class="picture">`,
`<g class="named">`, and a `<view id="panels">` of the panels without headline and caption.
"""

import html
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure

from flatness.analysis.analysed_run import AnalysedRun
from flatness.figures import STYLE
from flatness.figures.glyphs import with_outlines
from flatness.figures.naming import Named, named, pieces
from flatness.storage import atomic_path

_POINTS_PER_INCH = 72
_MARGIN = 3  # points around the panels
# Of pictures for a page: letters stay letters, and equal figures are equal files.
_FORM = {"svg.fonttype": "none", "svg.hashsalt": "flatness"}
_STYLE = (
    "<style>.picture * {stroke-linejoin: round; stroke-linecap: butt;} .named path {fill: none; "
    "stroke: transparent; stroke-width: 7; stroke-linecap: round; stroke-linejoin: round;} "
    ".named path:hover {stroke: #000; stroke-opacity: 0.55; stroke-width: 2.5;}</style>"
)


def in_words(runs: Sequence[AnalysedRun]) -> str:
    """What a line or point of one run is called, or a mean over seeds.

    Such as "mlp_digits, learning rate 0.1 (mse), batch size 20, seed 0".
    """
    first, *others = runs
    seeds = f"mean over seeds {', '.join(str(run.seed) for run in runs)}"
    return (
        f"{first.study}, learning rate {first.rate_in_words}, batch size {first.batch_size}, "
        f"{seeds if others else f'seed {first.seed}'}"
    )


def save_svg(figure: Figure, path: str | Path, *, runs: Iterable[AnalysedRun]) -> None:
    """Write a figure as an SVG file, atomically.

    Args:
        figure: as drawn by `flatness.figures.draw`.
        path: of the file.
        runs: those that it shows.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(as_svg(figure, runs=runs) + "\n", encoding="utf-8")


def as_svg(figure: Figure, *, runs: Iterable[AnalysedRun]) -> str:
    """A figure as SVG.

    Args:
        figure: as drawn by `flatness.figures.draw`.
        runs: those that it shows.
    """
    content = io.StringIO()
    with matplotlib.style.context(STYLE), matplotlib.rc_context(_FORM):
        figure.savefig(content, format="svg", metadata={"Date": None})
    width, height = figure.get_size_inches() * _POINTS_PER_INCH
    panels = " ".join(f"{length:.0f}" for length in _panels(figure, width, height))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}pt" height="{height:g}pt">{_STYLE}'
        f'<view id="panels" viewBox="{panels}"/><g class="picture">{_lean(content.getvalue())}</g>'
        f'<g class="named">{"".join(_over(figure, runs))}</g></svg>'
    )


def _panels(figure: Figure, width: float, height: float) -> tuple[float, ...]:
    """Left, top, width and height of what the panels take, with their labels, in points."""
    boxes = [panel.get_tightbbox().extents for panel in figure.axes]
    if not boxes:
        return (0, 0, width, height)
    scaled = np.array(boxes) * _POINTS_PER_INCH / figure.dpi
    left, low = np.maximum(scaled[:, :2].min(0) - _MARGIN, 0)
    right, high = np.minimum(scaled[:, 2:].max(0) + _MARGIN, (width, height))
    return (left, height - high, right - left, high - low)


def _lean(picture: str) -> str:
    """What is inside matplotlib's <svg>: lines to a tenth of a point, ids that are referred to."""
    inside = picture[picture.index(">", picture.index("<svg")) + 1 : picture.rindex("</svg>")]
    for needless in (r"<metadata>.*?</metadata>", r"<!--.*?-->", r"<style.*?</style>"):
        inside = re.sub(needless, "", inside, flags=re.DOTALL)
    inside = re.sub(r'(?<= )(d|x|y)="[^"]*"', lambda found: _rounded(found[0]), inside)
    wanted = set(re.findall(r'(?:"|url\()#([^")]+)', inside))
    inside = re.sub(r' id="([^"]*)"', lambda id_: id_[0] if id_[1] in wanted else "", inside)
    return with_outlines(re.sub(r"\s*\n\s*", " ", inside).replace("> <", "><").strip())


def _rounded(numbers: str) -> str:
    return re.sub(r"-?\d+\.\d+", lambda found: _tenths(float(found[0])), numbers)


def _tenths(length: float) -> str:
    return f"{length:z.1f}".removesuffix(".0")


def _over(figure: Figure, runs: Iterable[AnalysedRun]) -> Iterator[str]:
    """A clipping path for each panel with anything named, and what is named."""
    height = figure.get_figheight() * _POINTS_PER_INCH
    known, clipped = {run.id: run for run in runs}, set()
    for each in named(figure):
        if each.panel not in clipped:
            clipped.add(each.panel)
            box = figure.axes[each.panel].bbox.extents * _POINTS_PER_INCH / figure.dpi
            left, low, right, high = box + np.array([-1, -1, 1, 1]) * _MARGIN
            yield (
                f'<clipPath id="panel{each.panel}"><rect x="{_tenths(left)}" '
                f'y="{_tenths(height - high)}" width="{_tenths(right - left)}" '
                f'height="{_tenths(high - low)}"/></clipPath>'
            )
        if drawn := _path(each):
            title = in_words([known[run] for run in each.runs])
            yield (
                f'<path class="{"line" if each.joined else "dots"}" '
                f'data-runs="{html.escape(" ".join(each.runs))}" '
                f'clip-path="url(#panel{each.panel})" d="{drawn}">'
                f"<title>{html.escape(title)}</title></path>"
            )


def _path(what: Named) -> str:
    """A line with its gaps, or dots: the shortest lines that have round ends."""
    if what.joined:
        parts = (
            "M" + "L".join(f"{_tenths(x)} {_tenths(y)}" for x, y in piece)
            for piece in pieces(what.places)
        )
    else:
        known = what.places[np.isfinite(what.places).all(1)]
        parts = (f"M{_tenths(x)} {_tenths(y)}h.1" for x, y in known)
    return "".join(parts)
