"""The files that the command writes: measurements, a page, and a picture of curves."""

import os
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import xarray as xr

from flatness.errors import SettingsError
from flatness.storage import atomic_path, write_dataset
from flatness.writable import is_too_long, obstacle

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Output:
    """Where results go, all with one name and different endings.

    Args:
        measurements: netCDF.
        page: Markdown.
        picture: PNG, of curves; None where there are none.
    """

    measurements: Path
    page: Path
    picture: Path | None

    @classmethod
    def of(cls, options: Namespace, *, picture: bool) -> Self:
        """Where the files go, once it is clear that all of them can be written.

        Raises:
            SettingsError: one cannot.
        """
        output = Path(options.output)
        if output.suffix != ".nc":
            raise SettingsError(
                f"--output {output}. Allowed: a file name that ends with .nc. Correct it."
            )
        found = cls(
            output,
            output.with_suffix(".md"),
            output.with_suffix(".png") if picture else None,
        )
        for file in found._files():
            _check(file, options.overwrite)
        problem = obstacle(output.parent)
        if problem:
            raise SettingsError(
                f"--output {output}: {problem}. Allowed: a folder that you may write to. Choose "
                "another."
            )
        return found

    def write(self, primitives: xr.Dataset, text: str, figure: "Figure | None" = None) -> None:
        """Write all of them; the page takes its name last, so that where it is, all are.

        Raises:
            StorageError: one cannot be written.
        """
        with ExitStack() as waiting:
            temporary = waiting.enter_context(atomic_path(self.page))
            temporary.write_text(text, encoding="utf-8")
            if figure is not None and self.picture is not None:
                drawn = waiting.enter_context(atomic_path(self.picture))
                figure.savefig(drawn, dpi=150)
            write_dataset(primitives, self.measurements)

    def _files(self) -> Sequence[Path]:
        return [self.measurements, self.page, *([self.picture] if self.picture else [])]


def _check(file: Path, overwrite: bool) -> None:
    if is_too_long(file):
        raise SettingsError(
            f"--output {file}: has more characters than its disk takes. Allowed: a shorter name. "
            "Choose one."
        )
    if file.is_dir():
        raise SettingsError(f"--output {file}: is a folder. Allowed: a file. Correct it.")
    if os.path.lexists(file) and not overwrite:
        raise SettingsError(
            f"--output {file}: exists. Allowed: a new name. Choose one, or replace it with "
            "--overwrite."
        )
