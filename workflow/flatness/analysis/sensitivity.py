"""The maximum local sensitivity, its bounds, and its sum over layers.

Notation: J the input Jacobian, W the weight of the first layer where that layer is linear
and reads the inputs (z = W x + b), K^W = df/dW, n samples.

**The chain A <= B <= C <= D (Eq. 13, 28)**, with A = MLS, rests on Eq. 4,
||K^W||_F = ||df/dz||_F ||x||_2, which holds for such a layer only. For all other networks
B, C and D are NaN.

**The unshared bound U** holds for every first layer that is linear in the inputs,
z = T x + b, convolutions among them: J = (df/dz) T, so

    ||J||_F <= ||T||_2 ||df/dz||_F    and    ||J||_2 <= ||J||_F,

because the Frobenius norm of a product is at most the spectral norm of one factor times
the Frobenius norm of the other. The mean over samples gives MLS <= U, and the mean of
squares U <= V = ||T||_2 sqrt(1/n sum ||df_i/dz||_F^2). df/dz is the gradient with respect
to a bias of its own at every entry of z, so ||df/dz||_F^2 is the share in the sharpness of
a network whose first layer does not share its bias between positions. For a first layer of
which Eq. 4 holds U is B, since there ||df/dz||_F = ||K^W||_F / ||x||_2 (unless x = 0).

In all of this ||T||_2 may be replaced by an upper bound of it, and is: for convolutions
`layer_operator_norm` is one.

**NMLS** is the sum over all linear layers and convolutions l of the mean of
||df/dx^l||_2 (docs/inequalities.md bounds it).
"""

import json

import numpy as np
import xarray as xr

from flatness.analysis.absent import absent
from flatness.analysis.estimates import is_estimate
from flatness.analysis.means import mean


def mls(primitives: xr.Dataset) -> xr.DataArray:
    """Maximum local sensitivity: mean of sigma_1 over samples (Eq. 13); A of Eq. 28."""
    if is_estimate(primitives):
        largest = primitives["input_jacobian_norm"]
        reason = largest.attrs.get("absent")
        return absent(primitives, reason) if reason else mean(largest)
    return mean(primitives["singular_value"].isel(mode=0))


def mls_bound_b(primitives: xr.Dataset) -> xr.DataArray:
    """B = ||W||_2 mean of ||K^W||_F / ||x||_2 (Eq. 28)."""
    if reason := _no_input_weight(primitives):
        return absent(primitives, reason)
    norms = primitives["input_norm"]
    # An input of norm 0 has no bound.
    per_sample = np.sqrt(input_weight_gradient_sq_norm(primitives)) / norms
    per_sample = per_sample.where((norms != 0) | norms.isnull(), np.inf)
    return primitives["input_weight_spectral_norm"] * mean(per_sample)


def mls_bound_c(primitives: xr.Dataset) -> xr.DataArray:
    """C = ||W||_2 sqrt(mean of 1/||x||_2^2) sqrt(mean of ||K^W||_F^2) (Eq. 28)."""
    if reason := _no_input_weight(primitives):
        return absent(primitives, reason)
    return _factor(primitives) * np.sqrt(mean(input_weight_gradient_sq_norm(primitives)))


def mls_bound_d(primitives: xr.Dataset) -> xr.DataArray:
    """D = ||W||_2 sqrt(mean of 1/||x||_2^2) sqrt(S) (Eq. 13, 28)."""
    if reason := _no_input_weight(primitives):
        return absent(primitives, reason)
    sq_norms = primitives["parameter_gradient_sq_norm"].sum("parameter", skipna=False)
    return _factor(primitives) * np.sqrt(mean(sq_norms))


def mls_bound_unshared(primitives: xr.Dataset) -> xr.DataArray:
    """U = ||T||_2 mean of ||df/dz||_F, z = T x + b the first layer's output.

    The proof stands at the head of this module.
    """
    norms = primitives["layer_operator_norm"]
    if "absent" in norms.attrs:
        return absent(primitives, norms.attrs["absent"])
    layer = norms.attrs["input_layer"]
    gradients = np.sqrt(primitives["layer_output_gradient_sq_norm"].sel(layer=layer, drop=True))
    return norms.sel(layer=layer, drop=True) * mean(gradients)


def layer_mls(primitives: xr.Dataset) -> xr.DataArray:
    """Mean over samples of ||df/dx^l||_2, for each linear layer and convolution l."""
    return mean(primitives["layer_sensitivity"])


def nmls(primitives: xr.Dataset) -> xr.DataArray:
    """Network-wide sensitivity: the sum of `layer_mls` over all layers.

    Absent where a linear layer or convolution could not be measured on its own, or where
    there is none.
    """
    if reason := no_sum_over_layers(primitives):
        return absent(primitives, reason)
    return layer_mls(primitives).sum("layer", skipna=False)


def no_sum_over_layers(primitives: xr.Dataset) -> str | None:
    """Why terms of single layers do not add up to one of the network; None where they do."""
    left_out = json.loads(primitives["layer_operator_norm"].attrs["left_out"])
    if left_out:
        return f"layers that have no term of their own: {', '.join(left_out)}"
    if primitives.sizes["layer"] == 0:
        return "the network has no linear layer or convolution"
    return None


def input_weight_gradient_sq_norm(primitives: xr.Dataset) -> xr.DataArray:
    """||K^W||_F^2 of each sample, where there is such a W."""
    weight = primitives["input_weight_spectral_norm"].attrs["input_weight"]
    return primitives["parameter_gradient_sq_norm"].sel(parameter=weight, drop=True)


def _factor(primitives: xr.Dataset) -> xr.DataArray:
    with np.errstate(divide="ignore"):
        inverse = 1 / np.square(primitives["input_norm"])
    return primitives["input_weight_spectral_norm"] * np.sqrt(mean(inverse))


def _no_input_weight(primitives: xr.Dataset) -> str | None:
    return primitives["input_weight_spectral_norm"].attrs.get("absent")
