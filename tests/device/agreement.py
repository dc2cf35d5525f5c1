"""Whether what was found on a device is what the CPU finds."""

import numpy as np
import torch
import xarray as xr

# Of the largest value of a variable. Only a GPU has kernels of its own, which round otherwise.
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-8}
# What a singular value below this share of the largest is made of is rounding.
_NOISE = {torch.float32: 1e-5, torch.float64: 1e-13}


def assert_agree(
    found: xr.Dataset, expected: xr.Dataset, dtype: torch.dtype, tolerance: float | None = None
) -> None:
    """The same variables with the same values, to rounding in that dtype, or to a tolerance."""
    tolerance = TOLERANCE[dtype] if tolerance is None else tolerance
    assert list(found.variables) == list(expected.variables)
    for name in expected.variables:
        one, other = found[name].values, expected[name].values
        assert one.shape == other.shape, name
        assert found[name].attrs == expected[name].attrs, name
        if one.dtype.kind != "f":
            assert (one == other).all(), name
            continue
        if name == "layer_log_volume":
            # Logarithms of what may be rounding are compared where they are none: where even the
            # smallest singular value, with all others as large as the largest, is above it.
            largest = np.maximum(expected["layer_sensitivity"].values, 1e-300)
            modes = expected.sizes["output"]
            usable = other > modes * np.log(largest) + np.log(_NOISE[dtype])
            one, other = one[usable & np.isfinite(one)], other[usable & np.isfinite(one)]
            assert np.allclose(one, other, atol=0.05 * modes), name
            continue
        assert (np.isfinite(one) == np.isfinite(other)).all(), name
        one, other = one[np.isfinite(other)], other[np.isfinite(other)]
        scale = np.abs(other).max(initial=0.0)
        assert np.abs(one - other).max(initial=0.0) <= tolerance * scale, name
