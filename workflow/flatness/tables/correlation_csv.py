"""Correlations of one study for programs."""

from pathlib import Path

import xarray as xr

from flatness.analysis.correlations import NUMBERS
from flatness.storage import atomic_path


def write_csv(dataset: xr.Dataset, path: str | Path) -> None:
    """One row per group, statistic and pair, atomically; what is not defined is empty.

    Args:
        dataset: of one study, as `flatness.analysis.correlations.correlations` returns it.
        path: of the file.
    """
    order = ["group", "statistic", "quantity", "other_quantity"]
    columns = [*NUMBERS, "n", "seeds"]
    table = dataset[columns].to_dataframe(dim_order=order).reset_index()
    position = {name: index for index, name in enumerate(dataset["quantity"].to_numpy())}
    once = table["quantity"].map(position) < table["other_quantity"].map(position)
    with atomic_path(path) as temporary:
        table.loc[once, order + columns].to_csv(temporary, index=False, lineterminator="\n")
