"""Writing figures to files."""

import matplotlib.style
from matplotlib.figure import Figure

from flatness.figures import STYLE
from flatness.storage import atomic_path


def save_figure(figure: Figure, *paths: str) -> None:
    """Write a figure in the formats that the paths' endings name, atomically.

    No clock time is stored, so equal figures are equal files.
    """
    with matplotlib.style.context(STYLE):
        for path in paths:
            metadata = {"CreationDate": None} if path.endswith(".pdf") else {}
            with atomic_path(path) as temporary:
                figure.savefig(temporary, metadata=metadata)
