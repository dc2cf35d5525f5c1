"""The adaptive sharpness: the sharpness with respect to relative changes of the parameters.

Entry by entry, theta * df/dtheta is the gradient with respect to the logarithm of |theta|. Where a
unit's incoming weights and its bias are multiplied by c > 0 and its outgoing weights by 1/c, a
network with ReLU stays the same function; df/dtheta changes by 1/c where theta changes by c, so
their product stays, and with it the adaptive sharpness. The sharpness S changes.

Source: the adaptive sharpness of Kwon et al. (ASAM, 2021), with each parameter's own size as its
scale, and its mean over samples in the place of a maximum. Its bound is in
`flatness.analysis.bounds`.
"""

import numpy as np
import xarray as xr

from flatness.analysis.absent import absent, not_measured
from flatness.analysis.means import mean


def adaptive_sharpness(primitives: xr.Dataset) -> xr.DataArray:
    """Mean over samples of ||theta * df/dtheta||_F^2, the product entry by entry.

    Check: for f(x) = w x + b with one input and one output, mean (w x)^2 + b^2.
    """
    if reason := not_measured(primitives, "parameter_adaptive_sq_norm"):
        return absent(primitives, reason)
    return mean(primitives["parameter_adaptive_sq_norm"].sum("parameter", skipna=False))


def sqrt_adaptive_sharpness(primitives: xr.Dataset) -> xr.DataArray:
    """The square root of the adaptive sharpness, of the size of a norm."""
    value = adaptive_sharpness(primitives)
    return np.sqrt(value).assign_attrs(value.attrs)
