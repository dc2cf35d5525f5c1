"""The page and the report of a publication, written anew from what was made anew."""

import re
from pathlib import Path

import xarray as xr

from flatness.checking.figures import DrawnOnce
from flatness.checking.files import first_difference, first_line
from flatness.checking.step import Found
from flatness.publication.pages import PAGE, REPORT, write_pages
from flatness.publication.paper import papers_settings
from flatness.settings import Settings

# Measured as those of figures: a report draws each figure once more, as SVG.
SECONDS_PER_FIGURE_OF_REPORT = 1.4
_PICTURE = re.compile(r"<svg\b.*?</svg>", re.DOTALL)


def check_pages(
    publication: Path, made: Path, results: xr.DataTree, settings: Settings, figures: DrawnOnce
) -> Found:
    """Write README.md and report.html anew and compare them with those that are published.

    The report holds figures, which other versions of matplotlib draw otherwise. Where no figure
    has the bytes of the published one, the report is compared without them.

    Args:
        publication: its folder.
        made: the folder they are written to, with the tables made anew in `tables`.
        results: of the publication.
        settings: its configuration.
        figures: all figures, drawn anew.
    """
    made.mkdir(parents=True, exist_ok=True)
    written = write_pages(
        made,
        results,
        settings,
        papers_settings(),
        tables=made / "tables",
        figures=figures.figures(),
        publication=publication,
    )
    names = [file.name for file in written]
    lines, differing = [], []
    for name in (PAGE, REPORT):
        there, here = publication / name, made / name
        if not there.is_file():
            differing += [f"{there}: is missing"] * (name in names)
        elif name not in names:
            differing.append(f"{there}: is published, but one made anew would be too large")
        elif there.read_bytes() == here.read_bytes():
            lines.append(f"{name} is the same, byte for byte")
        elif name == REPORT and not figures.with_same_bytes(publication / "figures"):
            texts = [_without_pictures(file) for file in (there, here)]
            if texts[0] == texts[1]:
                lines.append(f"{name} is the same but for the pictures in it")
            else:
                differing.append(f"{there}: without its pictures, {first_line(*texts)}")
        else:
            differing.append(f"{there}: {first_difference(here, there)}")
    return Found(tuple(lines), tuple(differing))


def _without_pictures(file: Path) -> str:
    return _PICTURE.sub("<svg/>", file.read_text("utf-8", "replace"))
