"""Means over the samples of a set; places without a sample are NaN and do not count."""

import numpy as np
import xarray as xr


def mean(per_sample: xr.DataArray) -> xr.DataArray:
    """Mean over the dimension `sample`."""
    return per_sample.mean("sample", skipna=True)


def log_mean_exp(logarithms: xr.DataArray) -> xr.DataArray:
    """Natural logarithm of the mean over samples of exp(logarithms), without overflow."""
    largest = logarithms.max("sample", skipna=True)
    shift = largest.where(np.isfinite(largest), 0.0)
    with np.errstate(divide="ignore"):
        return np.log(mean(np.exp(logarithms - shift))) + shift
