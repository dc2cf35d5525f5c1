"""The paper's quantities, as functions of the primitives.

Each function takes a Dataset with the primitives of `flatness.measure` or of a run's
netCDF file and averages over the dimension `sample`; all other dimensions stay.
Places without a sample, as in the set `misclassified`, are NaN and do not count. Each
result carries long_name, formula, equation and units.

sigma_j are the N singular values of one sample's input Jacobian, decreasing. What cannot
be computed for a network is NaN, with the reason in its attribute `absent`; see
`flatness.analysis.sensitivity` for the quantities around the maximum local sensitivity, and
`adaptive`, `layer_volumes` and `relative_flatness` beside it for those of later versions of the
paper.
"""

import json
from collections.abc import Callable

import numpy as np
import xarray as xr

from flatness.analysis.absent import absent
from flatness.analysis.adaptive import adaptive_sharpness, sqrt_adaptive_sharpness
from flatness.analysis.estimates import (
    WITHOUT_ESTIMATE,
    adaptive_sharpness_standard_error,
    how_estimated,
    is_estimate,
    mean_input_gradient_sq_norm_standard_error,
    mls_residual,
    sharpness_standard_error,
    without_estimate,
)
from flatness.analysis.layer_volumes import layer_mean_log_volume, nvr
from flatness.analysis.means import log_mean_exp, mean
from flatness.analysis.relative_flatness import relative_flatness
from flatness.analysis.sensitivity import (
    layer_mls,
    mls,
    mls_bound_b,
    mls_bound_c,
    mls_bound_d,
    mls_bound_unshared,
    nmls,
)
from flatness.errors import MeasurementError
from flatness.glossary import annotate
from flatness.glossary.earlier import todays_names
from flatness.glossary.estimates import QUANTITIES_OF_ESTIMATES
from flatness.glossary.quantities import QUANTITIES


def sharpness(primitives: xr.Dataset) -> xr.DataArray:
    """S = mean of ||df/dtheta||_F^2 over samples (Eq. 3).

    Check: for f(x) = W x + b with N outputs, N (mean |x|^2 + 1).
    """
    return mean(primitives["parameter_gradient_sq_norm"].sum("parameter", skipna=False))


def sqrt_sharpness(primitives: xr.Dataset) -> xr.DataArray:
    """The square root of the sharpness, which the figures show."""
    return np.sqrt(sharpness(primitives))


def sharpness_before_last_layer(primitives: xr.Dataset) -> xr.DataArray:
    """The share of S that the parameters before the last layer have.

    The last layer is the last linear layer, in the order of modules, with its weight and bias.
    ||df/dtheta_p||_F^2 of its weight is N times the squared norm of its input, which has little to
    do with the layers before it and may be most of S.
    """
    layers = primitives["layer"].to_numpy()
    if len(layers) == 0 or not primitives["layer_eq4_holds"].isel(layer=-1).min():
        return absent(primitives, "the last layer is not a linear one with a weight of its own")
    prefix = f"{layers[-1]}." if layers[-1] else ""
    last = primitives["parameter"].isin([f"{prefix}weight", f"{prefix}bias"])
    if not last.any():
        return absent(primitives, "the last layer's weight has another name")
    sq_norms = primitives["parameter_gradient_sq_norm"]
    before = sq_norms.where(~last, 0.0).sum("parameter", skipna=False)
    return mean(before.where(sq_norms.isel(parameter=0).notnull()))


def sqrt_sharpness_before_last_layer(primitives: xr.Dataset) -> xr.DataArray:
    """The square root of that share."""
    share = sharpness_before_last_layer(primitives)
    return np.sqrt(share).assign_attrs(share.attrs)


def log_volume(primitives: xr.Dataset) -> xr.DataArray:
    """Mean over samples of log dVol = sum_j log sigma_j, over all N modes (Eq. 10).

    Minus infinity where a singular value of any sample is zero; `zero_singular_values`
    counts these.
    """
    return mean(_logarithm(primitives["singular_value"]).sum("mode", skipna=False))


def log_volume_top3(primitives: xr.Dataset) -> xr.DataArray:
    """As `log_volume`, over the three largest singular values only."""
    largest = primitives["singular_value"].isel(mode=slice(3))
    return mean(_logarithm(largest).sum("mode", skipna=False))


def log_mean_volume(primitives: xr.Dataset) -> xr.DataArray:
    """Logarithm of the averaged volumetric ratio, log of the mean of dVol (Eq. 12)."""
    return log_mean_exp(_logarithm(primitives["singular_value"]).sum("mode", skipna=False))


