"""A Dataset that grows by one checkpoint after another."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from flatness.errors import MeasurementError
from flatness.glossary import Term, annotate
from flatness.glossary.primitives import PRIMITIVES
from flatness.measurement.together import together


def of_checkpoint(
    primitives: xr.Dataset, iteration: int, values: Mapping[str, float]
) -> xr.Dataset:
    """The primitives of one checkpoint with a dimension `checkpoint` of one entry.

    Args:
        primitives: from `measure`, of one network.
        iteration: how many updates the network has had.
        values: numbers of one's own at that iteration, such as `train_loss`.

    Raises:
        MeasurementError: a number has the name of a primitive or of a dimension.
    """
    for name in values:
        if name in primitives.variables or name in primitives.dims or name == "iteration":
            raise MeasurementError(
                f"{name!r}: is measured. Allowed: other names for numbers of one's own, such as "
                "train_loss. Rename it."
            )
    own = {name: ((), np.float64(value)) for name, value in values.items()}
    found = together([primitives.assign(own)], "checkpoint")
    return _annotated(found.assign_coords(iteration=("checkpoint", [iteration])))


def grown(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Datasets with the dimension `checkpoint`, one behind the other; values some lack are NaN.

    Raises:
        MeasurementError: they are of networks with other parameters, layers or samples.
    """
    names = dict.fromkeys(name for part in parts for name in part.data_vars)
    scalars = [
        name
        for name in names
        if all(part[name].dims == ("checkpoint",) for part in parts if name in part)
    ]
    filled = [
        part.assign(
            {
                name: ("checkpoint", np.full(part.sizes["checkpoint"], np.nan))
                for name in scalars
                if name not in part
            }
        )
        for part in parts
    ]
    try:
        return _annotated(together(filled, "checkpoint"))
    except ValueError as error:
        raise MeasurementError(
            "checkpoints: have other parameters, layers, outputs or samples "
            f"({' '.join(str(error).split())[:200]}). Allowed: those of one network on one set of "
            "samples. Measure the others apart."
        ) from None


def _annotated(dataset: xr.Dataset) -> xr.Dataset:
    own = {str(name): Term("", str(name), str(name)) for name in dataset.variables}
    return annotate(dataset, own | PRIMITIVES)
