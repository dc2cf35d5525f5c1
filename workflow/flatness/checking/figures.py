"""Every figure, drawn anew from the results."""

from pathlib import Path

import numpy as np
import xarray as xr
from PIL import Image, UnidentifiedImageError

from flatness.checking.step import Found
from flatness.publication.all_figures import Drawn, draw_figures
from flatness.settings import Settings

# Measured on one core of an Intel Xeon of 2026: eleven figures of 20 and of 50 runs.
SECONDS_PER_FIGURE = 1.6
# Of 255: a pixel that differs by more is another one.
_ANOTHER = 25


class DrawnOnce:
    """All figures of a publication, drawn anew when they are first asked for.

    Args:
        results: of the publication.
        settings: its configuration.
        folder: they are drawn into.
    """

    def __init__(self, results: xr.DataTree, settings: Settings, folder: Path):
        self.folder = folder
        self._what = results, settings
        self._drawn: dict[str, Drawn] | None = None

    def figures(self) -> dict[str, Drawn]:
        """By name."""
        if self._drawn is None:
            self._drawn = draw_figures(*self._what, self.folder)
        return self._drawn

    def with_same_bytes(self, published: Path) -> list[str]:
        """Names of the pictures that have the same bytes in a folder of published ones."""
        pairs = [(published / each.file.name, each.file) for each in self.figures().values()]
        return [
            there.name
            for there, here in pairs
            if there.is_file() and there.read_bytes() == here.read_bytes()
        ]


def check_figures(published: Path, anew: DrawnOnce) -> Found:
    """Draw the figures of a publication anew and compare them with those that are published.

    matplotlib and its fonts give the same bytes in the same versions only. Where at least one
    figure has them, the versions are the same, and a figure that has not shows something else;
    where none has, all are to be looked at beside each other.

    Args:
        published: the folder of figures that is published.
        anew: the same, drawn anew.
    """
    made, drawn = anew.folder, [each.file.name for each in anew.figures().values()]
    there = sorted(file.name for file in published.glob("*.png"))
    differing = [f"{published / name}: is missing" for name in drawn if name not in there]
    differing += [
        f"{published / name}: is no figure of the configuration"
        for name in there
        if name not in drawn
    ]
    both = [name for name in drawn if name in there]
    same = anew.with_same_bytes(published)
    lines = [f"{len(drawn)} figures are drawn anew, in {made}: {len(same)} have the same bytes"]
    for name in (name for name in both if name not in same):
        told = _difference(published / name, made / name)
        if same or told.startswith("is no"):
            why = f", while {same[0]} drawn by the same versions has the same bytes" if same else ""
            differing.append(f"{published / name}: {told}{why}")
        else:
            lines.append(f"{name}: {told}; look at both")
    if both and not same:
        lines.append(
            "other versions of matplotlib or of its fonts draw other pixels, so that pictures "
            "decide nothing here; the numbers in them are those of the tables' results.nc"
        )
    short = "drawn anew, to be looked at" if both and not same else Found.same
    return Found(tuple(lines), tuple(differing), short)


def _difference(published: Path, made: Path) -> str:
    """How far two pictures are from each other."""
    try:
        with Image.open(published) as one, Image.open(made) as other:
            there, here = (np.asarray(each.convert("RGB"), dtype=int) for each in (one, other))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return "is no readable PNG file"
    if there.shape != here.shape:
        height, width, _ = there.shape
        return f"has {width} x {height} pixels, drawn anew {here.shape[1]} x {here.shape[0]}"
    share = (np.abs(there - here).max(axis=2) > _ANOTHER).mean()
    return f"differs in {100 * share:.2g}% of the pixels"