def mean_input_gradient_sq_norm(primitives: xr.Dataset) -> xr.DataArray:
    """G = mean of ||df/dx||_F^2 over samples (Eq. 6 with k = 2)."""
    if is_estimate(primitives):
        return mean(primitives["input_gradient_sq_norm"])
    return mean(np.square(primitives["singular_value"]).sum("mode", skipna=False))


def local_dimension(primitives: xr.Dataset) -> xr.DataArray:
    """Local dimensionality: mean participation ratio of the sigma_j^2 (Eq. 14).

    Between 1 and N; NaN where a sample's Jacobian is zero.
    """
    values = primitives["singular_value"]
    # Relative to the largest, so that fourth powers neither vanish nor overflow.
    variances = np.square(values / values.isel(mode=0))
    total = variances.sum("mode", skipna=False)
    ratio = np.square(total) / np.square(variances).sum("mode", skipna=False)
    counted = values.isel(mode=0).notnull().sum("sample")
    return ratio.sum("sample") / counted.where(ratio.notnull().sum("sample") == counted)


def zero_singular_values(primitives: xr.Dataset) -> xr.DataArray:
    """How many singular values are exactly zero, over samples and modes."""
    return (primitives["singular_value"] == 0).sum(("sample", "mode"))


def unresolved_singular_values(primitives: xr.Dataset) -> xr.DataArray:
    """How many singular values are positive but lost in the network's rounding.

    Counts 0 < sigma_j <= eps sigma_1, with eps of the dtype in which was measured.
    """
    values = primitives["singular_value"]
    resolution = np.finfo(primitives.attrs["dtype"]).eps * values.isel(mode=0)
    return ((values > 0) & (values <= resolution)).sum(("sample", "mode"))


def hessian_trace(primitives: xr.Dataset) -> xr.DataArray:
    """Trace of the loss Hessian: S + mean of the weighted curvature (Eq. 2, Lemma A.1)."""
    return sharpness(primitives) + mean(_measured_curvature(primitives, "residual_curvature"))


def hessian_trace_standard_error(primitives: xr.Dataset) -> xr.DataArray:
    """Standard error of `hessian_trace`: samples have probes of their own.

    S has no error where it is exact; where it is an estimate, its probes are others.
    """
    errors = _measured_curvature(primitives, "residual_curvature_standard_error")
    error = np.sqrt(mean(np.square(errors)) / errors.notnull().sum("sample"))
    return (
        np.hypot(error, sharpness_standard_error(primitives)) if is_estimate(primitives) else error
    )


def hessian_gap(primitives: xr.Dataset) -> xr.DataArray:
    """|Tr - S|, of the order of the residuals (Lemma A.1)."""
    return np.abs(mean(_measured_curvature(primitives, "residual_curvature")))


def mean_residual_norm(primitives: xr.Dataset) -> xr.DataArray:
    """Mean over samples of ||f(x) - y||_2 (Lemma A.1)."""
    return mean(_measured_curvature(primitives, "residual_norm"))


_FUNCTIONS: tuple[Callable[[xr.Dataset], xr.DataArray], ...] = (
    sharpness,
    sqrt_sharpness,
    sharpness_before_last_layer,
    sqrt_sharpness_before_last_layer,
    adaptive_sharpness,
    sqrt_adaptive_sharpness,
    relative_flatness,
    log_volume,
    log_volume_top3,
    log_mean_volume,
    mean_input_gradient_sq_norm,
    mls,
    local_dimension,
    mls_bound_b,
    mls_bound_c,
    mls_bound_d,
    mls_bound_unshared,
    layer_mls,
    nmls,
    layer_mean_log_volume,
    nvr,
    hessian_trace,
    hessian_trace_standard_error,
    hessian_gap,
    mean_residual_norm,
    zero_singular_values,
    unresolved_singular_values,
)

_OF_ESTIMATES = (
    sharpness_standard_error,
    adaptive_sharpness_standard_error,
    mean_input_gradient_sq_norm_standard_error,
    mls_residual,
)
_OF_CURVATURE = (hessian_trace, hessian_trace_standard_error, hessian_gap, mean_residual_norm)
_NEEDED = ("singular_value", "parameter_gradient_sq_norm", "input_norm", "layer_operator_norm")
_NEEDED_OF_ESTIMATES = ("parameter_gradient_sq_norm", "input_norm", "layer_operator_norm")
# Each dimension that quantities are taken over, by a primitive that has it.
_DIMENSIONS = {
    "sample": "singular_value",
    "mode": "singular_value",
    "parameter": "parameter_gradient_sq_norm",
    "layer": "layer_operator_norm",
}
NO_CURVATURE = "curvature was not measured; see flatness.curvature"


