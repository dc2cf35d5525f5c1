"""Figures of one's own measurements, as matplotlib figures.

`flatness.plot.trends(dataset)` draws quantities over checkpoints, for what
`flatness.measure_checkpoints` and `flatness.Recorder` give and for a run's file of measurements.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from flatness.analysis.quantities import quantities as _quantities
from flatness.errors import MeasurementError
from flatness.figures.series import series_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What is shown if nothing is asked for, as far as it was measured.
USUAL = (
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
    *("sqrt_sharpness", "log_volume", "mls", "input_gradient_norm", "local_dimension", "nmls"),
)
_LOGARITHMIC = ("train_loss", "test_loss", "local_dimension")


def trends(
    measured: xr.Dataset | Mapping[str, xr.Dataset],
    quantities: Sequence[str] | None = None,
    *,
    x: str = "linear",
    logarithmic: Sequence[str] = _LOGARITHMIC,
    sample_set: str = "train",
) -> "Figure":
    """Quantities against the iteration.

    Args:
        measured: primitives with the dimension `checkpoint`, or several such Datasets by the name
            of their curve.
        quantities: names of quantities or of numbers recorded beside; None for the usual ones.
        x: "linear" or "log", the axis of the iterations.
        logarithmic: the quantities with a logarithmic axis, where all values are positive.
        sample_set: which one is shown of a run's file, which has several.

    Returns:
        The figure; `figure.savefig("trends.png")` writes it.

    Raises:
        MeasurementError: a Dataset has no checkpoints; a quantity is in none of them.
    """
    if x not in ("linear", "log"):
        raise MeasurementError(f"x = {x!r}. Allowed: 'linear' or 'log'. Correct it.")
    named = {"": measured} if isinstance(measured, xr.Dataset) else dict(measured)
    series = {name: _series(name, dataset, sample_set) for name, dataset in named.items()}
    there = {
        str(name)
        for dataset in series.values()
        for name in dataset.data_vars
        if _any(dataset[name])
    }
    names = [name for name in USUAL if name in there] if quantities is None else list(quantities)
    lacking = [name for name in names if name not in there]
    if lacking or not names:
        raise MeasurementError(
            f"quantities: {', '.join(map(repr, lacking)) or 'none'} cannot be drawn. Allowed: "
            f"{', '.join(sorted(there))}. Choose among these."
        )
    return series_figure(series, names, logarithmic=logarithmic, logarithmic_width=x == "log")


def _series(name: str, dataset: xr.Dataset, sample_set: str) -> xr.Dataset:
    """Everything that is one number per checkpoint."""
    if "checkpoint" not in dataset.dims or "iteration" not in dataset.coords:
        raise MeasurementError(
            f"measured{f'[{name!r}]' if name else ''}: has no checkpoints. Allowed: what "
            "flatness.measure_checkpoints or a Recorder gives, or a run's file of measurements. "
            "flatness.measure gives one moment; measure several."
        )
    if "sample_set" in dataset.dims:
        dataset = dataset.sel(sample_set=sample_set)
    found = _quantities(dataset).merge(dataset, compat="override", join="exact")
    numbers = [
        each
        for each, values in found.data_vars.items()
        if values.dims == ("checkpoint",) and values.dtype.kind in "fi"
    ]
    return found[numbers]


def _any(values: xr.DataArray) -> bool:
    return bool(np.isfinite(values).any())
