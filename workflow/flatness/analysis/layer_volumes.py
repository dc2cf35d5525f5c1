"""Volumetric ratios of the maps from each layer's input to the output.

The volumetric ratio of Eq. 10 is that of the map from the network's input. Here the input x^l of a
linear layer or convolution l takes its place, and f depends on x^l through that layer alone, as in
NMLS: dVol_l = sqrt(det(J_l J_l^T)) = prod_j sigma_j, J_l = df/dx^l, over all N singular values.
Where a layer has fewer inputs than there are outputs, N exceeds the rank: the ratio is zero and its
logarithm minus infinity.
"""

import numpy as np
import xarray as xr

from flatness.analysis.absent import absent, not_measured
from flatness.analysis.means import mean
from flatness.analysis.sensitivity import layer_mls, no_sum_over_layers


def layer_mean_log_volume(primitives: xr.Dataset) -> xr.DataArray:
    """Mean over samples of log dVol_l, for each linear layer and convolution l."""
    if reason := not_measured(primitives, "layer_log_volume"):
        return (layer_mls(primitives) * np.nan).drop_attrs().assign_attrs(absent=reason)
    return mean(primitives["layer_log_volume"])


def nvr(primitives: xr.Dataset) -> xr.DataArray:
    """Network-wide volume ratio, in logs: the sum of `layer_mean_log_volume` over all layers.

    Absent where the sum over layers is, as for NMLS.
    """
    reason = no_sum_over_layers(primitives) or not_measured(primitives, "layer_log_volume")
    if reason:
        return absent(primitives, reason)
    return layer_mean_log_volume(primitives).sum("layer", skipna=False)
