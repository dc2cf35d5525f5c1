"""What stands in the place of a quantity that a network or a file does not have."""

import numpy as np
import xarray as xr

from flatness.analysis.means import mean

# Files stay valid when more is measured or analysed: what is new is absent from older ones.
NOT_MEASURED = "not measured by the version that made the measurements"
NOT_ANALYSED = "not known to the version that analysed the run"


def absent(primitives: xr.Dataset, reason: str) -> xr.DataArray:
    """NaN in the place of a mean over samples, with the reason in its attribute `absent`."""
    nothing = mean(primitives["input_norm"]) * np.nan
    return nothing.drop_attrs().assign_attrs(absent=reason)


def not_measured(primitives: xr.Dataset, *names: str) -> str | None:
    """Why what is made of these primitives is absent; None where they are there."""
    return None if all(name in primitives for name in names) else NOT_MEASURED
