"""The files of correlation tables: which there are, and writing them."""

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from flatness.analysis.correlations import together
from flatness.storage import write_dataset
from flatness.tables.correlation_csv import write_csv
from flatness.tables.correlation_latex import write_latex
from flatness.tables.correlation_markdown import write_markdown


def write_correlations(found: Mapping[str, xr.Dataset], folder: str | Path) -> list[Path]:
    """correlations_STUDY.csv, .md and .tex of each study, and correlations.nc of all.

    Args:
        found: by study, as `flatness.analysis.correlations.correlations` returns it.
        folder: where they go.

    Returns:
        The files.
    """
    written = []
    for study, dataset in found.items():
        csv, markdown, latex = (
            Path(folder, f"correlations_{study}.{ending}") for ending in ("csv", "md", "tex")
        )
        write_csv(dataset, csv)
        write_markdown(dataset, markdown, study=study)
        write_latex(dataset, latex, study=study)
        written += [csv, markdown, latex]
    netcdf = Path(folder, "correlations.nc")
    write_dataset(together(found), netcdf)
    return [*written, netcdf]
