"""Whether a folder may get a publication: what lies there is ours, or nothing does."""

import filecmp
from pathlib import Path

from flatness.errors import SettingsError

# Of workflow/report/reproduction.md: no page but a publication's says so.
_SENTENCE = "wrote this page from its results; no number on it was typed."
# What may lie in a folder before its first publication: the files it is made of.
_PARTS = "parts"


def is_publication(folder: str | Path) -> bool:
    """Whether `flatness.publication.publish.publish` made it."""
    page, *others = (Path(folder, n) for n in ("README.md", "results.nc", "configuration.yaml"))
    return (
        page.is_file()
        and all(file.is_file() for file in others)
        and _SENTENCE in page.read_text(encoding="utf-8", errors="replace")
    )


def check_place(folder: str | Path) -> None:
    """Refuse a folder with files that a publication would write over or remove.

    Raises:
        SettingsError: it holds something, and is no publication.
    """
    folder = Path(folder)
    held = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    if held in ([], [_PARTS]) and not (folder / _PARTS).is_file():
        return
    if not is_publication(folder):
        more = f" and {len(held) - 1} more" if len(held) > 1 else ""
        raise SettingsError(
            f"--output {folder}: holds {held[0]}{more}, and is no earlier publication. Allowed: an "
            f"earlier publication, or a folder that holds nothing, or {_PARTS} alone. Choose "
            "another, or move what it holds."
        )


def check_reproduction(published: str | Path, output: str | Path) -> None:
    """Refuse to write over a publication of other results than those that are reproduced.

    Raises:
        SettingsError: it is that of other results, or no place for any.
    """
    check_place(output)
    here, there = (Path(folder, "results.nc") for folder in (output, published))
    if here.is_file() and there.is_file() and not filecmp.cmp(here, there, shallow=False):
        raise SettingsError(
            f"--output {output}: holds a publication of other results than {published}. Allowed: "
            f"a folder that holds nothing, or an earlier reproduction of {published}. Choose "
            "another, or remove it if it is not needed."
        )
