"""A figure as a page of a report: the picture inside the page, never wider than the window."""

import base64
import html
from pathlib import Path

from flatness.storage import atomic_path


def write_page(picture: str | Path, path: str | Path, *, title: str) -> None:
    """Write a page that holds a picture, atomically.

    Reports show pictures at their full size, in the middle of the window, where the upper part
    of a large one cannot be reached.

    Args:
        picture: a PNG file.
        path: of the page.
        title: of the page, such as "Figure 1".
    """
    content = base64.b64encode(Path(picture).read_bytes()).decode("ascii")
    name = html.escape(title)
    with atomic_path(path) as temporary:
        temporary.write_text(
            f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"/><title>{name}</title>'
            "\n<style>body {margin: 0.5em;} img {max-width: 100%;}</style></head>\n"
            f'<body><img alt="{name}" src="data:image/png;base64,{content}"/></body>\n</html>\n',
            encoding="utf-8",
        )
