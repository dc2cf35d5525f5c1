"""Numbers of one's own measurements: at each checkpoint, and at the end."""

from collections.abc import Collection
from os import PathLike

import xarray as xr

from flatness.analysis.analysed_run import last_part
from flatness.analysis.quantities import quantities
from flatness.errors import MeasurementError
from flatness.storage import read_dataset

# What is shown if nothing is asked for, as far as it was measured.
_USUAL = (
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "sqrt_sharpness",
    "log_volume",
    "mls",
    "mean_input_gradient_sq_norm",
    "local_dimension",
    "nmls",
)


def usual(there: Collection[str]) -> list[str]:
    """What is shown if nothing is asked for, of what is there; squares where roots are not."""
    squares = [name if name in there else name.removeprefix("sqrt_") for name in _USUAL]
    return [name for name in squares if name in there]


def opened(measured: xr.Dataset | str | PathLike) -> xr.Dataset:
    """A Dataset, or what its file holds.

    Raises:
        MeasurementError: it is something else.
        StorageError: the file is absent or damaged.
    """
    if isinstance(measured, str | PathLike):
        return read_dataset(measured)
    if not isinstance(measured, xr.Dataset):
        raise MeasurementError(
            f"measured: a {type(measured).__name__}. Allowed: a Dataset that flatness measured, or "
            "the file that holds it. Pass that."
        )
    return measured


def numbers(name: str, dataset: xr.Dataset, sample_set: str) -> xr.Dataset:
    """Everything that is one number per checkpoint.

    Args:
        name: of the Dataset, for messages; "" where it has none.
        dataset: primitives with the dimension `checkpoint`.
        sample_set: of those that have several.

    Raises:
        MeasurementError: there are no checkpoints, or no such sample set.
    """
    dataset = over_checkpoints(name, dataset, sample_set)
    found = quantities(dataset).merge(dataset, compat="override", join="exact")
    names = [
        each
        for each, values in found.data_vars.items()
        if values.dims == ("checkpoint",) and values.dtype.kind in "fi"
    ]
    return found[names]


def final_numbers(dataset: xr.Dataset, sample_set: str) -> dict[str, float]:
    """Everything that is one number at the end of training: the mean over its last fifth.

    Args:
        dataset: primitives, of checkpoints or of one moment, whose numbers are the final ones.
        sample_set: of those that have several.

    Raises:
        MeasurementError: there is no such sample set.
    """
    if "checkpoint" not in dataset.dims:
        found = quantities(_of_sample_set(dataset, sample_set))
        return {str(name): float(value) for name, value in found.items() if not value.dims}
    series = numbers("", dataset, sample_set)
    end = last_part(series["iteration"].to_numpy())
    return {str(name): float(value.to_numpy()[end].mean()) for name, value in series.items()}


def over_checkpoints(name: str, dataset: xr.Dataset, sample_set: str) -> xr.Dataset:
    """One sample set of a Dataset that has checkpoints; see `numbers`."""
    if "checkpoint" not in dataset.dims or "iteration" not in dataset.coords:
        raise MeasurementError(
            f"measured{f'[{name!r}]' if name else ''}: has no checkpoints. Allowed: what "
            "flatness.measure_checkpoints or a Recorder gives, or a run's file of measurements. "
            "flatness.measure gives one moment; measure several."
        )
    return _of_sample_set(dataset, sample_set)


def _of_sample_set(dataset: xr.Dataset, sample_set: str) -> xr.Dataset:
    if "sample_set" not in dataset.dims:
        return dataset
    known = dataset["sample_set"].to_numpy().tolist()
    if sample_set not in known:
        raise MeasurementError(
            f"sample_set = {sample_set!r}. Allowed: {', '.join(known)}. Choose one of these."
        )
    return dataset.sel(sample_set=sample_set)
