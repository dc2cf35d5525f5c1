"""The menu of the site: the lists of pages that follow a comment `<!-- menu -->`.

They are written once, as links that also work where a page is read without the site. Published
tables need not be in a menu, since the pages beside them lead there, nor what a benchmark writes.
"""

import re
from pathlib import PurePosixPath
from posixpath import normpath

from sphinx.application import Sphinx

_LIST = re.compile(r"^## (.+)\n\n<!-- menu -->\n\n((?:- .+\n)+)", re.M)
_ENTRY = re.compile(r"^- \[([^]]+)\]\(([^)]+)\.md\)", re.M)


def add_menu(app: Sphinx, page: str, source: list[str]) -> None:
    """Follow each list with a hidden table of contents of the same pages."""
    folder = PurePosixPath(page).parent
    if folder.name in ("tables", "benchmarks"):
        source[0] = f"---\norphan: true\n---\n\n{source[0]}"
    # Headings are those of the menu on the front page; elsewhere pages are below their own.
    captioned = page == app.config.root_doc
    source[0] = _LIST.sub(lambda found: found[0] + _menu(found, folder, captioned), source[0])


def _menu(found: re.Match, folder: PurePosixPath, captioned: bool) -> str:
    heading, entries = found.groups()
    options = [":hidden:", *([f":caption: {heading}"] if captioned else []), ""]
    pages = [
        f"{title} </{normpath(str(folder / place))}>" for title, place in _ENTRY.findall(entries)
    ]
    return "\n".join(["", "```{toctree}", *options, *pages, "```", ""])


def setup(app: Sphinx) -> dict[str, bool]:
    """Do so when a page is read."""
    app.connect("source-read", add_menu)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
