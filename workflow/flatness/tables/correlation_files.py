"""The files of correlation tables: which there are, and writing them."""

from collections.abc import Mapping
from pathlib import Path

import xarray as xr

from flatness.analysis.correlations import together
from flatness.storage import write_dataset
from flatness.tables.correlation_csv import write_csv
from flatness.tables.correlation_latex import write_latex
from flatness.tables.correlation_markdown import write_markdown


def write_correlations(found: Mapping[str, xr.Dataset], folder: str | Path) -> None:
    """correlations_STUDY.csv, .md and .tex of each study, and correlations.nc of all.

    Args:
        found: by study, as `flatness.analysis.correlations.correlations` returns it.
        folder: where they go.
    """
    for study, dataset in found.items():
        stem = Path(folder, f"correlations_{study}")
        write_csv(dataset, f"{stem}.csv")
        write_markdown(dataset, f"{stem}.md", study=study)
        write_latex(dataset, f"{stem}.tex", study=study)
    write_dataset(together(found), Path(folder, "correlations.nc"))