def quantities(primitives: xr.Dataset) -> xr.Dataset:
    """All quantities, one variable each, named as the functions.

    Args:
        primitives: from `flatness.measure` or a run's netCDF file. Merged with the result of
            `flatness.curvature` (a run's file holds both), it also gives the trace of the
            loss Hessian. Measured with `only`, it gives the quantities asked for. Measured with
            `probes`, what has an estimate is one, with the attribute `estimate`; standard errors
            stand beside S, the adaptive sharpness and G, and the mean residual beside the maximum
            local sensitivity. They are those of the mean over these very samples. What
            needs all singular values is absent, with the reason.

    Raises:
        MeasurementError: the Dataset holds no primitives, or lacks one of their dimensions.
    """
    only = asked_for(primitives)
    _check(primitives, everything=not only)
    estimated = is_estimate(primitives)
    known = (*_FUNCTIONS, *_OF_ESTIMATES) if estimated else _FUNCTIONS
    values = {
        function.__name__: (
            without_estimate(primitives, function.__name__)
            if estimated and function.__name__ in WITHOUT_ESTIMATE
            else function(primitives)
        )
        for function in known
        if not only or function.__name__ in only
    }
    if "residual_curvature" not in primitives and not only:
        for function in _OF_CURVATURE:
            values[function.__name__].attrs["absent"] = NO_CURVATURE
    for name, value in values.items():
        value.attrs = {key: text for key, text in value.attrs.items() if key == "absent"}
        if not value.attrs:
            value.attrs = how_estimated(primitives, name)
    coordinates = {name: primitives[name].attrs for name in primitives.coords}
    result = xr.Dataset({name: value.drop_vars(value.coords) for name, value in values.items()})
    result = annotate(result, QUANTITIES | QUANTITIES_OF_ESTIMATES)
    if estimated:
        result = result.assign_attrs(
            probes=primitives.attrs["probes"], seed=primitives.attrs["seed"]
        )
    kept = {
        name: coordinate
        for name, coordinate in primitives.coords.items()
        if set(coordinate.dims) <= set(result.dims)
    }
    result = result.assign_coords(kept)
    for name in kept:
        result[name].attrs = coordinates[name]
    return result


def asked_for(primitives: xr.Dataset) -> list[str]:
    """The quantities that `flatness.measure` was asked for alone; none if for all."""
    only = json.loads(primitives.attrs.get("only", "[]")) if _is_dataset(primitives) else []
    return todays_names(only)  # a file that somebody kept of an earlier version


def _is_dataset(primitives: object) -> bool:
    return isinstance(primitives, xr.Dataset)


def _check(primitives: xr.Dataset, *, everything: bool) -> None:
    if not _is_dataset(primitives):
        raise MeasurementError(
            f"primitives: a {type(primitives).__name__}. Allowed: the Dataset that "
            "flatness.measure returns. Pass all of it, not one variable."
        )
    estimated = is_estimate(primitives)
    needed = ("input_norm",)
    if everything:
        needed = _NEEDED_OF_ESTIMATES if estimated else _NEEDED
    absent = [name for name in needed if name not in primitives]
    if absent:
        raise MeasurementError(
            f"primitives: {absent[0]!r} is missing. Allowed: what flatness.measure returns, or "
            "results/NAME/measurements/RUN.nc. Quantities and analyses are results already."
        )
    dimensions = {"sample": "input_norm"}
    if everything:
        dimensions = {
            dimension: "input_norm" if name == "singular_value" and estimated else name
            for dimension, name in _DIMENSIONS.items()
            if not (dimension == "mode" and estimated)
        }
    for dimension, name in dimensions.items():
        if dimension not in primitives[name].dims:
            raise MeasurementError(
                f"primitives: {name!r} has no dimension {dimension!r}, over which quantities are "
                f"taken. Allowed: all that flatness.measure returns. Choose with a list, such as "
                f".isel({dimension}=[0]), which keeps the dimension."
            )
    if primitives.sizes["sample"] == 0:
        raise MeasurementError(
            "primitives: hold no sample. Allowed: one or more. Choose at least one."
        )


def _logarithm(values: xr.DataArray) -> xr.DataArray:
    with np.errstate(divide="ignore"):
        return np.log(values)


def _measured_curvature(primitives: xr.Dataset, name: str) -> xr.DataArray:
    """What `flatness.curvature` measures, or NaN where it was not called."""
    if name in primitives:
        return primitives[name]
    return primitives["input_norm"] * np.nan
